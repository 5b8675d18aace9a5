/*
 * A recorded series: read with all its mistakes told, and played so that a reader misses none, even
 * one whose answers get lost.
 */
#include "drivers/modbus/decode.h"
#include "drivers/simulator/player.h"

#include "base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAP                                                 \
    "name,function,address,type,word_order,sentinel,time\n" \
    "p,3,0,float32,ABCD,,\n"                                \
    "t,3,2,int16,AB,-32768,\n"                              \
    "on,1,5,bit,,,\n"                                       \
    "total,3,20,bcd32,ABCD,,\n"                             \
    "n,4,0,uint16,AB,,\n"                                   \
    "pulses,4,1,uint16,AB,65535,\n"                         \
    "label,4,4,string4,,,\n"                                \
    "clock,3,10,uint64,ABCDEFGH,,device\n"

struct bed {
    const char *csv;
    struct register_map *map;
    struct replay_options options;
    struct replay *replay;
    struct config_errors errors;
    uint16_t registers[64];
    uint8_t bits[64];
    struct player player;
};

static void begin(struct bed *bed, const char *csv)
{
    *bed = (struct bed){.csv = csv,
                        .options = {.file = "series.csv", .time_column = "time", .zone = "+08:00"}};
    config_errors_init(&bed->errors);
    assert_int_equal(register_map_parse("m", MAP, strlen(MAP), &bed->map, &bed->errors), 0);
}

static int parse(struct bed *bed)
{
    return replay_parse(&bed->options, bed->map, bed->csv, strlen(bed->csv), &bed->replay,
                        &bed->errors);
}

static void load(struct bed *bed)
{
    if (parse(bed))
        fail_msg("%s", buffer_text(&bed->errors.text));
}

static void play(struct bed *bed, double speed)
{
    player_init(&bed->player, bed->replay, bed->map, bed->registers, bed->bits, speed, 0);
}

static void end(struct bed *bed)
{
    replay_free(bed->replay);
    register_map_free(bed->map);
    config_errors_release(&bed->errors);
}

/* What a reader sees of a register. */
static struct sample see(const struct bed *bed, const char *name)
{
    const struct map_register *reg =
        register_map_at(bed->map, (size_t)register_map_find(bed->map, name));
    struct sample sample = {0};
    uint8_t wire[16];
    for (int w = 0; w < reg->words; w++) {
        wire[2 * w] = (uint8_t)(bed->registers[reg->address + w] >> 8);
        wire[2 * w + 1] = (uint8_t)bed->registers[reg->address + w];
    }
    decode_registers(reg, wire, &sample);
    return sample;
}

static double number(const struct bed *bed, const char *name)
{
    struct sample sample = see(bed, name);
    assert_int_equal(sample.quality, QUALITY_GOOD);
    return sample.value.number;
}

static void cells_go_to_the_registers_of_their_names(void **state)
{
    struct bed bed;
    (void)state;
    begin(&bed, "time,p,t,other\n2018-01-01 01:00:00,593.74,-5,x\n2018-01-01T02:00:00Z,1e3,7,y\n");
    load(&bed);
    assert_int_equal(replay_rows(bed.replay), 2);
    assert_int_equal(replay_columns(bed.replay), 2);
    assert_int_equal(replay_time(bed.replay, 0), 1514739600000); /* 01:00 at UTC+8 */
    assert_int_equal(replay_time(bed.replay, 1), 1514772000000);
    play(&bed, 0);
    assert_true(fabs(number(&bed, "p") - 593.74) < 1e-4);
    assert_true(fabs(number(&bed, "t") + 5) < 1e-9);
    assert_true(fabs(number(&bed, "clock") - 1514739600000.0) < 0.5);
    end(&bed);
}

#define ROWS                    \
    "time,p,t\n"                \
    "2018-01-01 00:00:00,1,1\n" \
    "2018-01-01 01:00:00,2,2\n" \
    "2018-01-01 02:00:00,3,3\n"

/* A request over a connection, and its answer. */
static void ask(struct bed *bed, uint64_t connection, uint8_t function, uint16_t start,
                uint16_t count)
{
    player_request(&bed->player, connection);
    player_read(&bed->player, connection, function, start, count);
}

