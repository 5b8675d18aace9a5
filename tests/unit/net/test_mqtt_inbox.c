/* The hand-over between the library's threads and the owner, without either. */
#include "net/mqtt_inbox.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void take(struct mqtt_inbox *inbox, enum mqtt_report_kind kind, const char *payload)
{
    struct mqtt_report report;
    assert_int_equal(mqtt_inbox_take(inbox, &report), 0);
    assert_int_equal(report.kind, kind);
    if (payload)
        assert_string_equal(report.event.payload, payload);
    mqtt_event_release(&report.event);
}

static void push_text(struct mqtt_inbox *inbox, const char *text)
{
    mqtt_inbox_push_message(inbox, "t", 1, text, strlen(text), false);
}

static void messages_are_bounded_by_number_and_others_still_fit(void **state)
{
    struct mqtt_inbox inbox;
    (void)state;
    assert_int_equal(mqtt_inbox_init(&inbox, 2, 1000, 1), 0);
    push_text(&inbox, "one");
    push_text(&inbox, "two");
    push_text(&inbox, "three");
    assert_int_equal(mqtt_inbox_dropped(&inbox), 1);
    mqtt_inbox_push(&inbox, &(struct mqtt_report){.kind = REPORT_ACKED});
    take(&inbox, REPORT_MESSAGE, "one");
    push_text(&inbox, "four");
    take(&inbox, REPORT_MESSAGE, "two");
    take(&inbox, REPORT_ACKED, NULL);
    take(&inbox, REPORT_MESSAGE, "four");
    assert_int_equal(mqtt_inbox_dropped(&inbox), 1);
    mqtt_inbox_release(&inbox);
}

static void messages_are_bounded_by_bytes(void **state)
{
    struct mqtt_inbox inbox;
    (void)state;
    assert_int_equal(mqtt_inbox_init(&inbox, 100, 10, 1), 0);
    push_text(&inbox, "123456");
    push_text(&inbox, "12345");
    assert_int_equal(mqtt_inbox_dropped(&inbox), 1);
    push_text(&inbox, "1234");
    take(&inbox, REPORT_MESSAGE, "123456");
    take(&inbox, REPORT_MESSAGE, "1234");
    push_text(&inbox, "0123456789");
    take(&inbox, REPORT_MESSAGE, "0123456789");
    assert_int_equal(mqtt_inbox_dropped(&inbox), 1);
    mqtt_inbox_release(&inbox);
}

static void what_is_held_waits_in_order_and_counts(void **state)
{
    struct mqtt_inbox inbox;
    struct mqtt_report report;
    (void)state;
    assert_int_equal(mqtt_inbox_init(&inbox, 2, 1000, 1), 0);
    push_text(&inbox, "one");
    push_text(&inbox, "two");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mqtt_inbox_take(&inbox, &report), 0);
        mqtt_inbox_hold(&inbox, &report);
    }
    push_text(&inbox, "three");
    assert_int_equal(mqtt_inbox_dropped(&inbox), 1);
    assert_int_equal(mqtt_inbox_take_held(&inbox, &report), 0);
    assert_string_equal(report.event.payload, "one");
    mqtt_event_release(&report.event);
    push_text(&inbox, "four");
    assert_int_equal(mqtt_inbox_dropped(&inbox), 1);
    mqtt_inbox_drop_held(&inbox);
    assert_int_equal(mqtt_inbox_dropped(&inbox), 2);
    assert_int_equal(mqtt_inbox_take_held(&inbox, &report), ERR_AGAIN);
    mqtt_inbox_release(&inbox); /* frees "four" */
}

static void the_end_tells_the_reason_given_before_once(void **state)
{
    struct mqtt_inbox inbox;
    struct mqtt_report report;
    char long_reason[400];
    (void)state;
    memset(long_reason, 'r', sizeof(long_reason));
    assert_int_equal(mqtt_inbox_init(&inbox, 1, 1, 4), 0);
    mqtt_inbox_set_reason(&inbox, "bad certificate\nand more", 24);
    mqtt_inbox_push_end(&inbox, "no TLS");
    mqtt_inbox_push_end(&inbox, "lost");
    mqtt_inbox_set_reason(&inbox, long_reason, sizeof(long_reason));
    mqtt_inbox_push_end(&inbox, "");
    assert_int_equal(mqtt_inbox_take(&inbox, &report), 0);
    assert_string_equal(report.event.text, "no TLS: bad certificate");
    assert_int_equal(mqtt_inbox_take(&inbox, &report), 0);
    assert_string_equal(report.event.text, "lost");
    assert_int_equal(mqtt_inbox_take(&inbox, &report), 0);
    assert_int_equal(strlen(report.event.text), sizeof(inbox.reason) - 1);
    mqtt_inbox_release(&inbox);
}

static void the_descriptor_is_readable_while_reports_wait(void **state)
{
    struct mqtt_inbox inbox;
    (void)state;
    assert_int_equal(mqtt_inbox_init(&inbox, 1, 1, 1), 0);
    struct pollfd waiting = {mqtt_inbox_fd(&inbox), POLLIN, 0};
    assert_int_equal(poll(&waiting, 1, 0), 0);
    mqtt_inbox_push_end(&inbox, "x");
    assert_int_equal(poll(&waiting, 1, 0), 1);
    take(&inbox, REPORT_ENDED, NULL);
    assert_int_equal(poll(&waiting, 1, 0), 0);
    mqtt_inbox_release(&inbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_bounded_by_number_and_others_still_fit),
        cmocka_unit_test(messages_are_bounded_by_bytes),
        cmocka_unit_test(what_is_held_waits_in_order_and_counts),
        cmocka_unit_test(the_end_tells_the_reason_given_before_once),
        cmocka_unit_test(the_descriptor_is_readable_while_reports_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
