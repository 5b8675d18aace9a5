#include "net/deadlines.h"

#include "base/worker.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct deadline {
    struct deadlines *deadlines;
    struct deadline *next, *previous;
    int fd; /* a duplicate */
    int64_t due_us;
    bool cut;
};

struct deadlines {
    struct clock *clock;
    struct worker *worker;
    int64_t interval_us;
    pthread_mutex_t mutex; /* guards the list and all in it */
    struct deadline *first;
    unsigned int watched;
    uint64_t cut;
};

static int64_t look(void *self, struct now now)
{
    struct deadlines *deadlines = self;
    pthread_mutex_lock(&deadlines->mutex);
    for (struct deadline *at = deadlines->first; at != NULL; at = at->next) {
        if (now.mono_us < at->due_us || at->cut)
            continue;
        at->cut = true;
        deadlines->cut++;
        shutdown(at->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&deadlines->mutex);
    return now.mono_us + deadlines->interval_us;
}

struct deadlines *deadlines_start(int64_t interval_us, struct clock *clock)
{
    struct deadlines *deadlines = calloc(1, sizeof *deadlines);
    if (deadlines == NULL)
        return NULL;
    pthread_mutex_init(&deadlines->mutex, NULL);
    deadlines->clock = clock;
    deadlines->interval_us = interval_us;
    deadlines->worker = worker_start("deadlines", look, deadlines, clock, -1);
    if (deadlines->worker == NULL) {
        deadlines_stop(deadlines);
        return NULL;
    }
    return deadlines;
}

void deadlines_stop(struct deadlines *deadlines)
{
    if (deadlines == NULL)
        return;
    if (deadlines->worker != NULL)
        worker_stop(deadlines->worker);
    pthread_mutex_destroy(&deadlines->mutex);
    free(deadlines);
}

struct deadline *deadline_add(struct deadlines *deadlines, int fd, unsigned int ms)
{
    struct deadline *deadline = calloc(1, sizeof *deadline);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (deadline == NULL || copy < 0) {
        if (copy >= 0)
            close(copy);
        free(deadline);
        return NULL;
    }
    deadline->deadlines = deadlines;
    deadline->fd = copy;
    deadline->due_us = clock_read(deadlines->clock).mono_us + (int64_t)ms * US_PER_MS;
    pthread_mutex_lock(&deadlines->mutex);
    deadline->next = deadlines->first;
    if (deadline->next != NULL)
        deadline->next->previous = deadline;
    deadlines->first = deadline;
    deadlines->watched++;
    pthread_mutex_unlock(&deadlines->mutex);
    return deadline;
}

static void set_due(struct deadline *deadline, int64_t due_us)
{
    pthread_mutex_lock(&deadline->deadlines->mutex);
    deadline->due_us = due_us;
    pthread_mutex_unlock(&deadline->deadlines->mutex);
}

void deadline_set(struct deadline *deadline, unsigned int ms)
{
    set_due(deadline, clock_read(deadline->deadlines->clock).mono_us + (int64_t)ms * US_PER_MS);
}

void deadline_suspend(struct deadline *deadline)
{
    set_due(deadline, NEVER);
}

void deadline_remove(struct deadline *deadline)
{
    struct deadlines *deadlines = deadline->deadlines;
    pthread_mutex_lock(&deadlines->mutex);
    if (deadline->previous != NULL)
        deadline->previous->next = deadline->next;
    else
        deadlines->first = deadline->next;
    if (deadline->next != NULL)
        deadline->next->previous = deadline->previous;
    deadlines->watched--;
    pthread_mutex_unlock(&deadlines->mutex);
    close(deadline->fd);
    free(deadline);
}

void deadlines_count(struct deadlines *deadlines, unsigned int *ret_watched, uint64_t *ret_cut)
{
    pthread_mutex_lock(&deadlines->mutex);
    if (ret_watched != NULL)
        *ret_watched = deadlines->watched;
    if (ret_cut != NULL)
        *ret_cut = deadlines->cut;
    pthread_mutex_unlock(&deadlines->mutex);
}
