/* What each answer of a store leads to, by a store that answers as it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/line_delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A store: takes lines but those with "poison" in them, and keeps what it took. */
struct fake {
    size_t requests, creations;
    bool has_database, may_create;
    int status; /* of every write, or 0: by its lines */
    const char *body;
    int err;
    int64_t retry_after_s;
    size_t most_bytes; /* 413 beyond; 0: no bound */
    bool poisons_all;
    size_t fail_at; /* the request that ends without an answer; 0: none */
    bool kept[LINE_BATCH_MAX];
    /* dead letters */
    bool letters_full;
    size_t letter_count;
    size_t letters[LINE_BATCH_MAX];
    char reason[600];
    struct line_request last;
};

static size_t number_of(const char *line)
{
    return (size_t)strtoul(strstr(line, "point=") + 6, NULL, 10);
}

/* Keeps the good lines of a body, as InfluxDB does; how many are not. */
static size_t take_lines(struct fake *fake, const struct line_request *request)
{
    size_t bad = 0;
    const char *at = request->body, *end = at + request->len;
    while (at < end) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(next);
        bool poison = fake->poisons_all || memmem(at, (size_t)(next - at), "poison", 6);
        if (!poison)
            fake->kept[number_of(at)] = true;
        bad += poison;
        at = next + 1;
    }
    return bad;
}

static int answer(struct line_reply *reply, int status, const char *body)
{
    reply->status = status;
    reply->body = body;
    return 0;
}

static int ask(void *self, const struct line_request *request, struct line_reply *reply,
               struct message *message)
{
    struct fake *fake = self;
    fake->requests++;
    fake->last = *request;
    if (fake->err || (fake->fail_at && fake->requests == fake->fail_at))
        return message_set(message, fake->err ? fake->err : ERR_TIMEOUT, "h: no answer");
    if (strstr(request->url, "/query")) {
        fake->creations++;
        fake->has_database = fake->may_create;
        return fake->may_create ? answer(reply, 200, "{\"results\":[{\"statement_id\":0}]}")
                                : answer(reply, 403, "{\"error\":\"requires admin privilege\"}");
    }
    reply->retry_after_s = fake->retry_after_s;
    if (fake->status)
        return answer(reply, fake->status, fake->body);
    if (!fake->has_database)
        return answer(reply, 404, "{\"error\":\"database not found: \\\"chengmai\\\"\"}");
    if (fake->most_bytes && request->len > fake->most_bytes)
        return answer(reply, 413, "{\"error\":\"request too large\"}");
    return take_lines(fake, request) ? answer(reply, 400, "{\"error\":\"partial write: poison\"}")
                                     : answer(reply, 204, "");
}

static int add_letter(void *self, const char *line, size_t len, const char *reason,
                      struct message *message)
{
    struct fake *fake = self;
    if (fake->letters_full)
        return message_set(message, ERR_FULL, "no room for dead letters");
    assert_null(memchr(line, '\n', len));
    fake->letters[fake->letter_count++] = number_of(line);
    snprintf(fake->reason, sizeof(fake->reason), "%s", reason);
    return 0;
}

struct bed {
    struct store_config config;
    struct line_target target;
    struct line_delivery delivery;
    struct line_batch batch;
    struct fake fake;
    struct message why;
};

static struct bed *new_bed(enum store_kind kind)
{
    struct bed *bed = calloc(1, sizeof(*bed));
    assert_non_null(bed);
    bed->config = (struct store_config){
        .kind = kind, .name = "x", .url = "http://h:1", .database = "chengmai", .bucket = "b"};
    assert_int_equal(line_target_init(&bed->target, &bed->config, NULL), 0);
    line_delivery_init(&bed->delivery, &bed->target, (struct line_exchange){&bed->fake, ask},
                       (struct line_letters){&bed->fake, add_letter});
    line_batch_init(&bed->batch);
    bed->fake.has_database = true;
    return bed;
}

static void free_bed(struct bed *bed)
{
    line_batch_release(&bed->batch);
    line_target_release(&bed->target);
    free(bed);
}

static void add_line(struct bed *bed, bool poison)
{
    char head[64];
    struct sample sample = {.t_ms = 1};
    snprintf(head, sizeof(head), "chengmai,point=%zu%s", bed->batch.count, poison ? "poison" : "");
    assert_int_equal(line_batch_add(&bed->batch, head, strlen(head), &sample, sample.t_ms, true),
                     0);
}

