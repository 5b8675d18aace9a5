#include "drivers/modbus/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Worked by hand from T = (13 + 2n) c / baud + 2 t3.5 + Ts with c = 11, Ts = 20 ms; in ms. */
static void a_serial_read_takes_what_the_arithmetic_says(void **state)
{
    static const struct {
        int64_t baud;
        int64_t ms[4]; /* 1, 10, 40, 125 registers */
    } vectors[] = {{1200, {222, 387, 937, 2495}}, {2400, {121, 203, 478, 1258}},
                   {4800, {70, 112, 249, 639}},   {9600, {45, 66, 135, 329}},
                   {19200, {33, 43, 77, 175}},    {38400, {28, 33, 50, 99}},
                   {115200, {25, 27, 32, 49}}};
    static const uint32_t counts[] = {1, 10, 40, 125};

    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct wire wire = {.baud = vectors[i].baud, .char_bits = 11};
        for (size_t k = 0; k < COUNT(counts); k++)
            assert_in_range(wire_read_ns(&wire, 20000, 3, counts[k]) / 1000000,
                            vectors[i].ms[k] - 1, vectors[i].ms[k] + 1);
    }
}

static void bits_are_packed_and_ten_bits_are_faster(void **state)
{
    struct wire slow = {.baud = 9600, .char_bits = 11};
    struct wire fast = {.baud = 9600, .char_bits = 10};

    (void)state;
    assert_int_equal(wire_read_ns(&slow, 0, 1, 16), wire_read_ns(&slow, 0, 3, 1));
    assert_int_equal(wire_read_ns(&slow, 0, 2, 17), wire_read_ns(&slow, 0, 2, 24));
    assert_true(wire_read_ns(&fast, 0, 3, 40) < wire_read_ns(&slow, 0, 3, 40));
    assert_int_equal(wire_read_ns(&slow, 1000, 3, 1) - wire_read_ns(&slow, 0, 3, 1), 1000000);
}

static void on_a_network_it_is_the_way_there_and_back(void **state)
{
    struct wire network = {.baud = 0};

    (void)state;
    assert_in_range(wire_read_ns(&network, 5000, 3, 1), 5000000, 5020000);
    assert_in_range(wire_read_ns(&network, 5000, 3, 125), 5000000, 5040000);
    assert_int_equal(wire_timeout_ns(&network, 500000), 500000000);
}

static void the_url_tells_the_line(void **state)
{
    static const struct {
        const char *url;
        int64_t baud;
        int char_bits;
    } vectors[] = {
        {"tcp://10.0.0.1:502", 0, 0},
        {"rtu:///dev/ttyUSB0?baud=19200&parity=E", 19200, 11},
        {"rtu:///dev/ttyUSB0?parity=N&baud=115200&stop=1", 115200, 10},
        {"rtu:///dev/ttyUSB0?baud=1200&parity=N&stop=2", 1200, 11},
        {"rtu+tcp://10.0.0.1:4001?baud=4800&parity=E", 4800, 11},
        {"rtu+tcp://10.0.0.1:4001", 0, 0},
        {"dtu://0.0.0.0:6000?register=abc&baud=2400&parity=O", 2400, 11},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct link_url url;
        assert_int_equal(link_url_parse(vectors[i].url, &url, NULL), 0);
        struct wire wire = wire_of_url(&url);
        assert_int_equal(wire.baud, vectors[i].baud);
        assert_int_equal(wire.char_bits, vectors[i].char_bits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_serial_read_takes_what_the_arithmetic_says),
        cmocka_unit_test(bits_are_packed_and_ten_bits_are_faster),
        cmocka_unit_test(on_a_network_it_is_the_way_there_and_back),
        cmocka_unit_test(the_url_tells_the_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
