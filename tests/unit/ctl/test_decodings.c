/* What registers can mean: blocks as a unit gives them, every type and order, and the best guess.
 */
#include "ctl/decodings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A unit by hand: registers 0 to 99 hold `words`, those from `first_absent` on are refused, and so
 * is more than `most` at a time. */
static struct {
    uint16_t words[100];
    unsigned first_absent, most;
    enum modbus_event event; /* MODBUS_REPLY: as above */
    uint8_t exception;
    unsigned asked;
} device;

static void ask(void *self, const struct modbus_request *request,
                struct modbus_outcome *ret_outcome)
{
    unsigned end = request->start + request->count;
    assert_ptr_equal(self, &device);
    device.asked++;
    *ret_outcome = (struct modbus_outcome){.request = *request, .event = device.event};
    ret_outcome->exception = device.exception;
    if (device.event != MODBUS_REPLY)
        return;
    if (request->count > device.most || end > device.first_absent) {
        ret_outcome->event = MODBUS_EXCEPTION;
        ret_outcome->exception = request->count > device.most ? 3 : 2;
        return;
    }
    for (unsigned i = 0; i < request->count; i++) {
        uint16_t word = device.words[request->start + i];
        if (request->function <= 2) {
            ret_outcome->data[i / 8] |= (uint8_t)((word & 1) << i % 8);
        } else {
            ret_outcome->data[2 * i] = (uint8_t)(word >> 8);
            ret_outcome->data[2 * i + 1] = (uint8_t)word;
        }
    }
}

static void begin(void)
{
    memset(&device, 0, sizeof(device));
    device.event = MODBUS_REPLY;
    device.first_absent = device.most = 100;
}

static struct block read_block(uint8_t function, uint16_t start, uint16_t count)
{
    struct block block;
    struct modbus_request request = {
        .unit = 7, .function = function, .start = start, .count = count};
    block_read(&block, &request, ask, &device);
    return block;
}

/* ---- blocks ---- */

static void a_unit_that_gives_all_is_asked_once(void **state)
{
    (void)state;
    begin();
    device.words[5] = 0x41ab;
    struct block block = read_block(3, 4, 10);
    assert_int_equal(device.asked, 1);
    assert_true(block_answered(&block));
    assert_int_equal(block.known_count, 10);
    assert_memory_equal(block_registers(&block, 1, 1), "\x41\xab", 2);
    assert_null(block_registers(&block, 9, 2));
}

static void what_is_refused_whole_is_asked_in_halves(void **state)
{
    (void)state;
    begin();
    device.first_absent = 13;
    device.words[12] = 99;
    struct block block = read_block(3, 0, 20);
    assert_true(block_answered(&block));
    assert_int_equal(block.first.event, MODBUS_EXCEPTION);
    assert_int_equal(block.known_count, 13);
    assert_true(block.known[12]);
    assert_false(block.known[13]);
    assert_memory_equal(block_registers(&block, 12, 1), "\0\x63", 2);
    assert_null(block_registers(&block, 12, 2));
}

static void a_unit_that_gives_little_at_a_time_is_put_together(void **state)
{
    (void)state;
    begin();
    device.most = 3;
    for (int i = 0; i < 20; i++)
        device.words[i] = (uint16_t)i;
    struct block block = read_block(3, 0, 20);
    assert_int_equal(block.known_count, 20);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(block_registers(&block, i, 1)[1], i);
}

static void the_search_is_bounded(void **state)
{
    (void)state;
    begin();
    device.first_absent = 0;
    struct block block = read_block(3, 0, 100);
    assert_int_equal(device.asked, 64);
    assert_int_equal(block.request_count, 64);
    assert_int_equal(block.known_count, 0);
}

static void who_is_there_and_who_is_not(void **state)
{
    static const struct {
        enum modbus_event event;
        uint8_t exception;
        bool answered;
    } cases[] = {
        {MODBUS_REPLY, 0, true},       {MODBUS_EXCEPTION, 1, true},   {MODBUS_EXCEPTION, 4, true},
        {MODBUS_EXCEPTION, 10, false}, {MODBUS_EXCEPTION, 11, false}, {MODBUS_BAD_REPLY, 0, true},
        {MODBUS_TIMEOUT, 0, false},    {MODBUS_LOST, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin();
        device.event = cases[i].event;
        device.exception = cases[i].exception;
        struct block block = read_block(3, 0, 10);
        assert_int_equal(block_answered(&block), cases[i].answered);
        assert_int_equal(device.asked, 1);
    }
}

static void bits_stand_one_by_one(void **state)
{
    (void)state;
    begin();
    device.words[9] = device.words[17] = 1;
    device.most = 6;
    struct block block = read_block(1, 0, 20);
    assert_int_equal(block.known_count, 20);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(block.data[2 * i + 1], i == 9 || i == 17);
}

/* ---- values ---- */

static double value_of(const struct block *block, size_t at, unsigned bits, const char *order,
                       enum decoding_kind kind)
{
    struct value value;
    for (size_t i = 0; i < decoding_shape_count(); i++) {
        const struct decoding_shape *shape = decoding_shape_at(i);
        if (shape->bits == bits && strcmp(shape->order, order) == 0) {
            assert_true(decoding_value(block, at, shape, kind, &value));
            return value.number;
        }
    }
    fail_msg("no shape %u %s", bits, order);
    return 0;
}

/* The four orders of 21.4 (IEEE 754 single 41AB3333), as in the published tables of word orders. */
static void orders_are_what_their_letters_say(void **state)
{
    static const struct {
        uint16_t words[2];
        const char *order;
    } cases[] = {{{0x41ab, 0x3333}, "ABCD"},
                 {{0x3333, 0x41ab}, "CDAB"},
                 {{0xab41, 0x3333}, "BADC"},
                 {{0x3333, 0xab41}, "DCBA"}};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        begin();
        memcpy(device.words, cases[i].words, sizeof(cases[i].words));
        struct block block = read_block(3, 0, 2);
        double value = value_of(&block, 0, 32, cases[i].order, DECODE_FLOAT);
        assert_true(value > 21.39999 && value < 21.40001);
    }
}

