#include "edge/poller.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * Design notes
 *
 * The epoll data of a descriptor is its driver's index. A driver steps when one of its descriptors
 * is ready or its time has come; what it wants after that replaces what it wanted before. Whether a
 * descriptor is in the set already is asked of the kernel (MOD, else ADD): a driver may close one
 * and open another with the same number within a step. Where the driver says that nothing changed,
 * as after nearly every poll, it is not asked.
 *
 * When each driver is due stands in an array of its own, which is all that is looked through at
 * each turn: of 900 drivers that is 7 KiB. One whose descriptor is ready is due at once.
 *
 * A visitor leaves one wish, wakes the thread, and sleeps until it is fulfilled or the thread has
 * ended; others wait until the place is free.
 */

#define WANTS_MAX  8 /* of one driver: more are not waited for */
#define EVENTS_MAX 128
#define WAKE_INDEX UINT32_MAX

struct slot {
    struct driver *driver;
    const char *name;
    int fds[WANTS_MAX]; /* in the epoll set for it */
    size_t fd_count;
    struct driver_ready ready[WANTS_MAX];
    size_t ready_count;
    struct driver_status status; /* guarded by the poller's lock */
};

struct visit {
    poller_visit_fn *run;
    void *self;
    size_t index;
    bool done;
};

struct poller {
    struct slot slots[POLLER_DRIVERS_MAX];
    int64_t due_us[POLLER_DRIVERS_MAX];
    size_t count;
    int epoll_fd, wake_fd;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    pthread_mutex_t lock;
    struct visit *visit; /* the visitor's; this and the next guarded by the lock */
    bool running;
    pthread_cond_t visited;
};

int poller_new(struct poller **ret_poller, struct message *message)
{
    struct poller *poller = calloc(1, sizeof(*poller));
    if (!poller)
        return message_set(message, ERR_NO_MEMORY, "poller: out of memory");
    pthread_mutex_init(&poller->lock, NULL);
    pthread_cond_init(&poller->visited, NULL);
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = WAKE_INDEX};
    if (poller->epoll_fd < 0 || poller->wake_fd < 0 ||
        epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->wake_fd, &event)) {
        int err = message_errno(message, ERR_IO, "poller");
        poller_free(poller);
        return err;
    }
    *ret_poller = poller;
    return 0;
}

int poller_add(struct poller *poller, struct driver *driver, const char *name)
{
    if (poller->count == POLLER_DRIVERS_MAX)
        return ERR_FULL;
    poller->slots[poller->count++] = (struct slot){.driver = driver, .name = name};
    return 0;
}

static void watch(struct poller *poller, size_t index, const struct driver_want *want)
{
    struct epoll_event event = {.events = want->events, .data.u32 = (uint32_t)index};
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_MOD, want->fd, &event) && errno == ENOENT)
        /* A descriptor that cannot be watched is looked at when the driver's time comes. */
        epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, want->fd, &event);
}

/* Waits for what the driver now wants, and no longer for what it wanted before. */
static void renew_wants(struct poller *poller, size_t index)
{
    struct slot *slot = &poller->slots[index];
    struct driver_wants wants;
    driver_wants(slot->driver, &wants);
    poller->due_us[index] = wants.due_us;
    if (wants.same)
        return;
    for (size_t i = 0; i < slot->fd_count; i++) {
        bool kept = false;
        for (size_t n = 0; n < wants.count; n++)
            kept |= wants.list[n].fd == slot->fds[i];
        if (!kept)
            epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, slot->fds[i], NULL);
    }
    slot->fd_count = wants.count < WANTS_MAX ? wants.count : WANTS_MAX;
    for (size_t n = 0; n < slot->fd_count; n++) {
        slot->fds[n] = wants.list[n].fd;
        watch(poller, index, &wants.list[n]);
    }
}

static void step_slot(struct poller *poller, size_t index)
{
    struct slot *slot = &poller->slots[index];
    driver_step(slot->driver, clock_read(clock_real()), slot->ready, slot->ready_count);
    slot->ready_count = 0;
    renew_wants(poller, index);
    struct driver_status status;
    driver_status(slot->driver, &status);
    pthread_mutex_lock(&poller->lock);
    slot->status = status;
    pthread_mutex_unlock(&poller->lock);
}

static int64_t earliest_due(const struct poller *poller)
{
    int64_t due_us = NEVER;
    for (size_t i = 0; i < poller->count; i++)
        if (poller->due_us[i] < due_us)
            due_us = poller->due_us[i];
    return due_us;
}