static enum line_verdict run(struct bed *bed)
{
    bed->fake.requests = 0;
    bed->why.text[0] = '\0';
    return line_delivery_run(&bed->delivery, &bed->batch, &bed->why);
}

static void expect_kept(const struct bed *bed, bool (*poison)(size_t line))
{
    for (size_t i = 0; i < bed->batch.count; i++)
        assert_int_equal(bed->fake.kept[i], !poison(i));
}

static bool none(size_t line)
{
    (void)line;
    return false;
}

static void a_good_batch_is_one_request(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    for (size_t i = 0; i < LINE_BATCH_MAX; i++)
        add_line(bed, false);
    struct sample sample = {.t_ms = 1};
    assert_int_equal(line_batch_add(&bed->batch, "x", 1, &sample, 1, true), ERR_FULL);
    assert_int_equal(run(bed), LINE_TAKEN);
    assert_int_equal(bed->fake.requests, 1);
    assert_string_equal(bed->fake.last.method, "POST");
    assert_string_equal(bed->fake.last.url, "http://h:1/write?precision=ms&db=chengmai");
    assert_int_equal(bed->fake.last.len, bed->batch.text.len);
    expect_kept(bed, none);
    free_bed(bed);
}

static bool some(size_t line)
{
    return line == 0 || line == 1 || line == 17 || line == 2500 || line == LINE_BATCH_MAX - 1;
}

static void each_poison_line_is_found(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    size_t poisons = 0;
    for (size_t i = 0; i < LINE_BATCH_MAX; i++) {
        add_line(bed, some(i));
        poisons += some(i);
    }
    assert_int_equal(run(bed), LINE_TAKEN);
    expect_kept(bed, some);
    assert_int_equal(bed->delivery.set_aside, poisons);
    assert_int_equal(bed->fake.letter_count, poisons);
    for (size_t i = 0; i < poisons; i++)
        assert_true(some(bed->fake.letters[i]));
    assert_non_null(strstr(bed->fake.reason, "400: {\"error\":\"partial write: poison\"}"));
    /* 2 log2(5000) each, and once more where it stood alone before anything was taken. */
    assert_in_range(bed->fake.requests, 1, poisons * (2 * 13 + 1) + 1);
    free_bed(bed);
}

static void where_nothing_is_taken_nothing_is_set_aside(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    for (size_t i = 0; i < LINE_BATCH_MAX; i++)
        add_line(bed, false);
    bed->fake.poisons_all = true;
    assert_int_equal(run(bed), LINE_REFUSED);
    assert_int_equal(bed->fake.letter_count, 0);
    assert_in_range(bed->fake.requests, 8, 8 * 14);
    assert_non_null(strstr(bed->why.text, "400"));
    assert_non_null(strstr(line_target_remedy(&bed->target, LINE_REFUSED), "SHOW FIELD KEYS"));
    /* Mended, it goes on as if nothing had been. */
    bed->fake.poisons_all = false;
    assert_int_equal(run(bed), LINE_TAKEN);
    assert_int_equal(bed->fake.requests, 1);
    expect_kept(bed, none);
    free_bed(bed);
}

static bool but_one(size_t line)
{
    return line != 3333;
}

static void one_good_line_among_thousands_is_enough(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    for (size_t i = 0; i < LINE_BATCH_MAX; i++)
        add_line(bed, but_one(i));
    int tries = 1;
    while (run(bed) == LINE_REFUSED && tries < 20) {
        assert_int_equal(bed->fake.letter_count, 0);
        tries++;
    }
    assert_in_range(tries, 2, 11);
    assert_int_equal(bed->delivery.set_aside, LINE_BATCH_MAX - 1);
    assert_in_range(bed->fake.requests, LINE_BATCH_MAX, 3 * LINE_BATCH_MAX + 2);
    expect_kept(bed, but_one);
    free_bed(bed);
}

static void two_lines_are_enough_to_be_a_batch(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    add_line(bed, true);
    add_line(bed, true);
    for (int i = 0; i < 5; i++)
        assert_int_equal(run(bed), LINE_REFUSED);
    add_line(bed, false); /* more was gathered meanwhile */
    assert_int_equal(run(bed), LINE_TAKEN);
    assert_int_equal(bed->delivery.set_aside, 2);
    free_bed(bed);
}