static void what_is_no_number_is_not_shown(void **state)
{
    struct value value;
    (void)state;
    begin();
    device.words[0] = 0x7fc0; /* a NaN, and no decimal digits */
    struct block block = read_block(3, 0, 2);
    const struct decoding_shape abcd = {32, "ABCD"}, whole = {64, "ABCDEFGH"};
    assert_false(decoding_value(&block, 0, &abcd, DECODE_FLOAT, &value));
    assert_false(decoding_value(&block, 0, &abcd, DECODE_BCD, &value));
    assert_false(decoding_value(&block, 0, &whole, DECODE_UINT, &value));
    assert_true(decoding_value(&block, 0, &abcd, DECODE_UINT, &value));
}

/* ---- guesses ---- */

static struct decodings guess(const char *expected, const struct block *block)
{
    struct decodings decodings;
    assert_int_equal(decodings_init(&decodings, expected), 0);
    decodings_add(&decodings, block);
    return decodings;
}

static void assert_guess(const struct decoding *found, unsigned address, const char *type,
                         const char *order, const char *scale)
{
    assert_int_equal(found->unit, 7);
    assert_int_equal(found->address, address);
    assert_string_equal(found->type, type);
    assert_string_equal(found->order, order);
    assert_string_equal(found->scale, scale);
}

static void a_float_is_found_among_others(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 20; i++)
        device.words[i] = (uint16_t)(0x1357 * (i + 1));
    device.words[12] = 0x3333;
    device.words[13] = 0x41ab;
    device.words[14] = 0xf000; /* with the word before it 21.49 */
    device.words[3] = 214;
    struct block block = read_block(4, 0, 20);
    struct decodings found = guess("21.4", &block);
    assert_guess(&found.list[0], 12, "float32", "CDAB", "1");
    assert_guess(&found.list[1], 3, "uint16", "AB", "0.1");
    assert_true(found.list[0].fits && found.list[1].fits);
    assert_true(decodings_near(&found));
}

static void scales_are_tried(void **state)
{
    static const struct {
        uint16_t word;
        const char *expected, *type, *order, *scale;
    } cases[] = {{742, "7.42", "uint16", "AB", "0.01"},
                 {65524, "-1.2", "int16", "AB", "0.1"},
                 {0xd600, "21.4", "uint16", "BA", "0.1"},
                 {0x1234, "1234", "bcd16", "AB", "1"},
                 {61, "610", "uint16", "AB", "10"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin();
        device.words[2] = cases[i].word;
        device.words[1] = device.words[3] = 0x7fff;
        struct block block = read_block(3, 1, 3);
        struct decodings found = guess(cases[i].expected, &block);
        assert_guess(&found.list[0], 2, cases[i].type, cases[i].order, cases[i].scale);
    }
}

static void a_moving_reading_is_near(void **state)
{
    (void)state;
    begin();
    device.words[0] = 0x41ab; /* 21.4 while the display says 21.2 */
    device.words[1] = 0x3333;
    struct block block = read_block(3, 0, 2);
    struct decodings found = guess("21.2", &block);
    assert_guess(&found.list[0], 0, "float32", "ABCD", "1");
    assert_false(found.list[0].fits);
    assert_true(decodings_near(&found));
    found = guess("90", &block);
    assert_false(decodings_near(&found));
}

static void guesses_are_few_and_in_order(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 100; i++)
        device.words[i] = (uint16_t)(20 + i);
    struct block block = read_block(3, 0, 100);
    struct decodings found = guess("70", &block);
    assert_int_equal(found.count, DECODINGS_MAX);
    assert_guess(&found.list[0], 50, "uint16", "AB", "1");
    for (size_t i = 1; i < found.count; i++)
        assert_true(found.list[i - 1].fits >= found.list[i].fits);
}

static void bits_are_guessed_too(void **state)
{
    (void)state;
    begin();
    device.words[4] = 1;
    struct block block = read_block(2, 0, 8);
    struct decodings found = guess("1", &block);
    assert_guess(&found.list[0], 4, "bit", "", "1");
    assert_true(found.list[0].fits);
    assert_false(found.list[1].fits);
}

static void what_is_expected_is_a_number(void **state)
{
    struct decodings decodings;
    (void)state;
    assert_int_equal(decodings_init(&decodings, "21,4"), ERR_INVALID);
    assert_int_equal(decodings_init(&decodings, ""), ERR_INVALID);
    assert_int_equal(decodings_init(&decodings, "1e999"), ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unit_that_gives_all_is_asked_once),
        cmocka_unit_test(what_is_refused_whole_is_asked_in_halves),
        cmocka_unit_test(a_unit_that_gives_little_at_a_time_is_put_together),
        cmocka_unit_test(the_search_is_bounded),
        cmocka_unit_test(who_is_there_and_who_is_not),
        cmocka_unit_test(bits_stand_one_by_one),
        cmocka_unit_test(orders_are_what_their_letters_say),
        cmocka_unit_test(what_is_no_number_is_not_shown),
        cmocka_unit_test(a_float_is_found_among_others),
        cmocka_unit_test(scales_are_tried),
        cmocka_unit_test(a_moving_reading_is_near),
        cmocka_unit_test(guesses_are_few_and_in_order),
        cmocka_unit_test(bits_are_guessed_too),
        cmocka_unit_test(what_is_expected_is_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
