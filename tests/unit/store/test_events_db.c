#include "base/numbers.h"
#include "store/events_db.h"
#include "tests/unit/support/db_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0 1767576600000

static struct events_db *open_as(const struct db_folder *place, enum db_mode mode)
{
    struct db_options options = {.path = place->path, .mode = mode};
    struct message message = {""};
    struct events_db *events = NULL;

    if (events_db_open(&options, &events, NULL, &message) != 0)
        fail_msg("%s", message.text);
    return events;
}

static struct event_transition transition(const char *key, const char *alarm, int64_t t_ms)
{
    return (struct event_transition){.key = key,
                                     .alarm = alarm,
                                     .site = "gas",
                                     .occurrence = 1,
                                     .event = "raise",
                                     .state = "unack_active",
                                     .priority = "high",
                                     .t_ms = t_ms,
                                     .onset_ms = t_ms - 5000,
                                     .has_value = true,
                                     .value = 25.5,
                                     .quality = "good",
                                     .cause = "process",
                                     .payload = "{\"t\":15}",
                                     .payload_len = 8};
}

static struct event_notification notification(const char *key)
{
    return (struct event_notification){.key = key,
                                       .alarm = "n1-ch4",
                                       .occurrence = 3,
                                       .kind = "raise",
                                       .priority = "critical",
                                       .t_ms = T0,
                                       .payload = "{\"zh\":\"甲烷高\"}",
                                       .payload_len = 18};
}

static void begin(struct events_db *events)
{
    assert_int_equal(events_db_begin(events, NULL), 0);
}

static void commit(struct events_db *events)
{
    assert_int_equal(events_db_commit(events, NULL), 0);
}

/* What a visitor saw: keys with blanks between, and the last row. */
struct seen {
    char keys[4096];
    size_t count;
    uint64_t last_id;
    int64_t last_t_ms;
    size_t stop_after;
};

static int note_key(struct seen *seen, const char *key)
{
    size_t used = strlen(seen->keys);

    snprintf(seen->keys + used, sizeof seen->keys - used, "%s%s", used > 0 ? " " : "", key);
    seen->count++;
    return seen->stop_after > 0 && seen->count >= seen->stop_after ? ERR_CLOSED : 0;
}

static int see_transition(void *self, const struct event_transition *row)
{
    struct seen *seen = self;

    seen->last_id = row->id;
    seen->last_t_ms = row->t_ms;
    return note_key(seen, row->key);
}

static int see_notification(void *self, const struct event_notification *row)
{
    struct seen *seen = self;

    seen->last_id = row->id;
    assert_string_equal(row->alarm, "n1-ch4");
    assert_int_equal(row->occurrence, 3);
    assert_string_equal(row->kind, "raise");
    assert_string_equal(row->priority, "critical");
    assert_int_equal(row->t_ms, T0);
    assert_int_equal(row->payload_len, 18);
    assert_memory_equal(row->payload, "{\"zh\":\"甲烷高\"}", 18);
    return note_key(seen, row->key);
}

static void expect(struct events_db *events, const struct event_filter *filter, size_t limit,
                   const char *keys)
{
    struct seen seen = {.count = 0};

    assert_int_equal(events_db_transitions(events, filter, limit, see_transition, &seen, NULL), 0);
    assert_string_equal(seen.keys, keys);
}

static int see_all_fields(void *self, const struct event_transition *row)
{
    bool *bad = self;

    assert_string_equal(row->alarm, *bad ? "other" : "n1-ch4");
    assert_string_equal(row->site, "gas");
    assert_int_equal(row->occurrence, 1);
    assert_string_equal(row->event, "raise");
    assert_string_equal(row->state, "unack_active");
    assert_string_equal(row->priority, "high");
    assert_int_equal(row->t_ms, T0);
    assert_int_equal(row->onset_ms, T0 - 5000);
    assert_int_equal(row->has_value, !*bad);
    assert_true(double_same(row->value, *bad ? 0 : 25.5));
    assert_string_equal(row->quality, "good");
    assert_string_equal(row->cause, "process");
    assert_int_equal(row->payload_len, *bad ? 0 : 8);
    assert_memory_equal(row->payload, "{\"t\":15}", row->payload_len);
    return 0;
}

