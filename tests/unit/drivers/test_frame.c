/* Frames by published vectors, and what is not believed of what comes over a line. */
#include "drivers/modbus/frame.h"

#include "base/numbers.h"
#include "drivers/modbus/rtu_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Slave 1, function 3, address 10, 20 registers: the flow totaliser's worked frame. */
static const struct modbus_request totaliser = {.unit = 1, .function = 3, .start = 10, .count = 20};
static const struct modbus_request two = {.unit = 7, .function = 3, .start = 16, .count = 2};

static size_t bytes_of(const char *hex, uint8_t *ret_bytes)
{
    size_t len = strlen(hex) / 2;
    assert_int_equal(parse_hex(hex, len, ret_bytes), 0);
    return len;
}

/* Appends the CRC; the new length. */
static size_t seal(uint8_t *bytes, size_t len)
{
    uint16_t crc = rtu_crc(bytes, len);
    bytes[len] = (uint8_t)crc;
    bytes[len + 1] = (uint8_t)(crc >> 8);
    return len + 2;
}

static size_t sealed(const char *hex, uint8_t *ret_bytes)
{
    return seal(ret_bytes, bytes_of(hex, ret_bytes));
}

static void requests_are_written_as_published(void **state)
{
    uint8_t frame[FRAME_REQUEST_MAX];
    char hex[2 * FRAME_REQUEST_MAX + 1];

    (void)state;
    assert_int_equal(frame_write_rtu(&totaliser, frame), 8);
    print_hex(frame, 8, hex);
    assert_string_equal(hex, "0103000a001465c7");
    assert_int_equal(frame_write_tcp(&totaliser, 0x1234, frame), 12);
    print_hex(frame, 12, hex);
    assert_string_equal(hex, "1234000000060103000a0014");
}

static void only_reads_are_requests(void **state)
{
    (void)state;
    for (unsigned function = 0; function < 256; function++) {
        struct modbus_request request = {.function = (uint8_t)function};
        assert_int_equal(frame_is_read(&request), function >= 1 && function <= 4);
    }
}

static void a_reply_has_as_many_bytes_as_were_asked_for(void **state)
{
    (void)state;
    assert_int_equal(frame_rtu_reply_size(&totaliser), 45);
    assert_int_equal(
        frame_data_size(&(struct modbus_request){.function = 1, .start = 0, .count = 9}), 2);
    assert_int_equal(frame_data_size(&(struct modbus_request){.function = 2, .count = 2000}), 250);
    assert_int_equal(frame_data_size(&(struct modbus_request){.function = 4, .count = 125}), 250);
}

/* The published reply of the totaliser, found whatever stands before and behind it. */
static void a_reply_is_found_amid_noise(void **state)
{
    static const char *const reply = "0103284b3c615644"
                                     "9b639200000000"
                                     "40220c4a00001243111640200000122856864222"
                                     "41ad312742cc6c8b";
    static const char *const before[] = {
        "",   "00",   "ff010328", "010328",      "0103000a001465c7",
        "01", "0103", "48420d0a", "0901030203e8"};
    uint8_t bytes[600];
    struct frame frame;

    (void)state;
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        size_t skip = bytes_of(before[i], bytes);
        size_t len = bytes_of(reply, bytes + skip);
        memset(bytes + skip + len, 0x11, 43 - len); /* the vector's tail, of no matter here */
        len = seal(bytes + skip, 43);
        for (size_t cut = 0; cut < len; cut++) {
            frame_find_rtu(bytes, skip + cut, &totaliser, &frame);
            assert_int_equal(frame.kind, FRAME_PART);
        }
        memset(bytes + skip + len, 0x01, 5);
        frame_find_rtu(bytes, skip + len + 5, &totaliser, &frame);
        assert_int_equal(frame.kind, FRAME_REPLY);
        assert_int_equal(frame.at, skip);
        assert_int_equal(frame.size, 45);
        assert_int_equal(frame.len, 40);
        assert_ptr_equal(frame.data, bytes + skip + 3);
    }
}

static void a_single_flipped_bit_is_no_reply(void **state)
{
    uint8_t bytes[64];
    size_t len = sealed("0703041234abcd", bytes);
    struct frame frame;

    (void)state;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        frame_find_rtu(bytes, len, &two, &frame);
        assert_int_equal(frame.kind, FRAME_PART);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    frame_find_rtu(bytes, len, &two, &frame);
    assert_int_equal(frame.kind, FRAME_REPLY);
}

static void an_exception_is_found(void **state)
{
    uint8_t bytes[64];
    struct frame frame;
    size_t len = sealed("078302", bytes);

    (void)state;
    frame_find_rtu(bytes, len, &two, &frame);
    assert_int_equal(frame.kind, FRAME_EXCEPTION);
    assert_int_equal(frame.exception, 2);
    assert_null(frame.data);
    len = sealed("078402", bytes); /* to another function */
    frame_find_rtu(bytes, len, &two, &frame);
    assert_int_equal(frame.kind, FRAME_PART);
}