/* Waits to the microsecond: a poll must not begin a millisecond late. */
static int wait_events(struct poller *poller, struct epoll_event *events)
{
    int64_t due_us = earliest_due(poller);
    int64_t wait_us = due_us == NEVER ? NEVER : due_us - clock_read(clock_real()).mono_us;
    if (wait_us < 0)
        wait_us = 0;
    struct timespec wait = {wait_us / US_PER_S, wait_us % US_PER_S * 1000};
    return epoll_pwait2(poller->epoll_fd, events, EVENTS_MAX, wait_us == NEVER ? NULL : &wait,
                        NULL);
}

static void note_events(struct poller *poller, const struct epoll_event *events, int count)
{
    /* The descriptor is not told by epoll beside the index: all of the driver's are reported. */
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == WAKE_INDEX) {
            eventfd_t wakes;
            (void)eventfd_read(poller->wake_fd, &wakes);
            continue;
        }
        struct slot *slot = &poller->slots[events[i].data.u32];
        poller->due_us[events[i].data.u32] = INT64_MIN;
        slot->ready_count = slot->fd_count;
        for (size_t n = 0; n < slot->fd_count; n++)
            slot->ready[n] = (struct driver_ready){slot->fds[n], events[i].events};
    }
}

static void receive_visit(struct poller *poller)
{
    pthread_mutex_lock(&poller->lock);
    struct visit *visit = poller->visit;
    pthread_mutex_unlock(&poller->lock);
    if (!visit)
        return;
    visit->run(visit->self, poller->slots[visit->index].driver, clock_read(clock_real()));
    step_slot(poller, visit->index);
    pthread_mutex_lock(&poller->lock);
    visit->done = true;
    poller->visit = NULL;
    pthread_cond_broadcast(&poller->visited);
    pthread_mutex_unlock(&poller->lock);
}

static void close_door(struct poller *poller)
{
    pthread_mutex_lock(&poller->lock);
    poller->running = false;
    pthread_cond_broadcast(&poller->visited);
    pthread_mutex_unlock(&poller->lock);
}

static void *run(void *self)
{
    struct poller *poller = self;
    struct epoll_event events[EVENTS_MAX];
    for (size_t i = 0; i < poller->count; i++)
        step_slot(poller, i);
    while (!atomic_load(&poller->stopping)) {
        int count = wait_events(poller, events);
        note_events(poller, events, count > 0 ? count : 0);
        int64_t now_us = clock_read(clock_real()).mono_us;
        for (size_t i = 0; i < poller->count; i++)
            if (poller->due_us[i] <= now_us)
                step_slot(poller, i);
        receive_visit(poller);
    }
    close_door(poller);
    return NULL;
}

int poller_start(struct poller *poller, struct message *message)
{
    sigset_t all, before;
    sigfillset(&all);
    poller->running = true;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&poller->thread, NULL, run, poller);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) {
        close_door(poller);
        return message_set(message, ERR_NO_MEMORY, "cannot start the poller: %s", strerror(rc));
    }
    pthread_setname_np(poller->thread, "poller");
    poller->started = true;
    return 0;
}

/* Fails only when it is readable already. */
static void wake(struct poller *poller)
{
    (void)eventfd_write(poller->wake_fd, 1);
}

void poller_stop(struct poller *poller)
{
    if (!poller->started)
        return;
    atomic_store(&poller->stopping, true);
    wake(poller);
    pthread_join(poller->thread, NULL);
    poller->started = false;
}

void poller_free(struct poller *poller)
{
    if (!poller)
        return;
    poller_stop(poller);
    for (size_t i = 0; i < poller->count; i++)
        driver_close(poller->slots[i].driver);
    if (poller->epoll_fd >= 0)
        close(poller->epoll_fd);
    if (poller->wake_fd >= 0)
        close(poller->wake_fd);
    pthread_cond_destroy(&poller->visited);
    pthread_mutex_destroy(&poller->lock);
    free(poller);
}

size_t poller_count(const struct poller *poller)
{
    return poller->count;
}

int poller_visit(struct poller *poller, size_t index, poller_visit_fn *visit, void *self)
{
    struct visit own = {.run = visit, .self = self, .index = index};
    pthread_mutex_lock(&poller->lock);
    while (poller->running && poller->visit)
        pthread_cond_wait(&poller->visited, &poller->lock);
    if (poller->running) {
        poller->visit = &own;
        wake(poller);
    }
    while (poller->running && !own.done)
        pthread_cond_wait(&poller->visited, &poller->lock);
    if (poller->visit == &own)
        poller->visit = NULL;
    pthread_mutex_unlock(&poller->lock);
    return own.done ? 0 : ERR_CLOSED;
}

void poller_get_status(struct poller *poller, size_t index, struct poller_status *ret_status)
{
    struct slot *slot = &poller->slots[index];
    ret_status->name = slot->name;
    pthread_mutex_lock(&poller->lock);
    ret_status->driver = slot->status;
    pthread_mutex_unlock(&poller->lock);
}