static void a_transition_comes_back_as_it_was(void **state)
{
    struct events_db *events = open_as(*state, DB_WRITER);
    struct event_transition row = transition("k1", "n1-ch4", T0);
    struct event_filter filter = {.alarm = "n1-ch4"};
    bool bad = false;

    begin(events);
    assert_int_equal(events_db_add_transition(events, &row, NULL, NULL), 0);
    row = transition("k2", "other", T0);
    row.has_value = false;
    row.payload_len = 0;
    assert_int_equal(events_db_add_transition(events, &row, NULL, NULL), 0);
    commit(events);
    events_db_close(events);
    events = open_as(*state, DB_READER);
    assert_int_equal(events_db_transitions(events, &filter, 5, see_all_fields, &bad, NULL), 0);
    filter.alarm = "other";
    bad = true;
    assert_int_equal(events_db_transitions(events, &filter, 5, see_all_fields, &bad, NULL), 0);
    events_db_close(events);
}

static void a_replay_after_a_restart_changes_nothing(void **state)
{
    struct events_db *events = open_as(*state, DB_WRITER);
    struct event_filter any = {.alarm = NULL};
    struct seen seen = {.count = 0};

    for (int round = 0; round < 3; round++) {
        struct event_transition row = transition("k1", "n1-ch4", T0 + round);
        struct event_notification note = notification("n1");
        bool added = round != 0;
        begin(events);
        assert_int_equal(events_db_add_transition(events, &row, &added, NULL), 0);
        assert_int_equal(added, round == 0);
        assert_int_equal(events_db_add_notification(events, &note, &added, NULL), 0);
        assert_int_equal(added, round == 0);
        assert_int_equal(events_db_set_cursor(events, 10, NULL), 0);
        commit(events);
        events_db_close(events);
        events = open_as(*state, DB_WRITER);
    }
    expect(events, &any, 10, "k1");
    assert_int_equal(events_db_notifications(events, 0, 10, see_notification, &seen, NULL), 0);
    assert_string_equal(seen.keys, "n1");
    events_db_close(events);
}

static void transitions_come_newest_first_through_every_filter(void **state)
{
    struct events_db *events = open_as(*state, DB_WRITER);
    struct event_transition rows[5] = {
        transition("a1", "a", T0 + 10),  transition("a2", "a", T0 + 30),
        transition("b1", "b", T0 + 20),  transition("b2", "b", T0 + 20),
        transition("late", "a", T0 + 5),
    };

    rows[1].event = "return";
    rows[1].state = "unack_returned";
    rows[2].priority = "critical";
    rows[3].site = "leachate";
    rows[4].occurrence = 9;
    begin(events);
    for (int i = 0; i < 5; i++)
        assert_int_equal(events_db_add_transition(events, &rows[i], NULL, NULL), 0);
    commit(events);
    expect(events, &(struct event_filter){0}, 10, "a2 b2 b1 a1 late");
    expect(events, &(struct event_filter){0}, 2, "a2 b2");
    expect(events, &(struct event_filter){.alarm = "a"}, 10, "a2 a1 late");
    expect(events, &(struct event_filter){.alarm = "a", .occurrence = 9}, 10, "late");
    expect(events, &(struct event_filter){.site = "leachate"}, 10, "b2");
    expect(events, &(struct event_filter){.event = "return"}, 10, "a2");
    expect(events, &(struct event_filter){.state = "unack_returned"}, 10, "a2");
    expect(events, &(struct event_filter){.priority = "critical"}, 10, "b1");
    expect(events, &(struct event_filter){.from_ms = T0 + 10, .to_ms = T0 + 30}, 10, "b2 b1 a1");
    expect(events, &(struct event_filter){.alarm = "c"}, 10, "");
    expect(events, &(struct event_filter){.alarm = "a", .priority = "critical"}, 10, "");
    events_db_close(events);
}

static void pages_neither_skip_nor_repeat(void **state)
{
    struct events_db *events = open_as(*state, DB_WRITER);
    struct event_filter filter = {.alarm = NULL};
    uint32_t random = 7;
    char key[16];
    size_t total = 0;
    struct seen page;
    int64_t before = INT64_MAX;

    begin(events);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "k%d", i);
        struct event_transition row = transition(key, "a", T0 + seeded(&random) % 100);
        assert_int_equal(events_db_add_transition(events, &row, NULL, NULL), 0);
    }
    commit(events);
    do {
        page = (struct seen){.count = 0};
        assert_int_equal(events_db_transitions(events, &filter, 7, see_transition, &page, NULL), 0);
        total += page.count;
        if (page.count == 0)
            break;
        assert_true(page.last_t_ms <= before);
        before = page.last_t_ms;
        filter.before_ms = page.last_t_ms;
        filter.before_id = page.last_id;
    } while (total < 1000);
    assert_int_equal(total, 500);
    events_db_close(events);
}

