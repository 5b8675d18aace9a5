/*
 * A ring under a mutex, and an eventfd that stands at one exactly while the ring holds items or
 * the queue is closed: it is written and read back under the same mutex, at the steps from
 * empty to not empty and back. One written when the queue is closed stays for ever.
 */
#include "base/queue.h"

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue {
    pthread_mutex_t mutex; /* guards all below but the constants */
    char *items;
    size_t capacity;  /* constant */
    size_t item_size; /* constant */
    size_t head;      /* where the oldest stands */
    size_t depth;
    uint64_t refused;
    bool closed;
    int fd; /* constant */
    void (*release)(void *item);
};

struct queue *queue_new(size_t capacity, size_t item_size, void (*release)(void *item))
{
    struct queue *queue = NULL;
    if (capacity == 0 || item_size == 0 || capacity > SIZE_MAX / item_size)
        return NULL;
    queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return NULL;
    queue->capacity = capacity;
    queue->item_size = item_size;
    queue->release = release;
    queue->items = calloc(capacity, item_size);
    queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->items == NULL || queue->fd < 0)
        goto out;
    if (pthread_mutex_init(&queue->mutex, NULL) != 0)
        goto out;
    return queue;

out:
    if (queue->fd >= 0)
        close(queue->fd);
    free(queue->items);
    free(queue);
    return NULL;
}

static char *slot(const struct queue *queue, size_t position)
{
    return queue->items + (queue->head + position) % queue->capacity * queue->item_size;
}

void queue_free(struct queue *queue)
{
    if (queue == NULL)
        return;
    for (size_t i = 0; i < queue->depth && queue->release != NULL; i++)
        queue->release(slot(queue, i));
    pthread_mutex_destroy(&queue->mutex);
    close(queue->fd);
    free(queue->items);
    free(queue);
}

/* An eventfd at 0 takes a one, and one at 1 gives it back: neither can fail. */
static void set_readable(const struct queue *queue)
{
    (void)eventfd_write(queue->fd, 1);
}

static void set_unreadable(const struct queue *queue)
{
    eventfd_t value;
    (void)eventfd_read(queue->fd, &value);
}

int queue_push(struct queue *queue, const void *item)
{
    int err = 0;
    pthread_mutex_lock(&queue->mutex);
    if (queue->closed) {
        err = ERR_CLOSED;
    } else if (queue->depth == queue->capacity) {
        queue->refused++;
        err = ERR_FULL;
    } else {
        memcpy(slot(queue, queue->depth), item, queue->item_size);
        queue->depth++;
        if (queue->depth == 1)
            set_readable(queue);
    }
    pthread_mutex_unlock(&queue->mutex);
    return err;
}

int queue_pop(struct queue *queue, void *ret_item)
{
    int err = 0;
    pthread_mutex_lock(&queue->mutex);
    if (queue->depth > 0) {
        memcpy(ret_item, slot(queue, 0), queue->item_size);
        queue->head = (queue->head + 1) % queue->capacity;
        queue->depth--;
        if (queue->depth == 0 && !queue->closed)
            set_unreadable(queue);
    } else {
        err = queue->closed ? ERR_CLOSED : ERR_AGAIN;
    }
    pthread_mutex_unlock(&queue->mutex);
    return err;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    if (!queue->closed && queue->depth == 0)
        set_readable(queue);
    queue->closed = true;
    pthread_mutex_unlock(&queue->mutex);
}

size_t queue_depth(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    size_t depth = queue->depth;
    pthread_mutex_unlock(&queue->mutex);
    return depth;
}

uint64_t queue_refused(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    uint64_t refused = queue->refused;
    pthread_mutex_unlock(&queue->mutex);
    return refused;
}

int queue_fd(struct queue *queue)
{
    return queue->fd;
}
