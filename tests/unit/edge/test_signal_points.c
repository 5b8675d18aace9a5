/* From names to points: who is judged, who is held back, what is refused; and the whole intake. */
#include "edge/intake.h"
#include "edge/operator_marks.h"
#include "edge/signal_points.h"
#include "tests/unit/support/config_file.h"
#include "tests/unit/support/edge_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#define MAP                                                                \
    "name,function,address,type,word_order,scale,min,max\n"                \
    "ch4,3,0,uint16,AB,1,,\ncod,3,1,uint16,AB,1,,\nph,3,2,uint16,AB,1,,\n" \
    "level,3,3,uint16,AB,1,-50,150\nflow,3,4,uint16,AB,1,,\n"

/* The same five points as an edge_bed has. */
struct bed {
    struct config_file map, edge;
    struct edge_config *config;
    struct edge_points *points;
    struct intake *intake;
    struct config_errors errors;
    int err;
};

static void begin(struct bed *bed, const char *more)
{
    char text[4096];
    *bed = (struct bed){0};
    config_file_make(&bed->map, "map.csv", MAP);
    snprintf(
        text, sizeof(text),
        "%s\nedge: edge-1\nsite: site-1\nbroker: {url: \"mqtt://127.0.0.1:1\"}\nlinks:\n"
        "  - name: l\n    url: \"tcp://127.0.0.1:1502\"\n    units:\n"
        "      - {unit: 1, name: plc, raw: true, map: \"%s\", points: [{name: ch4, class: safety}, "
        "{name: cod, class: compliance}, {name: ph, class: compliance}, level, flow]}\n",
        more, bed->map.path);
    config_file_make(&bed->edge, "edge.yaml", text);
    config_errors_init(&bed->errors);
    if (edge_config_load(bed->edge.path, &bed->config, &bed->errors) ||
        edge_points_new(bed->config, NULL, &bed->points, &bed->errors))
        fail_msg("%s", buffer_text(&bed->errors.text));
    bed->err = signal_points_make(bed->config, bed->points, &bed->intake, &bed->errors);
    assert_int_equal(bed->err, bed->errors.count ? ERR_INVALID : 0);
}

static void end(struct bed *bed)
{
    intake_free(bed->intake);
    edge_points_free(bed->points);
    edge_config_free(bed->config);
    config_errors_release(&bed->errors);
    config_file_remove(&bed->edge);
    config_file_remove(&bed->map);
}

static void names_that_cannot_be_are_told(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"signals: [{points: [plc.level, plc.flw], range: [0, 1]}]",
         ":1:32: 'plc.flw' is no point"},
        {"signals: [{points: [plc.level]}, {points: [plc.level]}]", "stands in `signals` twice"},
        {"signals: [{points: [plc.ch4], deadband: 1}]", "safety or compliance point"},
        {"signals: [{points: [plc.cod], deadband: 1}]", "safety or compliance point"},
        {"signals: [{points: [plc.flow], deadband: 1%}]", "has no span"},
        {"marks: [{cause: maintenance, points: plc.x, daily: 01:00-02:00}]", "'plc.x' is no point"},
        {"marks: [{cause: maintenance, points: lab.*, daily: 01:00-02:00}]", "'lab.*' is no point"},
        {"marks: [{cause: maintenance, points: plc.*, when: [{point: plc.y, value: 1}]}]",
         "'plc.y' is no point"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bed bed;
        begin(&bed, cases[i].text);
        const char *told = buffer_text(&bed.errors.text);
        if (bed.errors.count != 1 || !strstr(told, cases[i].told) || !strstr(told, "edge.yaml:1:"))
            fail_msg("%s\nexpected: %s\ntold %zu: %s", cases[i].text, cases[i].told,
                     bed.errors.count, told);
        end(&bed);
    }
}

static void put(struct bed *bed, struct edge_bed *edge, uint32_t point, double number)
{
    const struct sample sample = edge_bed_sample(edge, point, number);
    intake_put(bed->intake, edge->now, &sample, 1);
}

/* The record of stream t that the readings so far became. */
static struct record record_of(struct edge_bed *edge)
{
    struct record record;
    edge_bed_flush(edge);
    edge_bed_record(edge, STREAM_T, journal_durable(edge->journal, STREAM_T), &record);
    return record;
}

static void what_is_held_back_stands_in_record_and_journal(void **state)
{
    struct bed bed;
    struct edge_bed edge;

    (void)state;
    /* 1 % of the map's -50..150 */
    begin(&bed, "signals: [{points: [plc.level], deadband: 1%, heartbeat: 1h, range: [-49, 149]},"
                " {points: plc.flow, deadband: 0}]");
    assert_string_equal(buffer_text(&bed.errors.text), "");
    assert_int_equal(bed.points->infos[BED_T].interval_ms, 3600000);
    assert_int_equal(bed.points->infos[BED_T2].interval_ms, 600000);
    assert_int_equal(bed.points->infos[BED_S].interval_ms, 1000);
    assert_true(bed.points->links[0].units[0].points[0].raw);
    edge_bed_init(&edge, 1, false);
    edge_bed_open(&edge);
    intake_attach(bed.intake, edge.recorder);
    for (int i = 0; i < 10; i++, edge.now.mono_us += US_PER_S, edge.now.wall_ms += 1000) {
        put(&bed, &edge, BED_T, 10 + 0.1 * i); /* all within 1.98 of the first */
        put(&bed, &edge, BED_T2, i / 5);
    }
    put(&bed, &edge, BED_T, 12);
    struct record record = record_of(&edge);
    assert_int_equal(record.sample_count, 4);
    assert_int_equal(record.samples[3].held, 9);
    assert_int_equal(record.held, 9 + 4);
    assert_int_equal(record.total, 17);
    assert_int_equal(journal_durable_points(edge.journal), 17);
    record_release(&record);
    intake_flush(bed.intake); /* the last of the four that are held back since */
    record = record_of(&edge);
    assert_int_equal(record.sample_count, 1);
    assert_int_equal(record.samples[0].held, 3);
    assert_int_equal(record.total, 21);
    record_release(&record);
    edge_bed_release(&edge);
    end(&bed);
}