static void pending_notifications_follow_the_cursor_of_the_sender(void **state)
{
    struct events_db *writer = open_as(*state, DB_WRITER);
    struct events_db *reader = open_as(*state, DB_READER);
    static const char *const keys[] = {"n1", "n2", "n3"};
    struct seen seen = {.count = 0};

    begin(writer);
    for (int i = 0; i < 3; i++) {
        struct event_notification row = notification(keys[i]);
        assert_int_equal(events_db_add_notification(writer, &row, NULL, NULL), 0);
    }
    assert_int_equal(events_db_notifications(reader, 0, 2, see_notification, &seen, NULL), 0);
    assert_int_equal(seen.count, 0);
    commit(writer);
    assert_int_equal(events_db_notifications(reader, 0, 2, see_notification, &seen, NULL), 0);
    assert_string_equal(seen.keys, "n1 n2");
    assert_int_equal(
        events_db_notifications(reader, seen.last_id, 2, see_notification, &seen, NULL), 0);
    assert_string_equal(seen.keys, "n1 n2 n3");
    assert_int_equal(
        events_db_notifications(reader, seen.last_id, 2, see_notification, &seen, NULL), 0);
    assert_int_equal(seen.count, 3);
    events_db_close(reader);
    events_db_close(writer);
}

static void a_visitor_can_end_the_reading(void **state)
{
    struct events_db *events = open_as(*state, DB_WRITER);
    struct event_transition one = transition("k1", "a", T0);
    struct event_transition two = transition("k2", "a", T0 + 1);
    struct seen seen = {.stop_after = 1};

    begin(events);
    assert_int_equal(events_db_add_transition(events, &one, NULL, NULL), 0);
    assert_int_equal(events_db_add_transition(events, &two, NULL, NULL), 0);
    commit(events);
    assert_int_equal(
        events_db_transitions(events, &(struct event_filter){0}, 9, see_transition, &seen, NULL),
        ERR_CLOSED);
    assert_string_equal(seen.keys, "k2");
    events_db_close(events);
}

static void the_snapshot_is_the_last_one_with_its_position(void **state)
{
    struct events_db *events = open_as(*state, DB_WRITER);
    uint64_t position = 5;
    struct buffer out;

    buffer_init(&out, EVENTS_MAX_SNAPSHOT);
    assert_int_equal(events_db_snapshot(events, &position, &out, NULL), ERR_NOT_FOUND);
    assert_int_equal(position, 5);
    for (uint64_t i = 1; i < 4; i++) {
        begin(events);
        assert_int_equal(events_db_set_snapshot(events, i * 100, "\0state", (size_t)(3 + i), NULL),
                         0);
        commit(events);
    }
    assert_int_equal(events_db_snapshot(events, &position, &out, NULL), 0);
    assert_int_equal(position, 300);
    assert_int_equal(out.len, 6);
    assert_memory_equal(out.data, "\0state", 6);
    buffer_release(&out);
    events_db_close(events);
}

static void add_and_leave_open(void *self)
{
    struct events_db *events = open_as(self, DB_WRITER);
    struct event_transition one = transition("k1", "a", T0);
    struct event_transition two = transition("k2", "a", T0);
    struct event_notification note = notification("n1");

    begin(events);
    assert_int_equal(events_db_add_transition(events, &one, NULL, NULL), 0);
    assert_int_equal(events_db_add_notification(events, &note, NULL, NULL), 0);
    assert_int_equal(events_db_set_cursor(events, 1, NULL), 0);
    commit(events);
    begin(events);
    assert_int_equal(events_db_add_transition(events, &two, NULL, NULL), 0);
    assert_int_equal(events_db_set_cursor(events, 2, NULL), 0);
}

static void a_kill_keeps_transitions_notifications_and_cursor_together(void **state)
{
    uint64_t position = 0;
    struct seen seen = {.count = 0};

    assert_true(killed_after(add_and_leave_open, *state));
    struct events_db *events = open_as(*state, DB_WRITER);
    assert_int_equal(events_db_cursor(events, &position, NULL), 0);
    assert_int_equal(position, 1);
    expect(events, &(struct event_filter){0}, 10, "k1");
    assert_int_equal(events_db_notifications(events, 0, 10, see_notification, &seen, NULL), 0);
    assert_int_equal(seen.count, 1);
    events_db_close(events);
}

