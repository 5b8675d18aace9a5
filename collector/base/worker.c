/*
 * Between two steps the thread sleeps in ppoll on its own eventfd and on wait_fd, until the due
 * time. Whether to run and to stop stands in two atomics; the eventfd only ends the sleep. A
 * wake sets its flag before it writes, and the thread reads the eventfd before it takes the
 * flag: no wake is lost, and what the waker wrote before is seen by the step.
 */
#include "base/worker.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NAME_SIZE 16 /* the kernel's bound, with the NUL */

/* The system's timeouts stand still while the machine is suspended, our clock goes on: look at
 * it again at least this often. */
#define MAX_SLEEP_US (60 * (int64_t)US_PER_S)

struct worker {
    pthread_t thread;
    char name[NAME_SIZE];
    worker_step *step;
    void *self;
    struct clock *clock;
    int wait_fd;
    int wake_fd;
    atomic_bool woken;
    atomic_bool stopping;
};

/* How long to sleep at most until `due`; NULL is for ever. */
static const struct timespec *sleep_until(struct worker *worker, int64_t due_us,
                                          struct timespec *timeout)
{
    if (due_us == NEVER)
        return NULL;
    int64_t now_us = clock_read(worker->clock).mono_us;
    int64_t us = due_us <= now_us ? 0 : due_us - now_us;
    if (us > MAX_SLEEP_US)
        us = MAX_SLEEP_US;
    timeout->tv_sec = us / US_PER_S;
    timeout->tv_nsec = us % US_PER_S * 1000;
    return timeout;
}

/* Sleeps until `due` or an event; true when the step must run even before it is due. */
static bool wait_for_event(struct worker *worker, int64_t due_us)
{
    struct pollfd fds[] = {
        {.fd = worker->wake_fd, .events = POLLIN},
        {.fd = worker->wait_fd, .events = POLLIN}, /* poll passes over -1 */
    };
    struct timespec timeout;
    if (ppoll(fds, 2, sleep_until(worker, due_us, &timeout), NULL) <= 0)
        return false;
    if (fds[0].revents != 0) {
        eventfd_t count;
        (void)eventfd_read(worker->wake_fd, &count);
    }
    return atomic_exchange(&worker->woken, false) || fds[1].revents != 0;
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    /* A thread without its name works as well. */
    (void)pthread_setname_np(pthread_self(), worker->name);

    int64_t due_us = INT64_MIN;
    bool must_run = true;
    while (!atomic_load(&worker->stopping)) {
        struct now now = clock_read(worker->clock);
        if (must_run || now.mono_us >= due_us)
            due_us = worker->step(worker->self, now);
        must_run = wait_for_event(worker, due_us);
    }
    return NULL;
}

/* Starts the thread with every signal blocked but those of its own faults. */
static int start_thread(struct worker *worker)
{
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int err = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

struct worker *worker_start(const char *name, worker_step *step, void *self, struct clock *clock,
                            int wait_fd)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    snprintf(worker->name, sizeof worker->name, "%s", name);
    worker->step = step;
    worker->self = self;
    worker->clock = clock;
    worker->wait_fd = wait_fd;
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->wake_fd < 0)
        goto out;
    if (start_thread(worker) != 0)
        goto out;
    return worker;

out:
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    free(worker);
    return NULL;
}

void worker_wake(struct worker *worker)
{
    atomic_store(&worker->woken, true);
    /* Fails only with the counter at its end, and then it is readable anyway. */
    (void)eventfd_write(worker->wake_fd, 1);
}

void worker_stop(struct worker *worker)
{
    if (worker == NULL)
        return;
    atomic_store(&worker->stopping, true);
    (void)eventfd_write(worker->wake_fd, 1);
    pthread_join(worker->thread, NULL);
    close(worker->wake_fd);
    free(worker);
}