static void a_line_alone_needs_a_store_that_takes_others(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    add_line(bed, true);
    assert_int_equal(run(bed), LINE_REFUSED);
    line_batch_clear(&bed->batch);
    add_line(bed, false);
    assert_int_equal(run(bed), LINE_TAKEN);
    line_batch_clear(&bed->batch);
    add_line(bed, true);
    assert_int_equal(run(bed), LINE_TAKEN);
    assert_int_equal(bed->fake.letter_count, 1);
    free_bed(bed);
}

static void dead_letters_that_cannot_be_kept_hold_the_batch(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    add_line(bed, true);
    add_line(bed, false);
    bed->fake.letters_full = true;
    assert_int_equal(run(bed), LINE_UNKEPT);
    assert_string_equal(bed->why.text, "no room for dead letters");
    assert_non_null(strstr(line_target_remedy(&bed->target, LINE_UNKEPT), "disk"));
    free_bed(bed);
}

static void too_much_at_once_is_halved(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    for (size_t i = 0; i < 1000; i++)
        add_line(bed, false);
    bed->fake.most_bytes = bed->batch.text.len / 3;
    assert_int_equal(run(bed), LINE_TAKEN);
    assert_int_equal(bed->fake.requests, 1 + 2 + 4);
    assert_int_equal(bed->fake.letter_count, 0);
    expect_kept(bed, none);
    free_bed(bed);
}

static void a_line_that_is_too_large_alone_is_set_aside(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    char head[200];
    struct sample sample = {.t_ms = 1};
    add_line(bed, false);
    snprintf(head, sizeof(head), "chengmai,point=1,unit=%0100d", 0);
    assert_int_equal(line_batch_add(&bed->batch, head, strlen(head), &sample, 1, true), 0);
    bed->fake.most_bytes = 100;
    assert_int_equal(run(bed), LINE_TAKEN);
    assert_int_equal(bed->fake.letter_count, 1);
    assert_int_equal(bed->fake.letters[0], 1);
    assert_non_null(strstr(bed->fake.reason, "413"));
    free_bed(bed);
}

static void what_passes_by_itself_is_tried_again_whole(void **state)
{
    (void)state;
    static const int statuses[] = {429, 408, 500, 502, 503, 504};
    struct bed *bed = new_bed(STORE_INFLUXDB);
    add_line(bed, false);
    add_line(bed, false);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        bed->fake.status = statuses[i];
        bed->fake.body = "busy\nmore";
        bed->fake.retry_after_s = statuses[i];
        assert_int_equal(run(bed), LINE_BUSY);
        assert_int_equal(bed->fake.requests, 1);
        assert_int_equal(bed->delivery.retry_after_s, statuses[i]);
        assert_non_null(strstr(bed->why.text, "busy"));
        assert_null(strstr(bed->why.text, "more"));
    }
    for (int err = ERR_IO; err >= ERR_CLOSED; err += ERR_TIMEOUT - ERR_IO) {
        bed->fake.err = err;
        assert_int_equal(run(bed), LINE_SILENT);
        assert_string_equal(bed->why.text, "h: no answer");
        assert_int_equal(bed->delivery.retry_after_s, 0);
    }
    free_bed(bed);
}

static void no_answer_in_the_midst_sets_nothing_aside(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    for (size_t i = 0; i < 64; i++)
        add_line(bed, i == 63);
    for (size_t at = 1; at <= 7; at++) {
        bed->fake.fail_at = at;
        assert_int_equal(run(bed), LINE_SILENT);
        assert_int_equal(bed->fake.letter_count, 0);
    }
    bed->fake.fail_at = 0;
    assert_int_equal(run(bed), LINE_TAKEN);
    assert_int_equal(bed->fake.letter_count, 1);
    free_bed(bed);
}

static void who_is_denied_is_held_and_told(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    add_line(bed, false);
    bed->fake.body = "{\"error\":\"authorization failed\"}";
    for (bed->fake.status = 401; bed->fake.status <= 403; bed->fake.status += 2) {
        assert_int_equal(run(bed), LINE_DENIED);
        assert_non_null(strstr(bed->why.text, "authorization failed"));
    }
    assert_non_null(strstr(line_target_remedy(&bed->target, LINE_DENIED), "password_file"));
    free_bed(bed);
}

