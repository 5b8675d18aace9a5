/* Lines as InfluxDB's documentation and its parser have them, written out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/line_protocol.h"
#include "tests/unit/support/comma_locale.h"

#include <stdio.h>
#include <string.h>

static void expect_head(const char *id, const char *site, const char *unit, const char *wanted)
{
    struct point_info info = {.interval_ms = 1000};
    struct buffer out;
    memcpy(info.id, id, strlen(id) + 1);
    memcpy(info.site, site, strlen(site) + 1);
    memcpy(info.unit, unit, strlen(unit) + 1);
    buffer_init(&out, LINE_HEAD_MAX);
    line_head_append(&out, &info);
    assert_int_equal(buffer_error(&out), 0);
    assert_string_equal(buffer_text(&out), wanted);
    buffer_release(&out);
}

static void heads_are_escaped(void **state)
{
    (void)state;
    expect_head("leachate.plc.ph", "leachate", "", "chengmai,point=leachate.plc.ph,site=leachate");
    expect_head("a.b.c", "a", "mg/L", "chengmai,point=a.b.c,site=a,unit=mg/L");
    expect_head("a b,c=d", "s", "m3 = h,",
                "chengmai,point=a\\ b\\,c\\=d,site=s,unit=m3\\ \\=\\ h\\,");
    expect_head("a\"b", "s", "℃", "chengmai,point=a\"b,site=s,unit=℃");
    /* What no two parsers read alike, or what ends the line. */
    expect_head("a\\b", "s", "x\\", "chengmai,point=a_b,site=s,unit=x_");
    expect_head("a\\ b", "s", "x\ny\r\tz\x7f", "chengmai,point=a_\\ b,site=s,unit=x_y__z_");
}

static void the_longest_head_fits(void **state)
{
    (void)state;
    struct point_info info = {.interval_ms = 1};
    struct buffer out;
    memset(info.id, ',', sizeof(info.id) - 1);
    memset(info.site, ' ', sizeof(info.site) - 1);
    memset(info.unit, '=', sizeof(info.unit) - 1);
    buffer_init(&out, LINE_HEAD_MAX);
    line_head_append(&out, &info);
    assert_int_equal(buffer_error(&out), 0);
    buffer_release(&out);
}

static void expect_line(struct sample sample, bool with_text, const char *wanted)
{
    struct buffer out;
    buffer_init(&out, LINE_MAX_BYTES);
    line_append(&out, "h", 1, &sample, sample.t_ms, with_text);
    assert_int_equal(buffer_error(&out), 0);
    assert_string_equal(buffer_text(&out), wanted);
    buffer_release(&out);
}

static struct sample number(enum value_kind kind, double value)
{
    return (struct sample){.t_ms = 1767576600123, .value = {.kind = kind, .number = value}};
}

static struct sample text(const char *value)
{
    struct sample sample = {.t_ms = 1, .value = {.kind = VALUE_TEXT}};
    memcpy(sample.value.text, value, strlen(value) + 1);
    return sample;
}

static void numbers_are_floats_in_their_shortest_form(void **state)
{
    (void)state;
    expect_line(number(VALUE_DOUBLE, 61.8), true, "h value=61.8,q=0i 1767576600123\n");
    expect_line(number(VALUE_DOUBLE, 7), true, "h value=7,q=0i 1767576600123\n");
    expect_line(number(VALUE_DOUBLE, 0.1), true, "h value=0.1,q=0i 1767576600123\n");
    expect_line(number(VALUE_DOUBLE, -1e300), true, "h value=-1e300,q=0i 1767576600123\n");
    expect_line(number(VALUE_DOUBLE, 5e-324), true, "h value=5e-324,q=0i 1767576600123\n");
    expect_line(number(VALUE_DOUBLE, 9007199254740991), true,
                "h value=9007199254740991,q=0i 1767576600123\n");
    expect_line(number(VALUE_FLOAT, (double)21.64f), true, "h value=21.64,q=0i 1767576600123\n");
    expect_line(number(VALUE_DOUBLE, (double)21.64f), true,
                "h value=21.639999389648438,q=0i 1767576600123\n");
}

static void numbers_do_not_follow_the_locale(void **state)
{
    locale_t comma = comma_locale_new();
    if (!comma) {
        printf("skipped: %s: no locale with a comma can be made here\n", __func__);
        skip();
    }
    locale_t before = uselocale(comma);
    numbers_are_floats_in_their_shortest_form(state);
    uselocale(before);
    freelocale(comma);
}

static void every_sample_is_a_line(void **state)
{
    (void)state;
    struct sample bad = {.t_ms = -5, .quality = QUALITY_BAD, .cause = CAUSE_OUT_OF_RANGE};
    expect_line(bad, true, "h q=517i -5\n");
    struct sample worst = {.t_ms = LINE_MIN_TIME, .quality = QUALITY_STALE, .cause = CAUSE_CLOCK};
    expect_line(worst, true, "h q=780i -9223372036854\n");
    struct sample valued = number(VALUE_DOUBLE, 2.5);
    valued.quality = QUALITY_UNCERTAIN;
    valued.cause = CAUSE_CALIBRATION;
    expect_line(valued, false, "h value=2.5,q=267i 1767576600123\n");
}

static void texts_are_quoted_or_left_out(void **state)
{
    (void)state;
    expect_line(text("9007199254740993"), true, "h text=\"9007199254740993\",q=0i 1\n");
    expect_line(text("a \"b\" \\ c,=\n"), true, "h text=\"a \\\"b\\\" \\\\ c,=\n\",q=0i 1\n");
    expect_line(text(""), true, "h text=\"\",q=0i 1\n");
    expect_line(text("阀门开"), true, "h text=\"阀门开\",q=0i 1\n");
    expect_line(text("9007199254740993"), false, "h q=0i 1\n");
}

static void the_longest_text_fits(void **state)
{
    (void)state;
    struct sample sample = {.t_ms = LINE_MIN_TIME, .quality = QUALITY_STALE, .cause = CAUSE_CLOCK};
    struct buffer out;
    sample.value.kind = VALUE_TEXT;
    memset(sample.value.text, '"', VALUE_TEXT_SIZE - 1);
    buffer_init(&out, LINE_TAIL_MAX);
    line_append(&out, "", 0, &sample, sample.t_ms, true);
    assert_int_equal(buffer_error(&out), 0);
    assert_int_equal(out.len,
                     strlen(" text=\"\",q=780i -9223372036854\n") + 2 * (VALUE_TEXT_SIZE - 1));
    buffer_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_escaped),
        cmocka_unit_test(the_longest_head_fits),
        cmocka_unit_test(numbers_are_floats_in_their_shortest_form),
        cmocka_unit_test(numbers_do_not_follow_the_locale),
        cmocka_unit_test(every_sample_is_a_line),
        cmocka_unit_test(texts_are_quoted_or_left_out),
        cmocka_unit_test(the_longest_text_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