static void a_row_stays_until_all_of_it_has_been_read(void **state)
{
    struct bed bed;
    (void)state;
    begin(&bed, ROWS);
    load(&bed);
    play(&bed, 0);
    ask(&bed, 1, 3, 0, 2); /* p */
    ask(&bed, 1, 3, 0, 2);
    ask(&bed, 1, 4, 0, 20); /* another function */
    ask(&bed, 1, 3, 3, 10); /* not t, and not all of the clock */
    ask(&bed, 1, 3, 2, 1);  /* t */
    ask(&bed, 1, 3, 10, 4); /* the clock */
    assert_int_equal(bed.player.row, 0);
    ask(&bed, 1, 3, 0, 14); /* all at once */
    assert_int_equal(bed.player.row, 1);
    assert_true(fabs(number(&bed, "p") - 2) < 1e-9);
    player_request(&bed.player, 1);
    assert_int_equal(bed.player.row, 2);
    assert_false(bed.player.finished);
    player_request(&bed.player, 1);
    assert_false(bed.player.finished);
    player_read(&bed.player, 1, 3, 0, 14);
    assert_true(bed.player.finished); /* there is nothing behind it to wait for */
    player_request(&bed.player, 1);
    assert_true(fabs(number(&bed, "p") - 3) < 1e-9); /* the last row stays */
    player_step(&bed.player, 1000 * (int64_t)US_PER_S);
    assert_int_equal(bed.player.row, 2); /* time moves nothing here */
    end(&bed);
}

static void a_new_connection_reads_the_row_again(void **state)
{
    struct bed bed;
    (void)state;
    begin(&bed, ROWS);
    load(&bed);
    play(&bed, 0);
    for (uint64_t connection = 1; connection <= 5; connection++)
        ask(&bed, connection, 3, 0, 14); /* who knows what arrived */
    ask(&bed, 6, 3, 0, 2);
    ask(&bed, 7, 3, 2, 12); /* each half of it, to different ones */
    player_request(&bed.player, 6);
    player_request(&bed.player, 7);
    player_request(&bed.player, 8);
    assert_int_equal(bed.player.row, 0);
    player_request(&bed.player, 3);
    assert_int_equal(bed.player.row, 1);
    player_request(&bed.player, 4); /* it has read nothing of this one */
    assert_int_equal(bed.player.row, 1);
    end(&bed);
}

static void readers_beyond_number_begin_the_row_again(void **state)
{
    struct bed bed;
    (void)state;
    begin(&bed, ROWS);
    load(&bed);
    play(&bed, 0);
    for (uint64_t connection = 1; connection <= PLAYER_READERS_MAX + 1; connection++)
        ask(&bed, connection, 3, 0, 14);
    player_request(&bed.player, 1);
    assert_int_equal(bed.player.row, 0);
    player_request(&bed.player, PLAYER_READERS_MAX + 1);
    assert_int_equal(bed.player.row, 1);
    end(&bed);
}

static void free_running_rows_follow_their_stamps(void **state)
{
    struct bed bed;
    (void)state;
    /* The recorder's clock went back once. */
    begin(&bed, "time,p\n2018-01-01 00:00:00,1\n2018-01-01 01:00:00,2\n2018-01-01 "
                "00:30:00,3\n2018-01-01 01:00:00,4\n");
    load(&bed);
    play(&bed, 3600);
    player_step(&bed.player, 999999);
    assert_int_equal(bed.player.row, 0);
    player_step(&bed.player, 1000000); /* the second row has no time of its own */
    assert_int_equal(bed.player.row, 2);
    player_step(&bed.player, 1499999);
    assert_int_equal(bed.player.row, 2);
    player_step(&bed.player, 1500000);
    assert_int_equal(bed.player.row, 3);
    assert_true(bed.player.finished);
    ask(&bed, 1, 3, 0, 20);
    ask(&bed, 1, 3, 0, 20);
    assert_int_equal(bed.player.row, 3);
    end(&bed);
}

static void what_a_row_lasts_is_not_cut_to_whole_microseconds(void **state)
{
    struct bed bed;
    char csv[20000] = "time,p\n";
    (void)state;
    for (int i = 0; i < 600; i++)
        snprintf(csv + strlen(csv), sizeof(csv) - strlen(csv), "2018-01-01 00:%02d:%02d,%d\n",
                 i / 60, i % 60, i);
    begin(&bed, csv);
    load(&bed);
    play(&bed, 3e5); /* 3.33 µs each */
    for (int64_t now_us = 0; now_us < 1000; now_us++)
        player_step(&bed.player, now_us);
    player_step(&bed.player, 1000);
    assert_int_equal(bed.player.row, 300);
    end(&bed);
}

