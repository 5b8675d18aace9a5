/*
 * From the central journal to a store that forgets its last seconds when it is killed, is busy,
 * answers too late, or not at all. Virtual time, seeded. In the end it has every sample, once, each
 * under a stamp of its own, whatever happened to it and to us.
 */
#include "central/historian.h"
#include "central/outside_historian.h"

#include "base/crypto.h"
#include "base/files.h"
#include "central/dead_letters.h"
#include "model/record.h"
#include "tests/unit/support/db_folder.h"
#include "tests/unit/support/log_capture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define POINTS    4
#define EPOCH     "00112233445566778899aabbccddeeff"
#define SLOTS     (1 << 15)
#define FORGETS   (9 * (int64_t)US_PER_S)
#define KEY_SIZE  80
#define REST_SIZE 64

/* What a store has: a line by series and stamp. */
struct row {
    char key[KEY_SIZE];   /* head and stamp */
    char rest[REST_SIZE]; /* fields */
    int64_t since_us;
};

struct bed {
    char folder[64], journal_folder[FILE_PATH_SIZE], history[FILE_PATH_SIZE];
    struct virtual_clock clock;
    uint64_t random;
    struct journal *journal;
    struct historian *embedded;
    struct outside_historian *outside;
    struct store_config config;
    /* the store */
    struct row *rows;
    size_t row_count, writes, looks;
    unsigned incarnation;
    bool down;
    int busy; /* writes to be answered with 503 */
    bool no_database, may_not_create, never_late;
    const char *refused; /* lines with this text in them, by 400 */
    /* what was appended */
    char birth[BIRTH_SIZE];
    struct record_data *data;
    uint64_t seq, total;
    int64_t t_ms[POINTS];
};

static unsigned chance(struct bed *bed, unsigned bound)
{
    bed->random = bed->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(bed->random >> 33) % bound;
}

/* ---- the store ---- */

static struct row *find_row(struct bed *bed, const char *key)
{
    size_t hash = 1469598103934665603u;
    for (const char *at = key; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    size_t i = hash % SLOTS;
    while (bed->rows[i].key[0] && strcmp(bed->rows[i].key, key) != 0)
        i = (i + 1) % SLOTS;
    return &bed->rows[i];
}

static void put_row(struct bed *bed, const struct row *row)
{
    struct row *place = find_row(bed, row->key);
    if (place->key[0]) {
        /* Another sample under that stamp would be gone now. */
        assert_string_equal(place->rest, row->rest);
        return;
    }
    *place = *row;
    bed->row_count++;
}

static void take_lines(struct bed *bed, const char *at, size_t len)
{
    for (const char *end = at + len; at < end;) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        const char *stamp = memchr(space + 1, ' ', (size_t)(end - space - 1));
        const char *next = memchr(stamp, '\n', (size_t)(end - stamp));
        struct row row = {.since_us = bed->clock.now.mono_us};
        snprintf(row.key, sizeof(row.key), "%.*s%.*s", (int)(space - at), at, (int)(next - stamp),
                 stamp);
        snprintf(row.rest, sizeof(row.rest), "%.*s", (int)(stamp - space), space);
        if (!bed->refused || !strstr(row.key, bed->refused))
            put_row(bed, &row);
        at = next + 1;
    }
}

/* It forgets what it took in the last seconds. */
static void kill_store(struct bed *bed)
{
    struct row *before = bed->rows;
    bed->rows = calloc(SLOTS, sizeof(*bed->rows));
    bed->row_count = 0;
    bed->incarnation++;
    for (size_t i = 0; i < SLOTS; i++)
        if (before[i].key[0] && before[i].since_us < bed->clock.now.mono_us - FORGETS)
            put_row(bed, &before[i]);
    free(before);
}

