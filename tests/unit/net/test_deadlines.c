#include "net/deadlines.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define INTERVAL_US 1000

static bool ended(int fd, int wait_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&poll_fd, 1, wait_ms) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void what_is_late_is_shut_down_and_counted(void **state)
{
    int pair[2];
    uint64_t cut = 0;
    unsigned int watched = 0;
    struct deadlines *deadlines = deadlines_start(INTERVAL_US, clock_real());
    (void)state;
    assert_non_null(deadlines);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct deadline *deadline = deadline_add(deadlines, pair[0], 1);
    assert_non_null(deadline);
    assert_true(ended(pair[1], 10000));
    deadlines_count(deadlines, &watched, &cut);
    assert_int_equal(watched, 1);
    assert_int_equal(cut, 1);
    deadline_remove(deadline);
    deadlines_count(deadlines, &watched, NULL);
    assert_int_equal(watched, 0);
    deadlines_stop(deadlines);
    close(pair[0]);
    close(pair[1]);
}

static void what_is_suspended_or_not_due_is_left_alone(void **state)
{
    int pairs[3][2];
    struct deadline *deadline[3];
    uint64_t cut = 0;
    struct deadlines *deadlines = deadlines_start(INTERVAL_US, clock_real());
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        deadline[i] = deadline_add(deadlines, pairs[i][0], 60000);
        assert_non_null(deadline[i]);
    }
    deadline_suspend(deadline[0]);
    deadline_set(deadline[1], 0);
    /* When the one that is due has ended, the others have been looked at as well. */
    assert_true(ended(pairs[1][1], 10000));
    assert_false(ended(pairs[0][1], 0));
    assert_false(ended(pairs[2][1], 0));
    deadlines_count(deadlines, NULL, &cut);
    assert_int_equal(cut, 1);
    for (int i = 0; i < 3; i++) {
        deadline_remove(deadline[i]);
        close(pairs[i][0]);
        close(pairs[i][1]);
    }
    deadlines_stop(deadlines);
}

static void a_descriptor_used_anew_is_not_touched(void **state)
{
    int old[2];
    int fresh[2];
    struct deadlines *deadlines = deadlines_start(INTERVAL_US, clock_real());
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, old), 0);
    struct deadline *deadline = deadline_add(deadlines, old[0], 60000);
    int number = old[0];
    close(old[0]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fresh), 0);
    assert_true(fresh[0] == number || fresh[1] == number);
    deadline_set(deadline, 0);
    assert_true(ended(old[1], 10000));
    assert_false(ended(fresh[0], 0));
    assert_false(ended(fresh[1], 0));
    deadline_remove(deadline);
    deadlines_stop(deadlines);
    close(old[1]);
    close(fresh[0]);
    close(fresh[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_late_is_shut_down_and_counted),
        cmocka_unit_test(what_is_suspended_or_not_due_is_left_alone),
        cmocka_unit_test(a_descriptor_used_anew_is_not_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