static void an_empty_cell_is_no_measurement(void **state)
{
    struct bed bed;
    (void)state;
    begin(&bed, "time,p,t,total\n2018-01-01 00:00:00,,,\n");
    load(&bed);
    play(&bed, 0);
    assert_int_equal(see(&bed, "p").cause, CAUSE_NOT_A_NUMBER);
    assert_int_equal(see(&bed, "t").cause, CAUSE_SENSOR_FAULT);
    assert_int_equal(see(&bed, "total").cause, CAUSE_NOT_A_NUMBER);
    end(&bed);
}

static void columns_are_scaled_and_summed(void **state)
{
    struct bed bed;
    (void)state;
    begin(&bed, "time,kPa,q\n2018-01-01 00:00:00,500,2.5\n2018-01-01 01:00:00,600,\n2018-01-01 "
                "02:00:00,700,1.5\n");
    bed.options.column_count = 2;
    bed.options.columns[0] = (struct replay_column){.reg = "p", .column = "kPa", .scale = 0.001};
    bed.options.columns[1] =
        (struct replay_column){.reg = "total", .column = "q", .scale = 1000, .sum = true};
    load(&bed);
    assert_true(fabs(replay_value(bed.replay, 0, 0) - 0.5) < 1e-12);
    assert_true(fabs(replay_value(bed.replay, 1, 1) - 2500) < 1e-9); /* nothing adds nothing */
    assert_true(fabs(replay_value(bed.replay, 2, 1) - 4000) < 1e-9);
    play(&bed, 0);
    assert_true(fabs(number(&bed, "total") - 2500) < 1e-9);
    end(&bed);
}

