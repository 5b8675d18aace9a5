#include "base/worker.h"

#include "base/queue.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

/* A clock that threads may share, set by the test. */
struct shared_clock {
    struct clock clock; /* first */
    _Atomic int64_t mono_us;
    atomic_int reads;
};

static struct now shared_read(struct clock *clock)
{
    struct shared_clock *shared = (struct shared_clock *)clock;
    struct now now = {.mono_us = atomic_load(&shared->mono_us)};
    atomic_fetch_add(&shared->reads, 1);
    return now;
}

/* What the step saw, and what it shall answer. `ran` is posted after each run. */
struct probe {
    struct shared_clock clock;
    _Atomic int64_t answer;
    _Atomic int64_t seen_us;
    atomic_int runs;
    int ran;
    struct queue *queue;
    atomic_int taken;
    char name[16];
    sigset_t blocked;
};

static int64_t step(void *self, struct now now)
{
    struct probe *probe = self;
    int item = 0;
    /* Before the test hears of this run and changes it for the next. */
    int64_t answer = atomic_load(&probe->answer);
    if (probe->queue != NULL && queue_pop(probe->queue, &item) == 0)
        atomic_fetch_add(&probe->taken, item);
    pthread_getname_np(pthread_self(), probe->name, sizeof probe->name);
    pthread_sigmask(SIG_SETMASK, NULL, &probe->blocked);
    atomic_store(&probe->seen_us, now.mono_us);
    atomic_fetch_add(&probe->runs, 1);
    eventfd_write(probe->ran, 1);
    return answer;
}

static void probe_init(struct probe *probe)
{
    memset(probe, 0, sizeof *probe);
    probe->clock.clock.read = shared_read;
    atomic_store(&probe->clock.mono_us, 1000);
    atomic_store(&probe->answer, NEVER);
    probe->ran = eventfd(0, EFD_CLOEXEC);
    assert_true(probe->ran >= 0);
}

/* Waits until the step has run since the last call. */
static void wait_for_run(struct probe *probe)
{
    eventfd_t count;
    assert_int_equal(eventfd_read(probe->ran, &count), 0);
}

static void it_runs_at_once_and_then_when_woken(void **state)
{
    struct probe probe;
    (void)state;
    probe_init(&probe);
    struct worker *worker = worker_start("probe", step, &probe, &probe.clock.clock, -1);
    assert_non_null(worker);
    wait_for_run(&probe);
    assert_int_equal(probe.seen_us, 1000);
    for (int i = 0; i < 100; i++) {
        int64_t now_us = 2000 + i;
        atomic_store(&probe.clock.mono_us, now_us);
        worker_wake(worker);
        wait_for_run(&probe);
        assert_int_equal(probe.seen_us, now_us);
    }
    worker_stop(worker);
    assert_int_equal(probe.runs, 101); /* and not once more */
    close(probe.ran);
}

static void it_runs_when_the_time_has_come_by_its_clock(void **state)
{
    struct probe probe;
    (void)state;
    probe_init(&probe);
    atomic_store(&probe.answer, 3000); /* 2 ms ahead of a clock that stands */
    struct worker *worker = worker_start("probe", step, &probe, &probe.clock.clock, -1);
    wait_for_run(&probe);
    atomic_store(&probe.answer, NEVER);
    atomic_store(&probe.clock.mono_us, 3000);
    wait_for_run(&probe);
    assert_int_equal(probe.seen_us, 3000);
    worker_stop(worker);
    assert_int_equal(probe.runs, 2);
    close(probe.ran);
}

static void it_does_not_run_before_its_time(void **state)
{
    struct probe probe;
    (void)state;
    probe_init(&probe);
    atomic_store(&probe.answer, 1500); /* half a millisecond ahead of a clock that stands */
    struct worker *worker = worker_start("probe", step, &probe, &probe.clock.clock, -1);
    wait_for_run(&probe);
    /* It looks at the clock after each sleep. */
    int reads = atomic_load(&probe.clock.reads);
    while (atomic_load(&probe.clock.reads) < reads + 10)
        sched_yield();
    worker_stop(worker);
    assert_int_equal(probe.runs, 1);
    close(probe.ran);
}

static void a_time_in_the_past_runs_again_at_once_and_can_be_stopped(void **state)
{
    struct probe probe;
    (void)state;
    probe_init(&probe);
    atomic_store(&probe.answer, 0);
    struct worker *worker = worker_start("probe", step, &probe, &probe.clock.clock, -1);
    while (atomic_load(&probe.runs) < 50)
        wait_for_run(&probe);
    worker_stop(worker);
    close(probe.ran);
}

static void a_readable_descriptor_runs_it_until_it_is_empty(void **state)
{
    struct probe probe;
    (void)state;
    probe_init(&probe);
    probe.queue = queue_new(8, sizeof(int), NULL);
    struct worker *worker =
        worker_start("probe", step, &probe, &probe.clock.clock, queue_fd(probe.queue));
    wait_for_run(&probe);
    for (int i = 1; i <= 4; i++)
        assert_int_equal(queue_push(probe.queue, &i), 0);
    /* The step takes one item a run: it is run for each. */
    while (atomic_load(&probe.taken) < 1 + 2 + 3 + 4)
        wait_for_run(&probe);
    worker_stop(worker);
    assert_int_equal(probe.runs, 5);
    queue_free(probe.queue);
    close(probe.ran);
}

static void the_real_clock_times_it_too(void **state)
{
    struct probe probe;
    (void)state;
    probe_init(&probe);
    int64_t due_us = clock_read(clock_real()).mono_us + 3000;
    atomic_store(&probe.answer, due_us);
    struct worker *worker = worker_start("probe", step, &probe, clock_real(), -1);
    while (atomic_load(&probe.runs) < 2)
        wait_for_run(&probe);
    assert_true(atomic_load(&probe.seen_us) >= due_us);
    worker_stop(worker);
    close(probe.ran);
}

static void the_thread_has_its_name_cut_and_takes_no_signals(void **state)
{
    struct probe probe;
    sigset_t before;
    sigset_t after;
    (void)state;
    probe_init(&probe);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    struct worker *worker =
        worker_start("a-name-that-is-too-long", step, &probe, &probe.clock.clock, -1);
    wait_for_run(&probe);
    worker_stop(worker);
    assert_string_equal(probe.name, "a-name-that-is-");
    assert_true(sigismember(&probe.blocked, SIGTERM));
    assert_true(sigismember(&probe.blocked, SIGINT));
    assert_true(sigismember(&probe.blocked, SIGPIPE));
    assert_true(sigismember(&probe.blocked, SIGHUP));
    assert_false(sigismember(&probe.blocked, SIGSEGV));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
    close(probe.ran);
}

static void stopping_nothing_is_fine(void **state)
{
    (void)state;
    worker_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_at_once_and_then_when_woken),
        cmocka_unit_test(it_runs_when_the_time_has_come_by_its_clock),
        cmocka_unit_test(it_does_not_run_before_its_time),
        cmocka_unit_test(a_time_in_the_past_runs_again_at_once_and_can_be_stopped),
        cmocka_unit_test(a_readable_descriptor_runs_it_until_it_is_empty),
        cmocka_unit_test(the_real_clock_times_it_too),
        cmocka_unit_test(the_thread_has_its_name_cut_and_takes_no_signals),
        cmocka_unit_test(stopping_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
