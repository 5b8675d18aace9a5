#include "base/queue.h"

#include "base/error.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static bool readable(struct queue *queue)
{
    struct pollfd fd = {.fd = queue_fd(queue), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static void items_come_out_in_the_order_they_went_in(void **state)
{
    struct queue *queue = queue_new(3, sizeof(int), NULL);
    int next_in = 0;
    int next_out = 0;
    (void)state;
    assert_non_null(queue);
    /* Two in, one out, then one in, one out: the ring wraps at every fill level. */
    for (int round = 0; round < 20; round++) {
        while (queue_push(queue, &next_in) == 0)
            next_in++;
        for (int i = 0; i <= round % 3; i++) {
            int item = -1;
            assert_int_equal(queue_pop(queue, &item), 0);
            assert_int_equal(item, next_out++);
        }
    }
    assert_int_equal(queue_depth(queue), (size_t)(next_in - next_out));
    queue_free(queue);
}

static void a_full_queue_refuses_and_counts(void **state)
{
    struct queue *queue = queue_new(2, sizeof(int), NULL);
    int item = 7;
    (void)state;
    assert_int_equal(queue_push(queue, &item), 0);
    assert_int_equal(queue_push(queue, &item), 0);
    assert_int_equal(queue_push(queue, &item), ERR_FULL);
    assert_int_equal(queue_push(queue, &item), ERR_FULL);
    assert_int_equal(queue_refused(queue), 2);
    assert_int_equal(queue_depth(queue), 2);
    assert_int_equal(queue_pop(queue, &item), 0);
    assert_int_equal(queue_push(queue, &item), 0);
    assert_int_equal(queue_refused(queue), 2);
    queue_free(queue);
}

static void an_empty_queue_says_again_and_leaves_the_item_alone(void **state)
{
    struct queue *queue = queue_new(2, sizeof(int), NULL);
    int item = 7;
    (void)state;
    assert_int_equal(queue_pop(queue, &item), ERR_AGAIN);
    assert_int_equal(item, 7);
    assert_int_equal(queue_depth(queue), 0);
    queue_free(queue);
}

static void a_closed_queue_gives_out_what_it_holds_and_takes_nothing(void **state)
{
    struct queue *queue = queue_new(2, sizeof(int), NULL);
    int item = 7;
    (void)state;
    assert_int_equal(queue_push(queue, &item), 0);
    queue_close(queue);
    assert_int_equal(queue_push(queue, &item), ERR_CLOSED);
    assert_int_equal(queue_refused(queue), 0);
    item = 0;
    assert_int_equal(queue_pop(queue, &item), 0);
    assert_int_equal(item, 7);
    assert_int_equal(queue_pop(queue, &item), ERR_CLOSED);
    queue_close(queue);
    assert_int_equal(queue_pop(queue, &item), ERR_CLOSED);
    queue_free(queue);
}

static void the_descriptor_is_readable_while_items_wait(void **state)
{
    struct queue *queue = queue_new(2, sizeof(int), NULL);
    int item = 7;
    (void)state;
    assert_false(readable(queue));
    assert_int_equal(queue_pop(queue, &item), ERR_AGAIN);
    assert_false(readable(queue));
    assert_int_equal(queue_push(queue, &item), 0);
    assert_true(readable(queue));
    assert_int_equal(queue_push(queue, &item), 0);
    assert_int_equal(queue_push(queue, &item), ERR_FULL);
    assert_int_equal(queue_pop(queue, &item), 0);
    assert_true(readable(queue));
    assert_int_equal(queue_pop(queue, &item), 0);
    assert_false(readable(queue));
    queue_free(queue);
}

static void the_descriptor_stays_readable_once_closed(void **state)
{
    struct queue *empty = queue_new(2, sizeof(int), NULL);
    struct queue *filled = queue_new(2, sizeof(int), NULL);
    int item = 7;
    (void)state;
    queue_close(empty);
    assert_true(readable(empty));
    assert_int_equal(queue_pop(empty, &item), ERR_CLOSED);
    assert_true(readable(empty));

    assert_int_equal(queue_push(filled, &item), 0);
    queue_close(filled);
    assert_int_equal(queue_pop(filled, &item), 0);
    assert_true(readable(filled));
    queue_free(empty);
    queue_free(filled);
}

static void release_text(void *item)
{
    char **text = item;
    function_called();
    free(*text);
}

static void what_is_left_is_released_once(void **state)
{
    struct queue *queue = queue_new(3, sizeof(char *), release_text);
    char *text = NULL;
    (void)state;
    for (int i = 0; i < 3; i++) {
        text = malloc(8);
        assert_int_equal(queue_push(queue, &text), 0);
    }
    assert_int_equal(queue_pop(queue, &text), 0);
    free(text);
    expect_function_calls(release_text, 2);
    queue_free(queue);
}

static void freeing_nothing_is_fine_and_nothing_cannot_be_queued(void **state)
{
    (void)state;
    queue_free(NULL);
    assert_null(queue_new(0, sizeof(int), NULL));
    assert_null(queue_new(1, 0, NULL));
    assert_null(queue_new(SIZE_MAX / 2, 16, NULL)); /* no address space is that large */
}

#define PRODUCERS    3
#define CONSUMERS    2
#define PER_PRODUCER 5000

struct traffic {
    struct queue *queue;
    uint64_t sum;
    uint64_t count;
    uint32_t first;
};

static void *produce(void *arg)
{
    struct traffic *traffic = arg;
    for (uint32_t i = 0; i < PER_PRODUCER; i++) {
        uint32_t item = traffic->first + i;
        while (queue_push(traffic->queue, &item) == ERR_FULL)
            sched_yield();
        traffic->sum += item;
        traffic->count++;
    }
    return NULL;
}

static void *consume(void *arg)
{
    struct traffic *traffic = arg;
    struct pollfd fd = {.fd = queue_fd(traffic->queue), .events = POLLIN};
    for (;;) {
        uint32_t item = 0;
        poll(&fd, 1, -1);
        int err = queue_pop(traffic->queue, &item);
        if (err == ERR_CLOSED)
            return NULL;
        if (err == 0) {
            traffic->sum += item;
            traffic->count++;
        }
    }
}

static void many_threads_lose_and_double_nothing(void **state)
{
    struct queue *queue = queue_new(16, sizeof(uint32_t), NULL);
    struct traffic in[PRODUCERS];
    struct traffic out[CONSUMERS];
    pthread_t producers[PRODUCERS];
    pthread_t consumers[CONSUMERS];
    uint64_t sum = 0;
    uint64_t count = 0;
    (void)state;
    for (size_t i = 0; i < CONSUMERS; i++) {
        out[i] = (struct traffic){.queue = queue};
        assert_int_equal(pthread_create(&consumers[i], NULL, consume, &out[i]), 0);
    }
    for (size_t i = 0; i < PRODUCERS; i++) {
        in[i] = (struct traffic){.queue = queue, .first = (uint32_t)i * 1000003};
        assert_int_equal(pthread_create(&producers[i], NULL, produce, &in[i]), 0);
    }
    for (size_t i = 0; i < PRODUCERS; i++) {
        pthread_join(producers[i], NULL);
        sum += in[i].sum;
        count += in[i].count;
    }
    queue_close(queue);
    for (size_t i = 0; i < CONSUMERS; i++) {
        pthread_join(consumers[i], NULL);
        sum -= out[i].sum;
        count -= out[i].count;
    }
    assert_int_equal(sum, 0);
    assert_int_equal(count, 0);
    assert_int_equal(queue_depth(queue), 0);
    queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_the_order_they_went_in),
        cmocka_unit_test(a_full_queue_refuses_and_counts),
        cmocka_unit_test(an_empty_queue_says_again_and_leaves_the_item_alone),
        cmocka_unit_test(a_closed_queue_gives_out_what_it_holds_and_takes_nothing),
        cmocka_unit_test(the_descriptor_is_readable_while_items_wait),
        cmocka_unit_test(the_descriptor_stays_readable_once_closed),
        cmocka_unit_test(what_is_left_is_released_once),
        cmocka_unit_test(freeing_nothing_is_fine_and_nothing_cannot_be_queued),
        cmocka_unit_test(many_threads_lose_and_double_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
