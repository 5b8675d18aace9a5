#include "model/topics.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    enum topic_kind kind;
    const char *topic;
} topics[] = {
    {TOPIC_BIRTH, "chengmai/v1/leachate-north/birth"},
    {TOPIC_DATA, "chengmai/v1/leachate-north/data"},
    {TOPIC_BACKFILL, "chengmai/v1/leachate-north/backfill"},
    {TOPIC_EVENT, "chengmai/v1/leachate-north/event"},
    {TOPIC_STATE, "chengmai/v1/leachate-north/state"},
    {TOPIC_STATS, "chengmai/v1/leachate-north/stats"},
    {TOPIC_REPLY, "chengmai/v1/leachate-north/reply"},
    {TOPIC_COSIGN, "chengmai/v1/leachate-north/cosign"},
    {TOPIC_RECEIPT, "chengmai/v1/leachate-north/receipt"},
    {TOPIC_REQUEST, "chengmai/v1/leachate-north/request"},
    {TOPIC_CONFIG, "chengmai/v1/leachate-north/config"},
    {TOPIC_CENTRE_STATE, "chengmai/v1/central/leachate-north/state"},
    {TOPIC_CENTRE_HEAD, "chengmai/v1/central/leachate-north/head"},
};

static void topics_are_as_published(void **state)
{
    char topic[TOPIC_SIZE];

    (void)state;
    assert_int_equal(sizeof(topics) / sizeof(topics[0]), TOPIC_KIND_COUNT);
    for (size_t i = 0; i < TOPIC_KIND_COUNT; i++) {
        topic_make(topics[i].kind, "leachate-north", topic);
        assert_string_equal(topic, topics[i].topic);
    }
    topic_make(TOPIC_DATA, "+", topic);
    assert_string_equal(topic, "chengmai/v1/+/data");
    topic_make(TOPIC_CENTRE_STATE, "+", topic);
    assert_string_equal(topic, "chengmai/v1/central/+/state");
}

static void topics_are_taken_apart_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < TOPIC_KIND_COUNT; i++) {
        enum topic_kind kind = TOPIC_KIND_COUNT;
        char name[65] = "";
        assert_int_equal(topic_parse(topics[i].topic, &kind, name), 0);
        assert_int_equal(kind, topics[i].kind);
        assert_string_equal(name, "leachate-north");
    }
}

static void the_longest_name_fits(void **state)
{
    char name[65];
    char topic[TOPIC_SIZE];

    (void)state;
    memset(name, 'n', 64);
    name[64] = '\0';
    for (int i = 0; i < TOPIC_KIND_COUNT; i++) {
        enum topic_kind kind = TOPIC_KIND_COUNT;
        char back[65];
        topic_make((enum topic_kind)i, name, topic);
        assert_int_equal(topic_parse(topic, &kind, back), 0);
        assert_int_equal(kind, i);
        assert_string_equal(back, name);
    }
}

static void an_edge_named_central_is_no_centre(void **state)
{
    enum topic_kind kind = TOPIC_KIND_COUNT;
    char name[65];

    (void)state;
    assert_int_equal(topic_parse("chengmai/v1/central/state", &kind, name), 0);
    assert_int_equal(kind, TOPIC_STATE);
    assert_string_equal(name, "central");
}

static void other_topics_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "chengmai/v1/",
        "chengmai/v1//data",
        "chengmai/v1/data",
        "chengmai/v1/e/dat",
        "chengmai/v1/e/data/",
        "chengmai/v1/e/data/x",
        "chengmai/v1/e/head",
        "chengmai/v1/a/b/state",
        "chengmai/v1/central//state",
        "chengmai/v1/central/c/data",
        "chengmai/v1/+/data",
        "chengmai/v1/#",
        "chengmai/v1/.e/data",
        "chengmai/v1/e e/data",
        "chengmai/v1/\xE5\x8E\x82/data",
        "chengmai/v2/e/data",
        "/chengmai/v1/e/data",
        "Chengmai/v1/e/data",
        "$SYS/broker/uptime",
        /* 65 characters */
        "chengmai/v1/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn/data",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        enum topic_kind kind = TOPIC_KIND_COUNT;
        char name[65] = "untouched";
        assert_int_equal(topic_parse(bad[i], &kind, name), ERR_INVALID);
        assert_int_equal(kind, TOPIC_KIND_COUNT);
        assert_string_equal(name, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_are_as_published),
        cmocka_unit_test(topics_are_taken_apart_again),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(an_edge_named_central_is_no_centre),
        cmocka_unit_test(other_topics_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
