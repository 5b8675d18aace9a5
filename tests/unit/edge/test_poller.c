/* Visits: run on the poller's thread, one after the other, and refused once it has ended. */
#include "edge/poller.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define VISITORS 4
#define VISITS   500

/* A driver that wants nothing, and knows its thread. */
struct quiet {
    struct driver driver;
    pthread_t thread;
    unsigned steps, visits;
};

static void quiet_step(struct driver *driver, struct now now, const struct driver_ready *ready,
                       size_t count)
{
    struct quiet *self = (struct quiet *)driver;
    (void)now;
    (void)ready;
    (void)count;
    self->thread = pthread_self();
    self->steps++;
}

static void quiet_wants(const struct driver *driver, struct driver_wants *ret_wants)
{
    (void)driver;
    *ret_wants = (struct driver_wants){.due_us = NEVER};
}

static void quiet_status(const struct driver *driver, struct driver_status *ret_status)
{
    (void)driver;
    *ret_status = (struct driver_status){.up = true};
}

static void quiet_close(struct driver *driver)
{
    free(driver);
}

static const struct driver_ops quiet_ops = {quiet_step, quiet_wants, quiet_status, quiet_close};

static struct poller *poller_of(size_t drivers)
{
    struct poller *poller = NULL;
    assert_int_equal(poller_new(&poller, NULL), 0);
    for (size_t i = 0; i < drivers; i++) {
        struct quiet *quiet = calloc(1, sizeof(*quiet));
        quiet->driver.ops = &quiet_ops;
        assert_int_equal(poller_add(poller, &quiet->driver, "quiet"), 0);
    }
    return poller;
}

/* What a visit saw. */
struct seen {
    bool on_its_thread;
    unsigned steps;
};

static void look(void *self, struct driver *driver, struct now now)
{
    struct seen *seen = self;
    struct quiet *quiet = (struct quiet *)driver;
    (void)now;
    quiet->visits++;
    seen->on_its_thread = pthread_equal(quiet->thread, pthread_self()) != 0;
    seen->steps = quiet->steps;
}

static void a_visit_runs_on_the_thread_and_the_driver_is_stepped_after(void **state)
{
    struct poller *poller = poller_of(2);
    struct seen first = {false, 0}, second = {false, 0};
    (void)state;
    assert_int_equal(poller_start(poller, NULL), 0);
    assert_int_equal(poller_visit(poller, 1, look, &first), 0);
    assert_int_equal(poller_visit(poller, 1, look, &second), 0);
    assert_true(first.on_its_thread && second.on_its_thread);
    assert_int_equal(second.steps, first.steps + 1);
    poller_free(poller);
}

static void *visit_often(void *self)
{
    struct seen seen;
    for (int i = 0; i < VISITS; i++)
        if (poller_visit(self, 0, look, &seen))
            return self;
    return NULL;
}

static void count_visits(void *self, struct driver *driver, struct now now)
{
    (void)now;
    *(unsigned *)self = ((struct quiet *)driver)->visits;
}

static void many_visitors_are_all_received(void **state)
{
    struct poller *poller = poller_of(1);
    pthread_t visitors[VISITORS];
    unsigned visits = 0;
    (void)state;
    assert_int_equal(poller_start(poller, NULL), 0);
    for (int i = 0; i < VISITORS; i++)
        assert_int_equal(pthread_create(&visitors[i], NULL, visit_often, poller), 0);
    for (int i = 0; i < VISITORS; i++) {
        void *failed;
        pthread_join(visitors[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(poller_visit(poller, 0, count_visits, &visits), 0);
    assert_int_equal(visits, VISITORS * VISITS);
    poller_free(poller);
}

static void without_its_thread_nobody_is_received(void **state)
{
    struct poller *poller = poller_of(1);
    struct seen seen;
    (void)state;
    assert_int_equal(poller_visit(poller, 0, look, &seen), ERR_CLOSED);
    assert_int_equal(poller_start(poller, NULL), 0);
    poller_stop(poller);
    assert_int_equal(poller_visit(poller, 0, look, &seen), ERR_CLOSED);
    poller_free(poller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_visit_runs_on_the_thread_and_the_driver_is_stepped_after),
        cmocka_unit_test(many_visitors_are_all_received),
        cmocka_unit_test(without_its_thread_nobody_is_received),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
