/*
 * RTU requests out of a stream: vectors, frames in any pieces, and all that is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "drivers/simulator/noise.h"
#include "drivers/simulator/rtu_frame.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SILENCE_US   4000

/* Requests without their CRC, one of each function of known length. */
static const struct request {
    size_t len;
    uint8_t bytes[16];
} requests[] = {
    {6, {1, 1, 0, 19, 0, 37}},
    {6, {2, 2, 0, 196, 0, 22}},
    {6, {3, 3, 0, 107, 0, 3}},
    {6, {4, 4, 0, 8, 0, 1}},
    {6, {5, 5, 0, 172, 255, 0}},
    {6, {6, 6, 0, 1, 0, 3}},
    {9, {15, 15, 0, 19, 0, 10, 2, 205, 1}},
    {11, {16, 16, 0, 1, 0, 2, 4, 0, 10, 1, 2}},
    {8, {22, 22, 0, 4, 0, 242, 0, 37}},
    {15, {247, 23, 0, 3, 0, 6, 0, 14, 0, 2, 4, 0, 255, 1, 2}},
};

/* Adds the CRC; the whole size. */
static size_t seal(uint8_t *frame, size_t len)
{
    uint16_t crc = rtu_crc(frame, len);
    frame[len] = (uint8_t)crc;
    frame[len + 1] = (uint8_t)(crc >> 8);
    return len + 2;
}

static size_t make(const struct request *request, uint8_t *frame)
{
    memcpy(frame, request->bytes, request->len);
    return seal(frame, request->len);
}

static void put(struct rtu_receiver *receiver, const uint8_t *bytes, size_t len, int64_t now_us)
{
    assert_int_equal(rtu_receiver_put(receiver, bytes, len, now_us), len);
}

static void expect_frame(struct rtu_receiver *receiver, int64_t now_us, const uint8_t *frame,
                         size_t len)
{
    uint8_t got[RTU_FRAME_MAX];
    assert_int_equal(rtu_receiver_take(receiver, now_us, got), len);
    assert_memory_equal(got, frame, len);
}

static void expect_none(struct rtu_receiver *receiver, int64_t now_us)
{
    uint8_t got[RTU_FRAME_MAX];
    assert_int_equal(rtu_receiver_take(receiver, now_us, got), 0);
}

static void the_crc_is_that_of_the_field(void **state)
{
    (void)state;
    /* As other makers print them. */
    static const uint8_t vectors[][8] = {
        {0x01, 0x03, 0x00, 0x0A, 0x00, 0x14, 0x65, 0xC7},
        {0x11, 0x03, 0x00, 0x6B, 0x00, 0x03, 0x76, 0x87},
        {0x01, 0x04, 0x00, 0x00, 0x00, 0x01, 0x31, 0xCA},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        assert_int_equal(rtu_crc(vectors[i], 6), vectors[i][6] | vectors[i][7] << 8);
        assert_int_equal(rtu_crc(vectors[i], 8), 0);
    }
    assert_int_equal(rtu_crc((const uint8_t *)"123456789", 9), 0x4B37);
    assert_int_equal(rtu_crc(NULL, 0), 0xFFFF);
}

static void the_size_is_told_as_soon_as_it_can_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++) {
        uint8_t frame[RTU_FRAME_MAX];
        size_t len = make(&requests[i], frame);
        bool counted = frame[1] == 15 || frame[1] == 16 || frame[1] == 23;
        size_t enough = !counted ? 2 : frame[1] == 23 ? 11 : 7;
        for (size_t n = 0; n <= len; n++)
            assert_int_equal(rtu_request_size(frame, n), n < enough ? 0 : len);
    }
    static const uint8_t functions[] = {0, 7, 8, 14, 17, 21, 24, 43, 0x83, 255};
    for (size_t i = 0; i < COUNT(functions); i++) {
        const uint8_t frame[] = {1, functions[i], 0, 0, 0, 1, 255, 0, 0, 0, 255};
        assert_int_equal(rtu_request_size(frame, sizeof(frame)), ERR_NOT_FOUND);
    }
    const uint8_t too_long[] = {1, 16, 0, 0, 0, 123, 255};
    assert_int_equal(rtu_request_size(too_long, sizeof(too_long)), 264);
}

static void wire_times_are_those_of_eleven_bits(void **state)
{
    (void)state;
    assert_int_equal(rtu_wire_us(9600, RTU_CHARACTER_BITS, 8), 9167); /* 88 bits */
    assert_int_equal(rtu_wire_us(9600, 10, 8), 8334);
    assert_int_equal(rtu_wire_us(1200, RTU_CHARACTER_BITS, 1), 9167);
    assert_int_equal(rtu_wire_us(115200, RTU_CHARACTER_BITS, 255), 24349);
    assert_int_equal(rtu_wire_us(0, RTU_CHARACTER_BITS, 255), 0);
    assert_int_equal(rtu_silence_us(1200), 32084);
    assert_int_equal(rtu_silence_us(9600), 4011);
    assert_int_equal(rtu_silence_us(19200), 2006);
    assert_int_equal(rtu_silence_us(38400), 1750);
    assert_int_equal(rtu_silence_us(0), 0);
}