static int ask(void *self, const struct line_request *request, struct line_reply *reply,
               struct message *message)
{
    struct bed *bed = self;
    static char metrics[200];
    *reply = (struct line_reply){.status = 204, .body = ""};
    if (bed->down)
        return message_set(message, ERR_CLOSED, "refused");
    if (strstr(request->url, "/metrics")) {
        bed->looks++;
        snprintf(metrics, sizeof(metrics), "a 1\nvm_app_start_timestamp %u\nb 2\n",
                 bed->incarnation);
        *reply = (struct line_reply){.status = 200, .body = metrics};
        return 0;
    }
    if (strstr(request->url, "/debug/vars")) {
        snprintf(metrics, sizeof(metrics), "{\"started\":\"%u\"}", bed->incarnation);
        *reply = (struct line_reply){.status = 200, .body = metrics};
        return 0;
    }
    if (strstr(request->url, "/query")) {
        bed->no_database &= bed->may_not_create;
        *reply = (struct line_reply){.status = bed->may_not_create ? 403 : 200, .body = "{}"};
        return 0;
    }
    if (bed->no_database) {
        *reply = (struct line_reply){.status = 404, .body = "database not found"};
        return 0;
    }
    bed->writes++;
    if (bed->busy) {
        bed->busy--;
        reply->status = 503;
        reply->body = "cache is full";
        reply->retry_after_s = 2;
        return 0;
    }
    take_lines(bed, request->body, request->len);
    if (bed->refused && memmem(request->body, request->len, bed->refused, strlen(bed->refused))) {
        *reply = (struct line_reply){.status = 400, .body = "partial write"};
        return 0;
    }
    /* Taken, and the answer is lost. */
    return bed->never_late || chance(bed, 16) ? 0 : message_set(message, ERR_TIMEOUT, "too late");
}

/* ---- the centre ---- */

static void append(struct bed *bed, const struct buffer *payload, uint32_t points)
{
    uint64_t seq;
    assert_int_equal(buffer_error(payload), 0);
    assert_int_equal(journal_append(bed->journal, 0, "e1", payload->data, payload->len, points,
                                    bed->clock.now.wall_ms, bed->clock.now.mono_us, &seq, NULL),
                     0);
}

static struct record_head make_head(struct bed *bed, enum record_kind kind)
{
    return (struct record_head){.kind = kind,
                                .epoch = EPOCH,
                                .stream = STREAM_T,
                                .seq = ++bed->seq,
                                .boot = EPOCH,
                                .sync = true,
                                .t0_ms = bed->clock.now.wall_ms};
}

static void append_birth(struct bed *bed)
{
    struct point_info infos[POINTS];
    struct buffer payload;
    struct record_head head = make_head(bed, RECORD_BIRTH);
    buffer_init(&payload, RECORD_MAX_BYTES);
    for (int i = 0; i < POINTS; i++) {
        infos[i] = (struct point_info){.interval_ms = 1000};
        snprintf(infos[i].id, sizeof(infos[i].id), "s.u.p%d", i);
        snprintf(infos[i].name, sizeof(infos[i].name), "p%d", i);
        snprintf(infos[i].type, sizeof(infos[i].type), "float32");
        snprintf(infos[i].site, sizeof(infos[i].site), "s");
        snprintf(infos[i].class_, sizeof(infos[i].class_), "trend");
    }
    record_write_birth(&payload, &head, "e1", "s", infos, POINTS);
    record_birth_id(payload.data, payload.len, bed->birth);
    append(bed, &payload, 0);
    buffer_release(&payload);
}

/* One sample of the first point. */
static void append_at(struct bed *bed, int64_t t_ms)
{
    struct buffer payload;
    struct record_head head = make_head(bed, RECORD_DATA);
    struct sample sample = {.t_ms = t_ms, .value = {VALUE_DOUBLE, (double)++bed->total, ""}};
    buffer_init(&payload, RECORD_MAX_BYTES);
    assert_int_equal(record_data_add(bed->data, 0, &sample), 0);
    record_data_write(bed->data, &payload, &head, bed->birth, bed->total);
    append(bed, &payload, 1);
    buffer_release(&payload);
}

