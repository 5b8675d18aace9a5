/*
 * A named thread around a step: it runs the step when its time has come, when a descriptor it
 * waits on is ready, or when somebody wakes it. The step does the work and says when it wants to
 * run next; tests call the step themselves, with a virtual clock.
 */
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include "base/attributes.h"
#include "base/clock.h"

struct worker;

/* Does what is due and returns the monotonic time (µs) of the next run, or NEVER. */
typedef int64_t worker_step(void *self, struct now now);

/*
 * Starts the thread, which runs the step at once. `name` (at most 15 bytes) is shown by the
 * system. `wait_fd` (or -1) wakes it as well, for as long as it is readable: a step that does
 * not empty it runs again and again. NULL when the thread cannot be made. `self`, `clock` and
 * `wait_fd` outlive the worker. Signals are blocked in it: they belong to the main thread.
 */
struct worker *worker_start(const char *name, worker_step *step, void *self, struct clock *clock,
                            int wait_fd);

/* Runs the step soon. Any thread. */
void worker_wake(struct worker *worker);

/* Lets a running step end, joins the thread and frees the worker. NULL is fine. */
void worker_stop(struct worker *worker);

#endif