static void every_request_is_taken_in_any_two_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++)
        for (size_t cut = 1; cut < requests[i].len + 2; cut++) {
            struct rtu_receiver receiver;
            uint8_t frame[RTU_FRAME_MAX];
            size_t len = make(&requests[i], frame);
            rtu_receiver_init(&receiver, SILENCE_US);
            assert_true(rtu_receiver_due(&receiver) == NEVER);
            put(&receiver, frame, cut, 1000);
            expect_none(&receiver, 1000 + SILENCE_US - 1);
            assert_int_equal(rtu_receiver_due(&receiver), 1000 + SILENCE_US);
            put(&receiver, frame + cut, len - cut, 1000 + SILENCE_US);
            expect_frame(&receiver, 1000 + SILENCE_US, frame, len);
            expect_none(&receiver, 1000 + SILENCE_US);
            assert_true(rtu_receiver_due(&receiver) == NEVER);
            assert_int_equal(receiver.errors, 0);
        }
}

static void many_at_once_are_taken_one_by_one(void **state)
{
    (void)state;
    struct rtu_receiver receiver;
    uint8_t all[RTU_FRAME_MAX];
    size_t ends[COUNT(requests)], len = 0;
    for (size_t i = 0; i < COUNT(requests); i++)
        ends[i] = len += make(&requests[i], all + len);
    rtu_receiver_init(&receiver, SILENCE_US);
    put(&receiver, all, len, 0);
    for (size_t i = 0, begin = 0; i < COUNT(requests); begin = ends[i++])
        expect_frame(&receiver, 0, all + begin, ends[i] - begin);
    expect_none(&receiver, 0);
    assert_int_equal(receiver.errors, 0);
}

static void a_cut_frame_is_given_up_after_silence_and_the_next_one_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++)
        for (size_t cut = 1; cut < requests[i].len + 2; cut++) {
            struct rtu_receiver receiver;
            uint8_t frame[RTU_FRAME_MAX];
            size_t len = make(&requests[i], frame);
            rtu_receiver_init(&receiver, SILENCE_US);
            put(&receiver, frame, cut, 0);
            expect_none(&receiver, 0);
            assert_int_equal(receiver.errors, 0); /* it may still come */
            expect_none(&receiver, SILENCE_US);
            assert_int_equal(receiver.errors, 1);
            assert_int_equal(receiver.len, 0);
            put(&receiver, frame, len, SILENCE_US);
            expect_frame(&receiver, SILENCE_US, frame, len);
            assert_int_equal(receiver.errors, 1);
        }
}

static void one_flipped_bit_is_never_believed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++)
        for (size_t bit = 0; bit < 8 * (requests[i].len + 2); bit++) {
            struct rtu_receiver receiver;
            uint8_t frame[RTU_FRAME_MAX];
            size_t len = make(&requests[i], frame);
            rtu_receiver_init(&receiver, SILENCE_US);
            frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
            put(&receiver, frame, len, 0);
            expect_none(&receiver, 0);
            expect_none(&receiver, SILENCE_US);
            assert_int_equal(receiver.errors, 1);
            assert_int_equal(receiver.len, 0);
            frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
            put(&receiver, frame, len, SILENCE_US);
            expect_frame(&receiver, SILENCE_US, frame, len);
        }
}

/* Whatever the garbage: the frame behind it comes, at once or after silence, and nothing else. */
static void a_frame_is_found_behind_garbage(void **state)
{
    (void)state;
    struct noise noise;
    noise_init(&noise, 7);
    for (size_t round = 0; round < 2000; round++) {
        struct rtu_receiver receiver;
        uint8_t bytes[RTU_FRAME_MAX], got[RTU_FRAME_MAX];
        size_t garbage = 1 + round % 60;
        for (size_t i = 0; i < garbage; i++)
            bytes[i] = (uint8_t)(noise_uniform(&noise) * 256);
        size_t len = make(&requests[round % COUNT(requests)], bytes + garbage);
        rtu_receiver_init(&receiver, SILENCE_US);
        put(&receiver, bytes, garbage + len, 0);
        size_t size = rtu_receiver_take(&receiver, 0, got);
        if (size == 0)
            size = rtu_receiver_take(&receiver, SILENCE_US, got);
        assert_int_equal(size, len);
        assert_memory_equal(got, bytes + garbage, len);
        expect_none(&receiver, SILENCE_US);
        assert_int_equal(receiver.errors, 1);
    }
}