/* Each sample has a value of its own. Clocks stand, and go back a little; or, now and then, far. */
static void append_data(struct bed *bed, unsigned count)
{
    struct buffer payload;
    struct record_head head = make_head(bed, RECORD_DATA);
    buffer_init(&payload, RECORD_MAX_BYTES);
    for (unsigned i = 0; i < count; i++) {
        unsigned point = chance(bed, POINTS);
        unsigned how = chance(bed, 20);
        if (how == 0)
            bed->t_ms[point] -= chance(bed, 16) ? chance(bed, 4) : chance(bed, 60000);
        else if (how > 6)
            bed->t_ms[point] += 1 + chance(bed, 200);
        struct sample sample = {.t_ms = bed->t_ms[point],
                                .value = {VALUE_DOUBLE, (double)++bed->total, ""}};
        assert_int_equal(record_data_add(bed->data, point, &sample), 0);
    }
    record_data_write(bed->data, &payload, &head, bed->birth, bed->total);
    append(bed, &payload, count);
    buffer_release(&payload);
}

static void commit(struct bed *bed)
{
    assert_int_equal(journal_commit(bed->journal, NULL), 0);
}

static void open_outside(struct bed *bed)
{
    struct message message = {""};
    struct outside_options options = {.config = &bed->config,
                                      .journal = bed->journal,
                                      .folder = bed->folder,
                                      .history_path = bed->history,
                                      .exchange = {bed, ask}};
    if (outside_historian_open(&options, &bed->outside, &message))
        fail_msg("%s", message.text);
}

static void open_journal(struct bed *bed)
{
    struct message message = {""};
    struct journal_report report;
    struct journal_options journal = {.folder = bed->journal_folder, .letters = "j"};
    if (journal_open(&journal, &bed->journal, &report, &message))
        fail_msg("%s", message.text);
}

static void open_centre(struct bed *bed)
{
    struct message message = {""};
    open_journal(bed);
    if (historian_open(bed->history, bed->journal, &bed->embedded, &message))
        fail_msg("%s", message.text);
    open_outside(bed);
}

static void close_centre(struct bed *bed)
{
    outside_historian_close(bed->outside);
    historian_close(bed->embedded);
    journal_close(bed->journal);
}

static void begin(struct bed *bed, uint64_t seed)
{
    *bed = (struct bed){.folder = "/tmp/outside-XXXXXX", .random = seed};
    assert_non_null(mkdtemp(bed->folder));
    assert_int_equal(path_join(bed->folder, "journal", bed->journal_folder), 0);
    assert_int_equal(path_join(bed->folder, "history.db", bed->history), 0);
    virtual_clock_init(&bed->clock, 1767576600000);
    bed->rows = calloc(SLOTS, sizeof(*bed->rows));
    bed->data = record_data_new(RECORD_CLOSE_BYTES);
    bed->config = (struct store_config){
        .kind = STORE_VICTORIAMETRICS, .name = "vm", .url = "http://127.0.0.1:1"};
    for (int i = 0; i < POINTS; i++)
        bed->t_ms[i] = bed->clock.now.wall_ms;
    open_centre(bed);
    append_birth(bed);
    commit(bed);
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[FILE_PATH_SIZE];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            path_join(folder, entry->d_name, path))
            continue;
        if (unlink(path))
            remove_folder(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

static void end(struct bed *bed)
{
    close_centre(bed);
    record_data_free(bed->data);
    free(bed->rows);
    remove_folder(bed->folder);
    free(bed);
}

static struct outside_status status_of(struct bed *bed)
{
    struct outside_status status;
    outside_historian_get_status(bed->outside, &status);
    return status;
}

/* Half a second goes by. */
static void step(struct bed *bed)
{
    virtual_clock_advance(&bed->clock, 500 * US_PER_MS);
    historian_step(bed->embedded, bed->clock.now);
    for (int n = 0; n < 100; n++)
        if (outside_historian_step(bed->outside, bed->clock.now) > bed->clock.now.mono_us)
            return;
    fail_msg("the outside historian does not come to rest");
}

static void wait_all(struct bed *bed, uint64_t seed)
{
    int n = 0;
    while ((status_of(bed).lag || bed->row_count != bed->total) && n++ < 400)
        step(bed);
    if (bed->row_count != bed->total || status_of(bed).lag)
        fail_msg("seed %llu: %zu of %llu rows, lag %llu", (unsigned long long)seed, bed->row_count,
                 (unsigned long long)bed->total, (unsigned long long)status_of(bed).lag);
}

static void every_sample_arrives(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    begin(bed, 1);
    for (int n = 0; n < 20; n++) {
        append_data(bed, 30);
        commit(bed);
        step(bed);
    }
    wait_all(bed, 1);
    struct outside_status status = status_of(bed);
    assert_true(status.points >= bed->total);
    assert_true(status.moved_stamps > 0);
    assert_int_equal(status.dead_letters, 0);
    assert_int_equal(status.rewinds, 0);
    assert_string_equal(status.trouble, "");
    assert_int_equal(status.up, 1);
    end(bed);
}

/* Whole minutes, as devices give them; then half an hour back. */
static void a_clock_set_back_loses_nothing(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    begin(bed, 10);
    for (int i = 0; i < 120; i++) {
        append_at(bed, 1767576600000 + (i < 60 ? i : i - 30) * INT64_C(60000));
        commit(bed);
        step(bed);
        if (i % 40 == 39) { /* what is not believed yet is written again, to the same stamps */
            outside_historian_close(bed->outside);
            open_outside(bed);
        }
    }
    wait_all(bed, 10);
    assert_in_range(status_of(bed).moved_stamps, 10, 30);
    end(bed);
}

/* One thing that may happen. */
static void disturb(struct bed *bed, unsigned how_rarely)
{
    switch (chance(bed, 24 * how_rarely)) {
    case 0:
        kill_store(bed);
        break;
    case 1:
        bed->busy = 1 + (int)chance(bed, 3);
        break;
    case 2:
    case 3:
        bed->down = !bed->down;
        break;
    case 4:
        outside_historian_close(bed->outside);
        open_outside(bed);
        break;
    case 5: /* both at once, as in a power cut */
        outside_historian_close(bed->outside);
        kill_store(bed);
        open_outside(bed);
        break;
    default:
        break;
    }
}

static void whatever_happens_every_sample_arrives_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bed *bed = calloc(1, sizeof(*bed));
        begin(bed, seed);
        for (int n = 0; n < 600; n++) {
            if (chance(bed, 3) == 0)
                append_data(bed, 1 + chance(bed, 60));
            commit(bed);
            disturb(bed, 1 + (unsigned)seed % 12); /* with time to believe in between, or none */
            step(bed);
        }
        bed->down = false;
        bed->busy = 0;
        wait_all(bed, seed);
        end(bed);
    }
}

