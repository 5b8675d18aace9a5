#include "model/receipt.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define EPOCH "9f0c1d2e3f405162738495a6b7c8d9e0"

static uint64_t next_random(uint64_t *seed)
{
    uint64_t x = (*seed += UINT64_C(0x9E3779B97F4A7C15));

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static void check_text(struct buffer *out, const char *expected)
{
    assert_int_equal(buffer_error(out), 0);
    assert_string_equal(buffer_text(out), expected);
    buffer_clear(out);
}

static void messages_are_written_as_published(void **state)
{
    struct receipt receipt = {.centre = "c1", .nonce = "n1", .epoch = EPOCH, .credit = 1048576};
    struct edge_state edge = {"leachate-north", "leachate", "i1",         EPOCH, true,
                              {5, 0, 18446, 7}, 901233,     1767576600123};
    struct centre_state centre = {"c1", "n1", false, 1767576600123, false};
    struct birth_request request = {"a1b2c3d4e5f60718"};
    struct buffer out;

    (void)state;
    receipt.streams[STREAM_C] = (struct receipt_stream){.present = true,
                                                        .through = 18000,
                                                        .also = {{18010, 18040}},
                                                        .also_count = 1,
                                                        .tip = 18040,
                                                        .tip_sum = 4294967295};
    receipt.streams[STREAM_A].present = true;
    buffer_init(&out, 4096);
    receipt_write(&out, &receipt);
    check_text(&out, "{\"centre\":\"c1\",\"nonce\":\"n1\",\"epoch\":\"" EPOCH "\","
                     "\"streams\":{\"a\":{\"through\":0},"
                     "\"c\":{\"through\":18000,\"also\":[[18010,18040]],"
                     "\"tip\":18040,\"sum\":4294967295}},\"credit\":1048576}");
    edge_state_write(&out, &edge);
    check_text(&out, "{\"edge\":\"leachate-north\",\"site\":\"leachate\",\"instance\":\"i1\","
                     "\"epoch\":\"" EPOCH "\",\"up\":true,"
                     "\"last\":{\"a\":5,\"s\":0,\"c\":18446,\"t\":7},\"total\":901233,"
                     "\"t\":1767576600123}");
    centre_state_write(&out, &centre);
    check_text(&out, "{\"centre\":\"c1\",\"nonce\":\"n1\",\"up\":false,\"t\":1767576600123}");
    centre.up = centre.zstd = true;
    centre_state_write(&out, &centre);
    check_text(&out, "{\"centre\":\"c1\",\"nonce\":\"n1\",\"up\":true,\"t\":1767576600123,"
                     "\"accepts\":[\"zstd\"]}");
    birth_request_write(&out, &request);
    check_text(&out, "{\"birth\":\"a1b2c3d4e5f60718\"}");
    buffer_release(&out);
}

static void random_stream(uint64_t *seed, struct receipt_stream *ret_stream)
{
    uint64_t after = next_random(seed) % 3 * (next_random(seed) % 100000);

    *ret_stream = (struct receipt_stream){.present = true, .through = after};
    for (uint64_t n = next_random(seed) % (RECEIPT_MAX_ALSO + 1); n > 0; n--) {
        struct interval *also = &ret_stream->also[ret_stream->also_count++];
        also->first = after + 2 + next_random(seed) % 1000;
        also->last = also->first + next_random(seed) % 1000;
        after = also->last;
    }
}

static void receipts_read_back_as_written(void **state)
{
    struct buffer out;
    uint64_t seed = 8;

    (void)state;
    buffer_init(&out, 64 * 1024);
    for (int round = 0; round < 2000; round++) {
        struct receipt receipt = {.centre = "c.1", .nonce = "\"n\"", .epoch = EPOCH};
        struct receipt read;
        for (int i = 0; i < STREAM_COUNT; i++)
            if (next_random(&seed) % 4 != 0)
                random_stream(&seed, &receipt.streams[i]);
        receipt.credit = next_random(&seed) >> 12;
        receipt_write(&out, &receipt);
        assert_int_equal(receipt_parse(out.data, out.len, &read, NULL), 0);
        assert_string_equal(read.centre, receipt.centre);
        assert_string_equal(read.nonce, receipt.nonce);
        assert_string_equal(read.epoch, receipt.epoch);
        assert_true(read.credit == receipt.credit);
        for (int i = 0; i < STREAM_COUNT; i++) {
            const struct receipt_stream *a = &receipt.streams[i];
            const struct receipt_stream *b = &read.streams[i];
            assert_int_equal(a->present, b->present);
            assert_true(a->through == b->through && a->also_count == b->also_count);
            assert_memory_equal(a->also, b->also, a->also_count * sizeof(a->also[0]));
        }
        buffer_clear(&out);
    }
    buffer_release(&out);
}

static void states_and_requests_read_back_as_written(void **state)
{
    struct edge_state edge = {"e1",
                              "s1",
                              "0123456789abcdef0123456789abcdef",
                              EPOCH,
                              true,
                              {1, 2, 3, RECORD_MAX_NUMBER},
                              RECORD_MAX_NUMBER,
                              RECORD_MAX_TIME};
    struct centre_state centre = {"c1", "n1", true, RECORD_MIN_TIME, true};
    struct birth_request request = {"a1b2c3d4e5f60718"};
    struct edge_state edge_read;
    struct centre_state centre_read;
    struct birth_request request_read;
    struct buffer out;

    (void)state;
    buffer_init(&out, 4096);
    edge_state_write(&out, &edge);
    assert_int_equal(edge_state_parse(out.data, out.len, &edge_read, NULL), 0);
    assert_string_equal(edge_read.edge, edge.edge);
    assert_string_equal(edge_read.site, edge.site);
    assert_string_equal(edge_read.instance, edge.instance);
    assert_string_equal(edge_read.epoch, edge.epoch);
    assert_true(edge_read.up);
    assert_memory_equal(edge_read.last, edge.last, sizeof(edge.last));
    assert_true(edge_read.total == edge.total && edge_read.t_ms == edge.t_ms);
    buffer_clear(&out);
    centre_state_write(&out, &centre);
    assert_int_equal(centre_state_parse(out.data, out.len, &centre_read, NULL), 0);
    assert_string_equal(centre_read.centre, "c1");
    assert_string_equal(centre_read.nonce, "n1");
    assert_true(centre_read.up && centre_read.t_ms == RECORD_MIN_TIME && centre_read.zstd);
    buffer_clear(&out);
    birth_request_write(&out, &request);
    assert_int_equal(birth_request_parse(out.data, out.len, &request_read, NULL), 0);
    assert_string_equal(request_read.birth, request.birth);
    buffer_release(&out);
}

static void later_versions_may_say_more(void **state)
{
    static const char text[] =
        "{\"later\":[{}],\"credit\":0,\"epoch\":\"" EPOCH "\",\"streams\":{\"z\":{\"a\":[1]},"
        "\"s\":{\"more\":null,\"also\":[[9,9]],\"through\":7}},\"nonce\":\"n\",\"centre\":\"c\"}";
    struct receipt receipt;

    (void)state;
    assert_int_equal(receipt_parse(text, strlen(text), &receipt, NULL), 0);
    assert_true(receipt.streams[STREAM_S].present);
    assert_false(receipt.streams[STREAM_A].present);
    assert_true(receipt.streams[STREAM_S].through == 7);
    assert_int_equal(receipt.streams[STREAM_S].also_count, 1);
}

#define RECEIPT(streams)                                    \
    "{\"centre\":\"c1\",\"nonce\":\"n\",\"epoch\":\"" EPOCH \
    "\",\"credit\":1,\"streams\":{" streams "}}"

static void bad_receipts_are_refused_by_name(void **state)
{
    static const struct {
        const char *text;
        int err;
        const char *says;
    } cases[] = {
        {"", ERR_INVALID, "receipt (byte 1): no object"},
        {"{}", ERR_INVALID, "no member \"centre\""},
        {RECEIPT("") " 1", ERR_INVALID, "more behind the end"},
        {"{\"centre\":\"c/1\"}", ERR_INVALID, "centre"},
        {"{\"nonce\":\"\"}", ERR_RANGE, "nonce"},
        {"{\"nonce\":\"0123456789abcdef0123456789abcdef0\"}", ERR_RANGE, "nonce"},
        {"{\"epoch\":\"\"}", ERR_INVALID, "epoch"},
        {"{\"credit\":-1}", ERR_RANGE, "credit"},
        {"{\"streams\":[]}", ERR_INVALID, "streams"},
        {RECEIPT("\"c\":7"), ERR_INVALID, "streams.c"},
        {RECEIPT("\"c\":{}"), ERR_INVALID, "no member \"through\""},
        {RECEIPT("\"c\":{\"through\":-1}"), ERR_RANGE, "streams.c.through"},
        {RECEIPT("\"c\":{\"through\":1},\"c\":{\"through\":1}"), ERR_INVALID, "stands twice"},
        {RECEIPT("\"c\":{\"through\":1,\"also\":[[3]]}"), ERR_INVALID, "streams.c.also[0]"},
        {RECEIPT("\"c\":{\"through\":1,\"also\":[[]]}"), ERR_INVALID, "streams.c.also[0]"},
        {RECEIPT("\"c\":{\"through\":1,\"also\":[[3,4,5]]}"), ERR_INVALID, "more than a first"},
        {RECEIPT("\"c\":{\"through\":1,\"also\":[3,4]}"), ERR_INVALID, "streams.c.also[0]"},
        {RECEIPT("\"c\":{\"through\":1,\"also\":[[0,4]]}"), ERR_RANGE, "streams.c.also[0][0]"},
        {RECEIPT("\"c\":{\"through\":1,\"also\":[[5,4]]}"), ERR_INVALID, "5..4"},
        {RECEIPT("\"c\":{\"through\":5,\"also\":[[5,6]]}"), ERR_INVALID, "behind through 5"},
        {RECEIPT("\"c\":{\"also\":[[5,6]],\"through\":5}"), ERR_INVALID, "behind through 5"},
        {RECEIPT("\"c\":{\"through\":1,\"also\":[[5,9],[9,12]]}"), ERR_INVALID, "also[1]"},
        {RECEIPT("\"c\":{\"through\":1,\"also\":[[5,9],[3,3]]}"), ERR_INVALID, "behind 9"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct receipt receipt = {.credit = 77};
        struct message message = {""};
        int err = receipt_parse(cases[i].text, strlen(cases[i].text), &receipt, &message);
        if (err != cases[i].err || strstr(message.text, cases[i].says) == NULL)
            fail_msg("%s: %d, %s", cases[i].text, err, message.text);
        assert_true(receipt.credit == 77);
    }
}

static void bad_states_and_requests_are_refused(void **state)
{
    static const char edge_tail[] = "\"up\":true,\"last\":{},\"total\":0,\"t\":0}";
    static const char big[64 * 1024 + 1] = " ";
    struct edge_state edge;
    struct centre_state centre;
    struct birth_request request;
    struct message message;
    char text[512];

    (void)state;
    snprintf(text, sizeof(text),
             "{\"edge\":\"e\",\"site\":\"s\",\"instance\":\"i\",\"epoch\":\"" EPOCH "\",%s",
             edge_tail);
    assert_int_equal(edge_state_parse(text, strlen(text), &edge, NULL), 0);
    assert_int_equal(edge_state_parse(text, strlen(text) - 1, &edge, NULL), ERR_INVALID);
    snprintf(text, sizeof(text), "{\"last\":{\"a\":-1},%s", edge_tail);
    assert_int_equal(edge_state_parse(text, strlen(text), &edge, &message), ERR_RANGE);
    assert_non_null(strstr(message.text, "edge's state, last.a"));
    snprintf(text, sizeof(text), "{\"edge\":\"e e\",%s", edge_tail);
    assert_int_equal(edge_state_parse(text, strlen(text), &edge, NULL), ERR_INVALID);
    snprintf(text, sizeof(text), "{\"centre\":\"c\",\"nonce\":\"n\",\"up\":1,\"t\":0}");
    assert_int_equal(centre_state_parse(text, strlen(text), &centre, &message), ERR_INVALID);
    assert_non_null(strstr(message.text, "centre's state, up"));
    /* An older centre says nothing of packing, a later one may say more. */
    snprintf(text, sizeof(text), "{\"centre\":\"c\",\"nonce\":\"n\",\"up\":true,\"t\":0}");
    assert_int_equal(centre_state_parse(text, strlen(text), &centre, NULL), 0);
    assert_false(centre.zstd);
    snprintf(text, sizeof(text),
             "{\"accepts\":[\"br\",\"zstd\",\"zstd2\"],\"centre\":\"c\","
             "\"nonce\":\"n\",\"up\":true,\"t\":0}");
    assert_int_equal(centre_state_parse(text, strlen(text), &centre, NULL), 0);
    assert_true(centre.zstd);
    snprintf(text, sizeof(text),
             "{\"accepts\":\"zstd\",\"centre\":\"c\",\"nonce\":\"n\",\"up\":true,\"t\":0}");
    assert_int_equal(centre_state_parse(text, strlen(text), &centre, NULL), ERR_INVALID);
    snprintf(text, sizeof(text), "{\"birth\":\"a1b2\"}");
    assert_int_equal(birth_request_parse(text, strlen(text), &request, &message), ERR_INVALID);
    assert_non_null(strstr(message.text, "request, birth"));
    assert_int_equal(birth_request_parse("{}", 2, &request, NULL), ERR_INVALID);
    assert_int_equal(birth_request_parse(big, sizeof(big), &request, NULL), ERR_RANGE);
}

static void a_receipt_tells_what_was_received(void **state)
{
    struct intervals set;
    struct receipt_stream stream = {.through = 99};

    (void)state;
    intervals_init(&set, 100);
    receipt_set(&stream, &set);
    assert_true(stream.present && stream.through == 0 && stream.also_count == 0);
    assert_int_equal(intervals_add(&set, 1, 10), 0);
    assert_int_equal(intervals_add(&set, 20, 30), 0);
    receipt_set(&stream, &set);
    assert_true(stream.through == 10 && stream.also_count == 1);
    assert_true(stream.also[0].first == 20 && stream.also[0].last == 30);
    assert_int_equal(intervals_remove(&set, 1, 1), 0);
    receipt_set(&stream, &set);
    assert_true(stream.through == 0 && stream.also_count == 2);
    assert_true(stream.also[0].first == 2);
    intervals_release(&set);
}

static void of_too_many_ranges_the_lowest_and_the_newest_are_told(void **state)
{
    struct intervals set;
    struct receipt_stream stream;

    (void)state;
    intervals_init(&set, 100);
    for (uint64_t i = 1; i <= RECEIPT_MAX_ALSO + 1; i++)
        assert_int_equal(intervals_add(&set, 10 * i, 10 * i), 0);
    receipt_set(&stream, &set);
    assert_int_equal(stream.also_count, RECEIPT_MAX_ALSO);
    assert_true(stream.also[0].first == 10);
    assert_true(stream.also[RECEIPT_MAX_ALSO - 2].first == 10 * (RECEIPT_MAX_ALSO - 1));
    assert_true(stream.also[RECEIPT_MAX_ALSO - 1].first == 10 * (RECEIPT_MAX_ALSO + 1));
    assert_int_equal(intervals_remove(&set, 10, 10), 0);
    receipt_set(&stream, &set);
    assert_int_equal(stream.also_count, RECEIPT_MAX_ALSO);
    assert_true(stream.also[RECEIPT_MAX_ALSO - 2].first == 10 * RECEIPT_MAX_ALSO);
    intervals_release(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_written_as_published),
        cmocka_unit_test(receipts_read_back_as_written),
        cmocka_unit_test(states_and_requests_read_back_as_written),
        cmocka_unit_test(later_versions_may_say_more),
        cmocka_unit_test(bad_receipts_are_refused_by_name),
        cmocka_unit_test(bad_states_and_requests_are_refused),
        cmocka_unit_test(a_receipt_tells_what_was_received),
        cmocka_unit_test(of_too_many_ranges_the_lowest_and_the_newest_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