static void a_frame_within_a_frame_is_data(void **state)
{
    (void)state;
    struct rtu_receiver receiver;
    uint8_t outer[RTU_FRAME_MAX] = {1, 16, 0, 0, 0, 4, 8};
    uint8_t inner[] = {1, 3, 0, 10, 0, 20, 0x65, 0xC7};
    memcpy(outer + 7, inner, sizeof(inner));
    size_t len = seal(outer, 7 + sizeof(inner));
    rtu_receiver_init(&receiver, SILENCE_US);
    put(&receiver, outer, 7 + sizeof(inner), 0);
    expect_none(&receiver, 0);
    put(&receiver, outer + 7 + sizeof(inner), 2, 0);
    expect_frame(&receiver, 0, outer, len);
}

static void a_function_of_unknown_length_ends_by_silence(void **state)
{
    (void)state;
    struct rtu_receiver receiver;
    uint8_t identify[RTU_FRAME_MAX] = {9, 43, 14, 1, 0}, report[RTU_FRAME_MAX] = {9, 17};
    size_t len = seal(identify, 5);
    rtu_receiver_init(&receiver, SILENCE_US);
    put(&receiver, identify, len, 0);
    expect_none(&receiver, SILENCE_US - 1);
    expect_frame(&receiver, SILENCE_US, identify, len);
    len = seal(report, 2);
    put(&receiver, report, len, SILENCE_US);
    expect_frame(&receiver, 2 * SILENCE_US, report, len);
    assert_int_equal(receiver.errors, 0);
    put(&receiver, report, len - 1, 0); /* too short for any frame */
    expect_none(&receiver, SILENCE_US);
    assert_int_equal(receiver.errors, 1);
}

static void the_longest_frame_fits_and_no_longer_one_is_awaited(void **state)
{
    (void)state;
    struct rtu_receiver receiver;
    uint8_t frame[300] = {1, 16, 0, 0, 0, 123, 246};
    size_t len = seal(frame, 253);
    assert_int_equal(len, 255);
    rtu_receiver_init(&receiver, SILENCE_US);
    put(&receiver, frame, len, 0);
    expect_frame(&receiver, 0, frame, len);
    frame[6] = 248; /* would end beyond the longest */
    put(&receiver, frame, 7, 0);
    expect_none(&receiver, 0);
    assert_int_equal(receiver.errors, 1);
    assert_true(receiver.len < 7);
}

/* Noise without end: there is always room, and all but nothing is believed. */
static void endless_garbage_stays_bounded(void **state)
{
    (void)state;
    struct rtu_receiver receiver;
    struct noise noise;
    int believed = 0;
    rtu_receiver_init(&receiver, SILENCE_US);
    noise_init(&noise, 11);
    for (int i = 0; i < 50000; i++) {
        uint8_t bytes[3], got[RTU_FRAME_MAX];
        for (size_t n = 0; n < sizeof(bytes); n++)
            bytes[n] = (uint8_t)(noise_uniform(&noise) * 256);
        assert_true(rtu_receiver_put(&receiver, bytes, sizeof(bytes), 0) >= 1);
        while (rtu_receiver_take(&receiver, 0, got) > 0)
            believed++;
        assert_true(receiver.len < RTU_FRAME_MAX);
    }
    /* Of 150000 places, one in 25 begins what has a length; its CRC is true by chance in 65536. */
    assert_true(believed <= 2);
    uint8_t frame[RTU_FRAME_MAX];
    size_t len = make(&requests[0], frame);
    expect_none(&receiver, SILENCE_US);
    put(&receiver, frame, len, SILENCE_US);
    expect_frame(&receiver, SILENCE_US, frame, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_crc_is_that_of_the_field),
        cmocka_unit_test(the_size_is_told_as_soon_as_it_can_be),
        cmocka_unit_test(wire_times_are_those_of_eleven_bits),
        cmocka_unit_test(every_request_is_taken_in_any_two_pieces),
        cmocka_unit_test(many_at_once_are_taken_one_by_one),
        cmocka_unit_test(a_cut_frame_is_given_up_after_silence_and_the_next_one_taken),
        cmocka_unit_test(one_flipped_bit_is_never_believed),
        cmocka_unit_test(a_frame_is_found_behind_garbage),
        cmocka_unit_test(a_frame_within_a_frame_is_data),
        cmocka_unit_test(a_function_of_unknown_length_ends_by_silence),
        cmocka_unit_test(the_longest_frame_fits_and_no_longer_one_is_awaited),
        cmocka_unit_test(endless_garbage_stays_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