static void a_restart_is_noticed_without_a_failing_write(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    begin(bed, 5);
    append_data(bed, 100);
    commit(bed);
    wait_all(bed, 5);
    kill_store(bed); /* and is back before anything was asked */
    assert_int_equal(bed->row_count, 0);
    wait_all(bed, 5);
    assert_int_equal(status_of(bed).rewinds, 1);
    end(bed);
}

static void what_is_believed_is_not_written_again(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    begin(bed, 6);
    append_data(bed, 100);
    commit(bed);
    wait_all(bed, 6);
    size_t looks = bed->looks;
    for (int n = 0; n < 300; n++)
        step(bed);
    /* Once all is believed, nobody is asked any more. */
    assert_in_range(bed->looks - looks, 10, 30);
    size_t writes = bed->writes;
    outside_historian_close(bed->outside);
    open_outside(bed);
    for (int n = 0; n < 20; n++)
        step(bed);
    assert_int_equal(bed->writes, writes);
    assert_int_equal(status_of(bed).lag, 0);
    end(bed);
}

static void silence_is_told_and_outlived(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    begin(bed, 7);
    bed->down = true;
    append_data(bed, 100);
    commit(bed);
    for (int n = 0; n < 200; n++)
        step(bed);
    assert_string_equal(status_of(bed).trouble, "unavailable");
    assert_int_equal(status_of(bed).up, 0);
    assert_int_equal(status_of(bed).lag, 2);
    bed->down = false;
    wait_all(bed, 7);
    assert_string_equal(status_of(bed).trouble, "");
    end(bed);
}

static void to_answer_and_refuse_is_not_silence(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    struct log_capture log;
    begin(bed, 11);
    bed->busy = 1000;
    append_data(bed, 100);
    commit(bed);
    log_capture_begin(&log);
    for (int n = 0; n < 200; n++)
        step(bed);
    int silent = log_capture_count(&log, "not answered"),
        refusing = log_capture_count(&log, "Last: it answered 503: cache is full");
    log_capture_end(&log);
    assert_int_equal(silent, 0);
    assert_int_equal(refusing, 1);
    assert_string_equal(status_of(bed).trouble, "busy");
    bed->busy = 0;
    wait_all(bed, 11);
    assert_string_equal(status_of(bed).trouble, "");
    end(bed);
}

