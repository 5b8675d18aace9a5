#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The definition, a bit at a time. */
static uint32_t crc32c_by_bits(uint32_t crc, const uint8_t *data, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78U : crc >> 1;
    }
    return ~crc;
}

/* RFC 3720 B.4, read as numbers: its bytes stand in the order of the wire. */
static void vectors_of_rfc3720(void **state)
{
    uint8_t data[32];
    static const uint8_t READ_PDU[48] = {
        0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
        0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    };
    (void)state;
    memset(data, 0, sizeof data);
    assert_int_equal(crc32c(0, data, sizeof data), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    assert_int_equal(crc32c(0, data, sizeof data), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        data[i] = i;
    assert_int_equal(crc32c(0, data, sizeof data), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        data[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(0, data, sizeof data), 0x113fdb5c);
    assert_int_equal(crc32c(0, READ_PDU, sizeof READ_PDU), 0xd9963a56);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, data, 0), 0);
}

static void both_ways_are_the_definition_at_every_length_and_alignment(void **state)
{
    uint8_t data[300];
    uint32_t seed = 1;
    (void)state;
    for (size_t i = 0; i < sizeof data; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (uint8_t)(seed >> 24);
    }
    for (size_t from = 0; from < 9; from++) {
        for (size_t len = 0; len <= sizeof data - from; len++) {
            uint32_t expected = crc32c_by_bits(seed, data + from, len);
            assert_int_equal(crc32c(seed, data + from, len), expected);
            assert_int_equal(crc32c_portable(seed, data + from, len), expected);
        }
    }
}

static void every_byte_value_in_every_place_of_a_word_counts(void **state)
{
    (void)state;
    for (size_t place = 0; place < 8; place++) {
        for (int value = 0; value < 256; value++) {
            uint8_t word[8] = {0};
            word[place] = (uint8_t)value;
            uint32_t expected = crc32c_by_bits(0, word, sizeof word);
            assert_int_equal(crc32c_portable(0, word, sizeof word), expected);
            assert_int_equal(crc32c(0, word, sizeof word), expected);
        }
    }
}

static void a_sum_goes_on_over_pieces(void **state)
{
    static const char TEXT[] = "leachate 13.2 m3/h, COD 81 mg/L, NH3-N 4.1 mg/L";
    (void)state;
    size_t len = strlen(TEXT);
    uint32_t whole = crc32c(0, TEXT, len);
    for (size_t cut = 0; cut <= len; cut++) {
        assert_int_equal(crc32c(crc32c(0, TEXT, cut), TEXT + cut, len - cut), whole);
        assert_int_equal(crc32c_portable(crc32c(0, TEXT, cut), TEXT + cut, len - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_rfc3720),
        cmocka_unit_test(both_ways_are_the_definition_at_every_length_and_alignment),
        cmocka_unit_test(every_byte_value_in_every_place_of_a_word_counts),
        cmocka_unit_test(a_sum_goes_on_over_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