static void a_full_disk_stores_no_half_of_a_step(void **state)
{
    const struct db_folder *place = *state;
    struct db_options options = {
        .path = place->path, .mode = DB_WRITER, .limit_bytes = (int64_t)64 * 4096};
    struct events_db *events = NULL;
    struct seen seen = {.count = 0};
    uint64_t cursor = 99;
    uint64_t steps = 0;
    char key[16];
    int err = 0;

    assert_int_equal(events_db_open(&options, &events, NULL, NULL), 0);
    while (err == 0 && steps < 10000) {
        snprintf(key, sizeof key, "k%u", (unsigned)++steps);
        struct event_transition row = transition(key, "a", T0);
        struct event_notification note = notification(key);
        begin(events);
        err = events_db_add_transition(events, &row, NULL, NULL);
        if (err == 0)
            err = events_db_add_notification(events, &note, NULL, NULL);
        if (err == 0)
            err = events_db_set_cursor(events, steps, NULL);
        if (err == 0)
            err = events_db_commit(events, NULL);
        else
            events_db_rollback(events);
    }
    assert_int_equal(err, ERR_FULL);
    assert_int_equal(events_db_cursor(events, &cursor, NULL), 0);
    assert_int_equal(cursor, steps - 1);
    while (seen.count < steps && seen.count < 9999) {
        size_t before = seen.count;
        seen.keys[0] = '\0';
        assert_int_equal(
            events_db_notifications(events, seen.last_id, 100, see_notification, &seen, NULL), 0);
        if (seen.count == before)
            break;
    }
    assert_int_equal(seen.count, steps - 1);
    events_db_close(events);
}

static void readers_cannot_write(void **state)
{
    struct events_db *writer = open_as(*state, DB_WRITER);
    struct events_db *reader = open_as(*state, DB_READER);
    struct event_transition row = transition("k1", "a", T0);

    assert_int_equal(events_db_begin(reader, NULL), ERR_DENIED);
    assert_int_equal(events_db_add_transition(reader, &row, NULL, NULL), ERR_DENIED);
    assert_int_equal(events_db_set_snapshot(reader, 1, "x", 1, NULL), ERR_DENIED);
    events_db_close(reader);
    events_db_close(writer);
}

static void births_are_kept(void **state)
{
    struct events_db *events = open_as(*state, DB_WRITER);
    struct buffer out;

    buffer_init(&out, 100);
    begin(events);
    assert_int_equal(events_db_add_birth(events, "b1", "{}", 2, NULL), 0);
    commit(events);
    assert_int_equal(events_db_birth(events, "b1", &out, NULL), 0);
    assert_string_equal(buffer_text(&out), "{}");
    assert_int_equal(events_db_birth(events, "b2", &out, NULL), ERR_NOT_FOUND);
    buffer_release(&out);
    events_db_close(events);
}

static void an_oversized_payload_takes_its_transaction_with_it(void **state)
{
    struct events_db *events = open_as(*state, DB_WRITER);
    struct event_transition row = transition("k1", "a", T0);

    begin(events);
    assert_int_equal(events_db_add_transition(events, &row, NULL, NULL), 0);
    row.key = "k2";
    row.payload_len = EVENTS_MAX_PAYLOAD + 1;
    assert_int_equal(events_db_add_transition(events, &row, NULL, NULL), ERR_RANGE);
    assert_int_equal(events_db_commit(events, NULL), ERR_RANGE);
    expect(events, &(struct event_filter){0}, 10, "");
    events_db_close(events);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, db_folder_setup, db_folder_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_transition_comes_back_as_it_was),
        TEST(a_replay_after_a_restart_changes_nothing),
        TEST(transitions_come_newest_first_through_every_filter),
        TEST(pages_neither_skip_nor_repeat),
        TEST(pending_notifications_follow_the_cursor_of_the_sender),
        TEST(a_visitor_can_end_the_reading),
        TEST(the_snapshot_is_the_last_one_with_its_position),
        TEST(a_kill_keeps_transitions_notifications_and_cursor_together),
        TEST(a_full_disk_stores_no_half_of_a_step),
        TEST(readers_cannot_write),
        TEST(births_are_kept),
        TEST(an_oversized_payload_takes_its_transaction_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