/* Until every line is taken or set aside. */
static void wait_taken(struct bed *bed)
{
    for (int n = 0; n < 400 && status_of(bed).lag; n++)
        step(bed);
    assert_int_equal(status_of(bed).lag, 0);
}

static void a_full_file_of_dead_letters_holds_nothing_up(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    struct log_capture log;
    char path[FILE_PATH_SIZE], away[FILE_PATH_SIZE];
    begin(bed, 12);
    assert_int_equal(path_join(bed->folder, "target-vm.dead-letters.jsonl", path), 0);
    assert_int_equal(path_join(bed->folder, "away", away), 0);
    assert_int_equal(truncate(path, DEAD_LETTERS_MAX_BYTES - 10), 0);
    outside_historian_close(bed->outside);
    open_outside(bed);
    bed->refused = "p3";
    bed->never_late = true;
    log_capture_begin(&log);
    for (int n = 0; n < 5; n++) {
        append_data(bed, 100);
        commit(bed);
        wait_taken(bed);
    }
    int told = log_capture_count(&log, "is full"), silent = log_capture_count(&log, "not answered");
    log_capture_end(&log);
    struct outside_status status = status_of(bed);
    assert_int_equal(told, 1);
    assert_int_equal(silent, 0);
    assert_string_equal(status.trouble, "letters_full");
    assert_int_equal(status.up, 1);
    assert_true(status.letters_lost > 0 && status.letters_lost == status.dead_letters);
    assert_true(bed->row_count + status.letters_lost >= bed->total);
    assert_int_equal(rename(path, away), 0); /* as was told */
    append_data(bed, 100);
    commit(bed);
    wait_taken(bed);
    assert_string_equal(status_of(bed).trouble, "");
    assert_true(status_of(bed).dead_letters > status_of(bed).letters_lost);
    end(bed);
}

static void begin_influx(struct bed *bed, uint64_t seed, enum store_kind kind)
{
    begin(bed, seed);
    outside_historian_close(bed->outside);
    bed->config.kind = kind;
    snprintf(bed->config.database, sizeof(bed->config.database), "chengmai");
    open_outside(bed);
}

static void believe(struct bed *bed)
{
    for (int n = 0; n < 300; n++)
        step(bed);
}

/* All of it is gone: of lines and of the database. */
static void lose_disk(struct bed *bed)
{
    memset(bed->rows, 0, SLOTS * sizeof(*bed->rows));
    bed->row_count = 0;
    bed->no_database = true;
}

static void a_store_that_lost_its_disk_is_refilled(void **state)
{
    (void)state;
    for (int with_us = 0; with_us < 2; with_us++) {
        struct bed *bed = calloc(1, sizeof(*bed));
        begin_influx(bed, 13, STORE_INFLUXDB);
        append_data(bed, 200);
        commit(bed);
        wait_all(bed, 13);
        believe(bed);
        lose_disk(bed);
        if (with_us) {
            outside_historian_close(bed->outside);
            open_outside(bed);
        }
        append_data(bed, 20);
        commit(bed);
        wait_all(bed, 13);
        assert_int_equal(bed->row_count, 220);
        end(bed);
    }
}

static void a_database_that_a_person_makes_is_filled_from_the_beginning(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    begin_influx(bed, 14, STORE_INFLUXDB);
    append_data(bed, 200);
    commit(bed);
    wait_all(bed, 14);
    believe(bed);
    lose_disk(bed);
    bed->may_not_create = true;
    append_data(bed, 20);
    commit(bed);
    for (int n = 0; n < 20; n++)
        step(bed);
    assert_string_equal(status_of(bed).trouble, "no_database");
    outside_historian_close(bed->outside); /* what is to be done is not forgotten */
    bed->no_database = false;
    open_outside(bed);
    wait_all(bed, 14);
    end(bed);
}

