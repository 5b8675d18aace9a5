/* zstd: published frames, bounds, and that what is broken is told. */
#include "base/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/numbers.h"

#include <stdlib.h>
#include <string.h>

static struct decompressor *unpacker;

static int unpack(const void *data, size_t len, size_t most, struct buffer *out,
                  struct message *message)
{
    buffer_init(out, most);
    return decompressor_unpack(unpacker, data, len, out, message);
}

/* Frames put together by hand after RFC 8878: magic, frame header (single segment, its size in one
 * byte), then one block: 3 bytes of header (last, type, size), its content. */
static void frames_by_the_book_unpack(void **state)
{
    static const struct {
        const char *hex, *text;
    } frames[] = {
        {"28b52ffd2000010000", ""}, /* a raw block of nothing */
        {"28b52ffd2005290000"
         "68656c6c6f",
         "hello"}, /* a raw block of five bytes */
        {"28b52ffd2005"
         "2b0000"
         "61",
         "aaaaa"}, /* one byte, five times (RLE) */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        uint8_t bytes[32];
        struct buffer out;
        struct message message = {""};
        size_t len = strlen(frames[i].hex) / 2;
        assert_int_equal(parse_hex(frames[i].hex, len, bytes), 0);
        assert_true(compress_is_zstd(bytes, len));
        if (unpack(bytes, len, 64, &out, &message))
            fail_msg("%s: %s", frames[i].hex, message.text);
        assert_string_equal(buffer_text(&out), frames[i].text);
        buffer_release(&out);
    }
}

static void what_is_packed_unpacks_to_the_same(void **state)
{
    struct compressor *packer;
    struct buffer packed, out;
    char *text = malloc(65536);

    (void)state;
    assert_non_null(text);
    assert_int_equal(compressor_new(&packer), 0);
    for (size_t len = 0; len <= 65536; len = len * 3 + 1) {
        uint32_t seed = (uint32_t)len;
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = (char)('0' + (seed >> 28));
        }
        buffer_init(&packed, 70000);
        assert_int_equal(compressor_pack(packer, text, len, &packed), 0);
        assert_true(compress_is_zstd(packed.data, packed.len));
        if (len > 1000)
            assert_true(packed.len < len * 2 / 3);
        assert_int_equal(unpack(packed.data, packed.len, 65536, &out, NULL), 0);
        assert_int_equal(out.len, len);
        if (len)
            assert_memory_equal(out.data, text, len);
        buffer_release(&out);
        /* Each cut of a frame is an error, none a shorter text. */
        for (size_t cut = 0; cut < packed.len; cut += 1 + packed.len / 50) {
            assert_int_equal(unpack(packed.data, cut, 65536, &out, NULL), cut ? ERR_INVALID : 0);
            assert_int_equal(out.len, 0);
            buffer_release(&out);
        }
        buffer_release(&packed);
    }
    compressor_free(packer);
    free(text);
}

/* A few bytes that would unpack to much: taken up to the bound, no further. */
static void a_bomb_is_refused(void **state)
{
    struct compressor *packer;
    struct buffer packed, out;
    struct message message = {""};
    size_t len = 16u << 20;
    char *zeros = calloc(1, len);

    (void)state;
    assert_non_null(zeros);
    assert_int_equal(compressor_new(&packer), 0);
    buffer_init(&packed, 65536);
    assert_int_equal(compressor_pack(packer, zeros, len, &packed), 0);
    assert_true(packed.len < 4096);
    assert_int_equal(unpack(packed.data, packed.len, 65536, &out, &message), ERR_RANGE);
    assert_string_equal(message.text, "zstd: unpacks to more than 65536 bytes");
    assert_int_equal(out.len, 0);
    buffer_release(&out);
    assert_int_equal(compressor_pack(packer, zeros, 65537, &packed), 0);
    assert_int_equal(unpack(packed.data, packed.len, 65536, &out, &message), ERR_RANGE);
    buffer_release(&out);
    assert_int_equal(compressor_pack(packer, zeros, 65536, &packed), 0);
    assert_int_equal(unpack(packed.data, packed.len, 65536, &out, &message), 0);
    buffer_release(&out);
    buffer_release(&packed);
    compressor_free(packer);
    free(zeros);
}

static void what_is_no_frame_is_told(void **state)
{
    static const char *const hex[] = {
        "7b2276223a317d", /* JSON */
        "28b52ffd",       /* the magic alone */
        "28b52ffd2005290000"
        "68656c", /* cut */
        "28b52ffd2005290000"
        "68656c6c6f"
        "ff", /* a byte behind it */
        "28b52ffd2006290000"
        "68656c6c6f", /* six are promised */
        "28b52ffd20052f0000"
        "68656c6c6f", /* the reserved type of block */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(hex) / sizeof(hex[0]); i++) {
        uint8_t bytes[32];
        struct buffer out;
        struct message message = {""};
        size_t len = strlen(hex[i]) / 2;
        assert_int_equal(parse_hex(hex[i], len, bytes), 0);
        if (unpack(bytes, len, 64, &out, &message) != ERR_INVALID)
            fail_msg("%s was taken", hex[i]);
        assert_memory_equal(message.text, "zstd: ", 6);
        assert_int_equal(out.len, 0);
        buffer_release(&out);
    }
    assert_false(compress_is_zstd("{\"v\":1}", 7));
    assert_false(compress_is_zstd("\x28\xB5\x2F", 3));
}

static void a_buffer_that_is_too_small_is_told(void **state)
{
    struct compressor *packer;
    struct buffer out;

    (void)state;
    assert_int_equal(compressor_new(&packer), 0);
    buffer_init(&out, 8);
    assert_int_equal(compressor_pack(packer, "0123456789abcdef", 16, &out), ERR_FULL);
    assert_int_equal(out.len, 0);
    buffer_release(&out);
    compressor_free(packer);
}

static int begin(void **state)
{
    (void)state;
    return decompressor_new(&unpacker);
}

static int end(void **state)
{
    (void)state;
    decompressor_free(unpacker);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_by_the_book_unpack),
        cmocka_unit_test(what_is_packed_unpacks_to_the_same),
        cmocka_unit_test(a_bomb_is_refused),
        cmocka_unit_test(what_is_no_frame_is_told),
        cmocka_unit_test(a_buffer_that_is_too_small_is_told),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
