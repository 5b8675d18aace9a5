/* The last frames, kept in little room. */
#include "drivers/modbus/frame_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct frame_note notes[200];

static void an_empty_ring_has_nothing(void **state)
{
    struct frame_ring ring = {.used = 0};
    (void)state;
    assert_int_equal(frame_ring_copy(&ring, notes, 200), 0);
}

static void frames_come_back_in_order(void **state)
{
    struct frame_ring ring = {.used = 0};
    (void)state;
    frame_ring_add(&ring, 5, FRAME_SENT, (const uint8_t *)"abc", 3);
    frame_ring_add(&ring, 7, FRAME_MISSED, NULL, 0);
    frame_ring_add(&ring, 9, FRAME_TAKEN, (const uint8_t *)"defgh", 5);
    assert_int_equal(frame_ring_copy(&ring, notes, 200), 3);
    assert_int_equal(notes[0].at_us, 5);
    assert_int_equal(notes[0].kind, FRAME_SENT);
    assert_int_equal(notes[0].len, 3);
    assert_memory_equal(notes[0].bytes, "abc", 3);
    assert_int_equal(notes[1].kind, FRAME_MISSED);
    assert_int_equal(notes[1].len, 0);
    assert_memory_equal(notes[2].bytes, "defgh", 5);
    /* The newest, where there is little room. */
    assert_int_equal(frame_ring_copy(&ring, notes, 1), 1);
    assert_int_equal(notes[0].kind, FRAME_TAKEN);
    assert_int_equal(frame_ring_copy(&ring, notes, 0), 0);
}

static void the_oldest_give_way(void **state)
{
    struct frame_ring ring = {.used = 0};
    uint8_t bytes[300];
    size_t sizes[1000];

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        sizes[i] = i * 37 % 300;
        memset(bytes, (int)i, sizeof bytes);
        frame_ring_add(&ring, (int64_t)i, FRAME_REFUSED, bytes, sizes[i]);
        size_t count = frame_ring_copy(&ring, notes, 200);
        assert_true(count > 0 && (count >= 7 || i < 7));
        for (size_t n = 0; n < count; n++) {
            size_t own = i + 1 - count + n;
            size_t len = sizes[own] < FRAME_NOTE_MAX ? sizes[own] : FRAME_NOTE_MAX;
            memset(bytes, (int)own, sizeof bytes);
            assert_int_equal(notes[n].at_us, own);
            assert_int_equal(notes[n].len, len);
            assert_memory_equal(notes[n].bytes, bytes, len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_ring_has_nothing),
        cmocka_unit_test(frames_come_back_in_order),
        cmocka_unit_test(the_oldest_give_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