static void another_database_under_the_name_is_filled_from_the_beginning(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    begin_influx(bed, 15, STORE_INFLUXDB);
    append_data(bed, 200);
    commit(bed);
    wait_all(bed, 15);
    believe(bed);
    outside_historian_close(bed->outside);
    lose_disk(bed);
    bed->no_database = false;
    snprintf(bed->config.database, sizeof(bed->config.database), "second");
    open_outside(bed);
    append_data(bed, 20);
    commit(bed);
    wait_all(bed, 15);
    end(bed);
}

/* step() fails where it does not wait. */
static void a_store_that_does_not_tell_its_start_is_waited_for(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    begin_influx(bed, 16, STORE_INFLUXDB2);
    for (int n = 0; n < 200; n++) {
        append_data(bed, 5);
        commit(bed);
        step(bed);
    }
    wait_all(bed, 16);
    believe(bed);
    size_t writes = bed->writes;
    outside_historian_close(bed->outside);
    open_outside(bed);
    believe(bed);
    assert_int_equal(bed->writes, writes);
    end(bed);
}

static void births_before_the_walk_come_from_the_embedded_store(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    struct buffer tick;
    begin(bed, 8);
    buffer_init(&tick, RECORD_MAX_BYTES);
    for (int i = 0; i < 3000; i++) {
        struct record_head head = make_head(bed, RECORD_TICK);
        buffer_clear(&tick);
        record_write_mark(&tick, &head);
        append(bed, &tick, 0);
        if (i % 1000 == 0)
            commit(bed);
    }
    buffer_release(&tick);
    commit(bed);
    for (int n = 0; n < 300; n++) { /* believed, so that the cursor moves */
        virtual_clock_advance(&bed->clock, 500 * US_PER_MS);
        outside_historian_step(bed->outside, bed->clock.now);
    }
    assert_int_equal(status_of(bed).lag, 0);
    outside_historian_close(bed->outside);
    open_outside(bed);
    append_data(bed, 50);
    commit(bed);
    for (int n = 0; n < 200; n++) { /* the embedded store stands */
        virtual_clock_advance(&bed->clock, 500 * US_PER_MS);
        outside_historian_step(bed->outside, bed->clock.now);
    }
    assert_int_equal(bed->row_count, 0);
    assert_int_equal(status_of(bed).lag, 1);
    for (int n = 0; n < 100; n++)
        step(bed);
    wait_all(bed, 8);
    end(bed);
}

static void append_and_die(void *self)
{
    struct bed *bed = self;
    open_journal(bed);
    append_data(bed, 10);
    commit(bed);
}

static void what_a_crash_reserved_is_not_waited_for(void **state)
{
    (void)state;
    struct bed *bed = calloc(1, sizeof(*bed));
    begin(bed, 9);
    append_data(bed, 20);
    commit(bed);
    wait_all(bed, 9);
    close_centre(bed);
    assert_true(killed_after(append_and_die, bed));
    bed->total += 10;
    open_centre(bed);
    assert_true(status_of(bed).lag > 1); /* numbers that were never used stand behind the last */
    wait_all(bed, 9);
    end(bed);
}

int main(void)
{
    if (crypto_init())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_arrives),
        cmocka_unit_test(a_clock_set_back_loses_nothing),
        cmocka_unit_test(whatever_happens_every_sample_arrives_once),
        cmocka_unit_test(a_restart_is_noticed_without_a_failing_write),
        cmocka_unit_test(what_is_believed_is_not_written_again),
        cmocka_unit_test(silence_is_told_and_outlived),
        cmocka_unit_test(to_answer_and_refuse_is_not_silence),
        cmocka_unit_test(a_full_file_of_dead_letters_holds_nothing_up),
        cmocka_unit_test(a_store_that_lost_its_disk_is_refilled),
        cmocka_unit_test(a_database_that_a_person_makes_is_filled_from_the_beginning),
        cmocka_unit_test(another_database_under_the_name_is_filled_from_the_beginning),
        cmocka_unit_test(what_a_crash_reserved_is_not_waited_for),
        cmocka_unit_test(a_store_that_does_not_tell_its_start_is_waited_for),
        cmocka_unit_test(births_before_the_walk_come_from_the_embedded_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