static void mistakes_are_told_with_their_places(void **state)
{
    static const struct {
        const char *csv, *words;
    } cases[] = {
        {"time,p\n2018-01-01 00:00:00,x\n", ":2:21: 'x' in column 'p'; expected a number"},
        {"time,p\nyesterday,1\n", ":2:1: 'yesterday' is no time"},
        {"stamp,p\n2018-01-01 00:00:00,1\n", ":1:1: there is no column 'time'"},
        {"time,z\n2018-01-01 00:00:00,1\n", "no column is named as a register of the map"},
        {"time,n\n2018-01-01 00:00:00,\n", "but register 'n' (uint16) has no value for that"},
        {"time,n\n2018-01-01 00:00:00,70000\n",
         ":2:21: 70000 in column 'n' does not fit register 'n' (uint16): a reader would see 65535"},
        {"time,n\n2018-01-01 00:00:00,-5\n", "a reader would see 0"},
        {"time,pulses\n2018-01-01 00:00:00,65535\n", "a reader would see no measurement"},
        {"time,p\n2018-01-01 00:00:00,1e300\n", "does not fit register 'p' (float32)"},
        {"time,total\n2018-01-01 00:00:00,100000003\n", "a reader would see 3"},
        {"time,on\n2018-01-01 00:00:00,2\n", "does not fit register 'on' (bit)"},
        {"time,p\n2018-01-01 00:00:00,1\n1969-12-31 00:00:00,2\n",
         ":3:1: -115200000 in column 'time' does not fit register 'clock' (uint64)"},
        {"time,label\n2018-01-01 00:00:00,1\n",
         ":1:6: register 'label' (string4) cannot hold the numbers of column 'label'"},
        {"time,clock\n2018-01-01 00:00:00,1\n", ":1:6: register 'clock' is the clock"},
        {"time,p\n", ": 0 rows; expected 1 to"},
        {"time,p\n2018-01-01 00:00:00,\"1\n", "quote"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bed bed;
        begin(&bed, cases[i].csv);
        assert_int_equal(parse(&bed), ERR_INVALID);
        assert_null(bed.replay);
        if (!strstr(buffer_text(&bed.errors.text), cases[i].words))
            fail_msg("%s; expected %s", buffer_text(&bed.errors.text), cases[i].words);
        end(&bed);
    }
}

static void a_file_of_mistakes_is_not_told_line_by_line(void **state)
{
    struct bed bed;
    char csv[20000] = "time,p\n";
    (void)state;
    for (int i = 0; i < 500; i++)
        strncat(csv, "2018-01-01 00:00:00,bad\n", 100);
    begin(&bed, csv);
    assert_int_equal(parse(&bed), ERR_INVALID);
    assert_int_equal(bed.errors.count, 500);
    assert_non_null(strstr(buffer_text(&bed.errors.text), ": and 480 more\n"));
    end(&bed);
}

static void a_full_counter_begins_again(void **state)
{
    struct bed bed;
    (void)state;
    begin(&bed, "time,a,b\n2018-01-01 00:00:00,100000003,65530\n2018-01-01 01:00:00,1,10\n");
    bed.options.column_count = 2;
    bed.options.columns[0] =
        (struct replay_column){.reg = "total", .column = "a", .scale = 1, .sum = true};
    bed.options.columns[1] =
        (struct replay_column){.reg = "pulses", .column = "b", .scale = 1, .sum = true};
    load(&bed);
    play(&bed, 0);
    assert_true(fabs(number(&bed, "total") - 3) < 1e-9);
    assert_true(fabs(replay_value(bed.replay, 1, 0) - 4) < 1e-9);
    assert_true(fabs(replay_value(bed.replay, 1, 1) - 4) < 1e-9);
    end(&bed);
}

static void a_register_is_fed_once(void **state)
{
    struct bed bed;
    (void)state;
    begin(&bed, "time,a,b\n2018-01-01 00:00:00,1,2\n");
    bed.options.column_count = 2;
    bed.options.columns[0] = (struct replay_column){.reg = "p", .column = "a", .scale = 1};
    bed.options.columns[1] = (struct replay_column){.reg = "p", .column = "b", .scale = 1};
    assert_int_equal(parse(&bed), ERR_INVALID);
    assert_string_equal(buffer_text(&bed.errors.text),
                        "series.csv:1:8: register 'p' is fed twice: from column 'a' and 'b'\n");
    end(&bed);
}

static void columns_beyond_number_are_told(void **state)
{
    struct bed bed;
    struct register_map *map = NULL;
    char rows[4096] = "name,function,address,type\n", csv[1024] = "time";
    (void)state;
    for (int i = 0; i <= REPLAY_COLUMNS_MAX; i++) {
        snprintf(rows + strlen(rows), sizeof(rows) - strlen(rows), "r%d,3,%d,uint16\n", i, i);
        snprintf(csv + strlen(csv), sizeof(csv) - strlen(csv), ",r%d", i);
    }
    strcat(csv, "\n2018-01-01 00:00:00\n");
    begin(&bed, csv);
    assert_int_equal(register_map_parse("m", rows, strlen(rows), &map, &bed.errors), 0);
    register_map_free(bed.map);
    bed.map = map;
    assert_int_equal(parse(&bed), ERR_INVALID);
    assert_int_equal(bed.errors.count, 1);
    assert_non_null(
        strstr(buffer_text(&bed.errors.text), "column 'r64': at most 64 columns can be played"));
    end(&bed);
}

static void a_stamp_that_its_clock_cannot_hold_is_told(void **state)
{
    struct bed bed;
    struct register_map *map = NULL;
    static const char rows[] = "name,function,address,type,word_order,scale,time\n"
                               "p,3,0,uint16,AB,1,\nsince,3,1,int32,ABCD,1000,device\n";
    (void)state;
    begin(&bed, "time,p\n2038-01-19T03:14:07Z,1\n2038-01-19T03:14:08Z,2\n");
    assert_int_equal(register_map_parse("m", rows, strlen(rows), &map, &bed.errors), 0);
    register_map_free(bed.map);
    bed.map = map;
    assert_int_equal(parse(&bed), ERR_INVALID);
    assert_int_equal(bed.errors.count, 1);
    assert_non_null(strstr(buffer_text(&bed.errors.text), "series.csv:3:1: "));
    end(&bed);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_go_to_the_registers_of_their_names),
        cmocka_unit_test(a_row_stays_until_all_of_it_has_been_read),
        cmocka_unit_test(a_new_connection_reads_the_row_again),
        cmocka_unit_test(readers_beyond_number_begin_the_row_again),
        cmocka_unit_test(free_running_rows_follow_their_stamps),
        cmocka_unit_test(what_a_row_lasts_is_not_cut_to_whole_microseconds),
        cmocka_unit_test(an_empty_cell_is_no_measurement),
        cmocka_unit_test(columns_are_scaled_and_summed),
        cmocka_unit_test(mistakes_are_told_with_their_places),
        cmocka_unit_test(a_file_of_mistakes_is_not_told_line_by_line),
        cmocka_unit_test(a_full_counter_begins_again),
        cmocka_unit_test(a_register_is_fed_once),
        cmocka_unit_test(columns_beyond_number_are_told),
        cmocka_unit_test(a_stamp_that_its_clock_cannot_hold_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