static void a_missing_database_can_be_made(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    add_line(bed, false);
    bed->fake.has_database = false;
    assert_int_equal(run(bed), LINE_NO_DATABASE);
    assert_int_equal(bed->fake.requests, 1);
    assert_int_equal(line_delivery_create_database(&bed->delivery, &bed->why), ERR_DENIED);
    assert_string_equal(bed->fake.last.url, "http://h:1/query");
    assert_memory_equal(bed->fake.last.body, "q=CREATE+DATABASE+%22chengmai%22",
                        bed->fake.last.len);
    assert_non_null(strstr(bed->why.text, "requires admin"));
    bed->fake.may_create = true;
    assert_int_equal(line_delivery_create_database(&bed->delivery, &bed->why), 0);
    assert_int_equal(run(bed), LINE_TAKEN);
    expect_kept(bed, none);
    free_bed(bed);
}

static void a_missing_bucket_is_for_a_person(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB2);
    add_line(bed, false);
    bed->fake.has_database = false;
    bed->fake.may_create = true;
    assert_int_equal(run(bed), LINE_NO_DATABASE);
    assert_int_equal(line_delivery_create_database(&bed->delivery, &bed->why), ERR_DENIED);
    assert_non_null(strstr(bed->why.text, "not found")); /* what was said stays */
    assert_int_equal(bed->fake.requests, 1);
    assert_int_equal(bed->fake.creations, 0);
    assert_non_null(strstr(line_target_remedy(&bed->target, LINE_NO_DATABASE), "bucket"));
    free_bed(bed);
}

static void what_the_store_no_longer_keeps_is_counted(void **state)
{
    (void)state;
    struct bed *bed = new_bed(STORE_INFLUXDB);
    for (int i = 0; i < 10; i++)
        add_line(bed, false);
    bed->fake.status = 400;
    bed->fake.body = "{\"error\":\"partial write: points beyond retention policy dropped=3\"}";
    assert_int_equal(run(bed), LINE_TAKEN);
    assert_int_equal(bed->fake.requests, 1);
    assert_int_equal(bed->delivery.too_old, 3);
    assert_int_equal(bed->fake.letter_count, 0);
    bed->fake.status = 422;
    bed->fake.body = "{\"message\":\"partial write: dropped 99 points outside retention policy of "
                     "duration 1h dropped=99\"}";
    assert_int_equal(run(bed), LINE_TAKEN);
    assert_int_equal(bed->delivery.too_old, 10);
    free_bed(bed);
}

static void what_is_no_store_is_held(void **state)
{
    (void)state;
    static const int statuses[] = {100, 201, 301, 302, 405, 418};
    struct bed *bed = new_bed(STORE_VICTORIAMETRICS);
    add_line(bed, false);
    bed->fake.body = "<html>";
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        bed->fake.status = statuses[i];
        assert_int_equal(run(bed), LINE_STRANGE);
    }
    bed->fake.status = 404;
    assert_int_equal(run(bed), LINE_STRANGE);
    assert_non_null(strstr(line_target_remedy(&bed->target, LINE_STRANGE), "url"));
    bed->fake.err = ERR_INVALID;
    assert_int_equal(run(bed), LINE_STRANGE);
    free_bed(bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_batch_is_one_request),
        cmocka_unit_test(each_poison_line_is_found),
        cmocka_unit_test(where_nothing_is_taken_nothing_is_set_aside),
        cmocka_unit_test(one_good_line_among_thousands_is_enough),
        cmocka_unit_test(two_lines_are_enough_to_be_a_batch),
        cmocka_unit_test(a_line_alone_needs_a_store_that_takes_others),
        cmocka_unit_test(dead_letters_that_cannot_be_kept_hold_the_batch),
        cmocka_unit_test(too_much_at_once_is_halved),
        cmocka_unit_test(a_line_that_is_too_large_alone_is_set_aside),
        cmocka_unit_test(what_passes_by_itself_is_tried_again_whole),
        cmocka_unit_test(no_answer_in_the_midst_sets_nothing_aside),
        cmocka_unit_test(who_is_denied_is_held_and_told),
        cmocka_unit_test(a_missing_database_can_be_made),
        cmocka_unit_test(a_missing_bucket_is_for_a_person),
        cmocka_unit_test(what_the_store_no_longer_keeps_is_counted),
        cmocka_unit_test(what_is_no_store_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