/* What the queue refused gives back what it would have told. */
static void a_full_queue_loses_no_count(void **state)
{
    struct bed bed;
    struct edge_bed edge;
    struct recorder_status status;

    (void)state;
    begin(&bed, "signals: [{points: [plc.level], deadband: 5}]");
    edge_bed_init(&edge, 1, false);
    edge.queue_batches = 1;
    edge_bed_open(&edge);
    intake_attach(bed.intake, edge.recorder);
    put(&bed, &edge, BED_T, 0);
    for (int i = 0; i < 3; i++)
        put(&bed, &edge, BED_T, 1);
    put(&bed, &edge, BED_T, 10); /* the queue is full: refused, with its three */
    recorder_get_status(edge.recorder, &status);
    assert_int_equal(status.refused, 1);
    edge_bed_flush(&edge);
    put(&bed, &edge, BED_T, 10); /* not held, though it is near the refused one */
    struct record record = record_of(&edge);
    assert_int_equal(record.sample_count, 1);
    assert_int_equal(record.samples[0].held, 3);
    record_release(&record);
    edge_bed_release(&edge);
    end(&bed);
}

static void judged_samples_reach_the_record(void **state)
{
    struct bed bed;
    struct edge_bed edge;

    (void)state;
    begin(&bed, "signals: [{points: [plc.level], range: [0, 10]}]\n"
                "marks: [{cause: maintenance, points: plc.*, daily: 08:00-08:01}]");
    edge_bed_init(&edge, 1, false); /* 2026-01-01 08:00 at UTC+8 */
    edge_bed_open(&edge);
    intake_attach(bed.intake, edge.recorder);
    put(&bed, &edge, BED_T, 10);
    put(&bed, &edge, BED_T, 10.5);
    edge.now.wall_ms += 60000;
    put(&bed, &edge, BED_T, 10);
    struct record record = record_of(&edge);
    assert_int_equal(record.samples[0].cause, CAUSE_MAINTENANCE);
    assert_int_equal(record.samples[0].quality, QUALITY_UNCERTAIN);
    assert_int_equal(record.samples[1].cause, CAUSE_OUT_OF_RANGE);
    assert_int_equal(record.samples[1].quality, QUALITY_BAD);
    assert_int_equal(record.samples[2].quality, QUALITY_GOOD);
    record_release(&record);
    edge_bed_release(&edge);
    end(&bed);
}

static void write_marks(const struct bed *bed, const char *text)
{
    char path[FILE_PATH_SIZE];
    snprintf(path, sizeof(path), "%s/next", bed->edge.folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(path, bed->config->marks_file), 0);
}

static enum cause cause_now(struct bed *bed, struct edge_bed *edge)
{
    put(bed, edge, BED_T, 1);
    struct record record = record_of(edge);
    enum cause cause = record.samples[record.sample_count - 1].cause;
    record_release(&record);
    return cause;
}

static void operators_marks_are_taken_when_their_file_changes(void **state)
{
    struct bed bed;
    struct edge_bed edge;

    (void)state;
    begin(&bed, "marks_file: marks.yaml");
    log_set_level(LOG_LEVEL_ERROR);
    edge_bed_init(&edge, 1, false);
    edge_bed_open(&edge);
    intake_attach(bed.intake, edge.recorder);
    struct operator_marks marks = {
        .config = bed.config, .points = bed.points, .intake = bed.intake};
    operator_marks_look(&marks, edge.now); /* no file: no marks */
    assert_int_equal(cause_now(&bed, &edge), CAUSE_NONE);
    write_marks(&bed, "marks: [{cause: maintenance, points: plc.*, daily: 00:00-24:00}]\n");
    operator_marks_look(&marks, edge.now);
    assert_int_equal(cause_now(&bed, &edge), CAUSE_MAINTENANCE);
    write_marks(&bed, "marks: [{cause: calibration, points: lab.*, daily: 00:00-24:00}]\n");
    operator_marks_look(&marks, edge.now); /* refused: the last good ones stay */
    assert_true(marks.complaint.active);
    assert_int_equal(cause_now(&bed, &edge), CAUSE_MAINTENANCE);
    write_marks(&bed, "marks: [{cause: calibration, points: plc.level, daily: 00:00-24:00}]\n");
    operator_marks_look(&marks, edge.now);
    assert_false(marks.complaint.active);
    assert_int_equal(cause_now(&bed, &edge), CAUSE_CALIBRATION);
    assert_int_equal(unlink(bed.config->marks_file), 0);
    operator_marks_look(&marks, edge.now);
    assert_int_equal(cause_now(&bed, &edge), CAUSE_NONE);
    edge_bed_release(&edge);
    end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_cannot_be_are_told),
        cmocka_unit_test(what_is_held_back_stands_in_record_and_journal),
        cmocka_unit_test(a_full_queue_loses_no_count),
        cmocka_unit_test(judged_samples_reach_the_record),
        cmocka_unit_test(operators_marks_are_taken_when_their_file_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