/* A request for 17 to 24 bits at 0x0300 has the very form of its reply. */
static void an_echo_is_no_reply(void **state)
{
    struct modbus_request request = {.unit = 1, .function = 1, .start = 0x0312, .count = 20};
    uint8_t bytes[64];
    struct frame frame;

    (void)state;
    assert_int_equal(frame_write_rtu(&request, bytes), frame_rtu_reply_size(&request));
    frame_find_rtu(bytes, 8, &request, &frame);
    assert_int_equal(frame.kind, FRAME_PART);
    size_t len = sealed("010103aabb0c", bytes + 8);
    frame_find_rtu(bytes, 8 + len, &request, &frame);
    assert_int_equal(frame.kind, FRAME_REPLY);
    assert_int_equal(frame.at, 8);
    assert_int_equal(frame.data[0], 0xaa);
}

static void frames_of_others_are_no_replies(void **state)
{
    static const char *const others[] = {
        "0803041234abcd",     /* unit */
        "0704041234abcd",     /* function */
        "0703021234",         /* fewer registers */
        "0703061234abcd1234", /* more */
    };
    uint8_t bytes[64];
    struct frame frame;

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        size_t len = sealed(others[i], bytes);
        frame_find_rtu(bytes, len, &two, &frame);
        assert_int_equal(frame.kind, FRAME_PART);
    }
}

struct seen {
    size_t count;
    size_t sizes[8];
};

static void note_seen(void *self, const uint8_t *frame, size_t size)
{
    struct seen *seen = self;
    assert_int_equal(rtu_crc(frame, size), 0);
    seen->sizes[seen->count++] = size;
}

static void litter_is_counted_for_what_it_is(void **state)
{
    uint8_t bytes[200];
    size_t len = 0;
    struct frame_litter litter = {0};
    struct seen seen = {0};

    (void)state;
    len += bytes_of("00ff", bytes);               /* noise */
    len += frame_write_rtu(&two, bytes + len);    /* our echo */
    len += bytes_of("4842", bytes + len);         /* "HB" */
    len += sealed("0803041234abcd", bytes + len); /* of unit 8 */
    len += sealed("0803000a0001", bytes + len);   /* another master asks it */
    len += sealed("0703021234", bytes + len);     /* of ours, too short */
    len += sealed("098302", bytes + len);         /* an exception of unit 9 */
    len += bytes_of("4842484201", bytes + len);   /* two more, and noise */
    frame_sort_litter(bytes, len, &two, (const uint8_t *)"HB", 2, note_seen, &seen, &litter);
    assert_int_equal(litter.noise, 3);
    assert_int_equal(litter.echoes, 1);
    assert_int_equal(litter.heartbeats, 3);
    assert_int_equal(litter.foreign, 3);
    assert_int_equal(litter.misfits, 1);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.sizes[1], 8);
    assert_int_equal(seen.sizes[3], 5);
    /* When nobody was asked there is nothing of ours. */
    litter = (struct frame_litter){0};
    frame_sort_litter(bytes, len, NULL, NULL, 0, NULL, NULL, &litter);
    assert_int_equal(litter.foreign, 5);
    assert_int_equal(litter.misfits, 0);
    assert_int_equal(litter.noise, 9);
}

static void tcp_is_judged_from_its_beginning(void **state)
{
    static const struct {
        const char *bytes;
        enum frame_kind kind;
        size_t size;
    } cases[] = {
        {"", FRAME_PART, 9},
        {"0001000000", FRAME_PART, 9},
        {"000100000007", FRAME_PART, 13},
        {"00010000000707030412", FRAME_PART, 13},
        {"0001000000070703041234abcd", FRAME_REPLY, 13},
        {"000100000003078302", FRAME_EXCEPTION, 9},
        {"0002000000070703041234abcd", FRAME_FOREIGN, 13}, /* transaction */
        {"0001000000070803041234abcd", FRAME_FOREIGN, 13}, /* unit */
        {"0001000000070704041234abcd", FRAME_MISFIT, 13},  /* function */
        {"000100000005070302123400", FRAME_MISFIT, 11},    /* fewer registers */
        {"00010000000407830200", FRAME_MISFIT, 10},        /* a longer exception */
        {"0001000100070703041234abcd", FRAME_GARBAGE, 13}, /* protocol */
        {"0001000000ff", FRAME_GARBAGE, 261},
        {"000100000002", FRAME_GARBAGE, 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[32];
        struct frame frame;
        size_t len = bytes_of(cases[i].bytes, bytes);
        frame_judge_tcp(bytes, len, &two, 1, &frame);
        if (frame.kind != cases[i].kind || frame.size != cases[i].size)
            fail_msg("%s: kind %d, size %zu", cases[i].bytes, frame.kind, frame.size);
        frame_judge_tcp(bytes, len, NULL, 1, &frame);
        assert_true(frame.kind == FRAME_PART || frame.kind == FRAME_FOREIGN ||
                    frame.kind == FRAME_GARBAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_written_as_published),
        cmocka_unit_test(only_reads_are_requests),
        cmocka_unit_test(a_reply_has_as_many_bytes_as_were_asked_for),
        cmocka_unit_test(a_reply_is_found_amid_noise),
        cmocka_unit_test(a_single_flipped_bit_is_no_reply),
        cmocka_unit_test(an_exception_is_found),
        cmocka_unit_test(an_echo_is_no_reply),
        cmocka_unit_test(frames_of_others_are_no_replies),
        cmocka_unit_test(litter_is_counted_for_what_it_is),
        cmocka_unit_test(tcp_is_judged_from_its_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
