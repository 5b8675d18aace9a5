/* What the centre costs: reading records, ingest, the embedded store. */
#include "bench.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/files.h"
#include "base/numbers.h"
#include "central/ingest.h"
#include "model/record.h"
#include "store/history_read.h"
#include "store/journal.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdint.h>
#include <unistd.h>

#define POINTS  100
#define RECORDS 400     /* payloads made beforehand */
#define TREND   1000000 /* samples of the point whose trend is asked for */
#define BUCKETS 1000
#define EPOCH   "0123456789abcdef0123456789abcdef"

static char folder[64];
static volatile double sink;

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(EXIT_FAILURE);
}

static void path_of(const char *name, char path[FILE_PATH_SIZE])
{
    if (path_join(folder, name, path))
        die("path");
}

static void empty_folder(const char *path)
{
    DIR *dir = opendir(path);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char name[FILE_PATH_SIZE];
        if (entry->d_name[0] != '.' && !path_join(path, entry->d_name, name))
            unlink(name);
    }
    if (dir)
        closedir(dir);
}

/* ---- payloads ---- */

struct payload {
    char *text;
    size_t len;
};

static struct payload birth, records[RECORDS];
static char birth_name[BIRTH_SIZE];

static struct record_head make_head(enum record_kind kind, enum stream stream, uint64_t seq)
{
    struct record_head head = {.kind = kind,
                               .stream = stream,
                               .seq = seq,
                               .mono_us = 81233771,
                               .sync = true,
                               .t0_ms = 1767576600123 + (int64_t)seq * 1000};
    memcpy(head.epoch, EPOCH, EPOCH_SIZE);
    memset(head.boot, 'b', 32);
    return head;
}

static struct payload keep(const struct buffer *out)
{
    struct payload payload = {strndup(out->data, out->len), out->len};
    if (!payload.text)
        die("out of memory");
    return payload;
}

static void make_payloads(uint64_t first)
{
    static struct point_info points[POINTS];
    struct buffer out;
    struct record_data *data = record_data_new(RECORD_MAX_BYTES);
    buffer_init(&out, RECORD_MAX_BYTES);
    for (int i = 0; i < POINTS; i++) {
        points[i] = (struct point_info){.interval_ms = 1000};
        snprintf(points[i].id, sizeof(points[i].id), "site.unit.point%d", i);
        snprintf(points[i].site, sizeof(points[i].site), "site");
        snprintf(points[i].class_, sizeof(points[i].class_), "compliance");
    }
    struct record_head head = make_head(RECORD_BIRTH, STREAM_A, 1);
    record_write_birth(&out, &head, "edge", "site", points, POINTS);
    free(birth.text);
    birth = keep(&out);
    record_birth_id(birth.text, birth.len, birth_name);
    for (int n = 0; n < RECORDS; n++) {
        head = make_head(RECORD_DATA, STREAM_C, first + (uint64_t)n);
        for (uint32_t i = 0; i < POINTS; i++) {
            struct sample sample = {.t_ms = head.t0_ms + i,
                                    .value = {VALUE_DOUBLE, 20 + n * 0.25 + i * 0.5, ""}};
            if (record_data_add(data, i, &sample))
                die("record full");
        }
        buffer_clear(&out);
        record_data_write(data, &out, &head, birth_name, 1);
        free(records[n].text);
        records[n] = keep(&out);
    }
    record_data_free(data);
    buffer_release(&out);
}

static double run_parse(void *self)
{
    (void)self;
    double begin = bench_now();
    for (int n = 0; n < RECORDS; n++) {
        struct record record;
        if (record_parse(records[n].text, records[n].len, &record, NULL))
            die("record");
        record_release(&record);
    }
    return (bench_now() - begin) * 1e9 / (RECORDS * POINTS);
}

static double run_cjson(void *self)
{
    (void)self;
    double begin = bench_now();
    for (int n = 0; n < RECORDS; n++)
        cJSON_Delete(cJSON_ParseWithLength(records[n].text, records[n].len));
    return (bench_now() - begin) * 1e9 / (RECORDS * POINTS);
}

/* ---- ingest ---- */

static int publish_nothing(void *self, const char *topic, const void *payload, size_t len,
                           bool retained)
{
    (void)self, (void)topic, (void)payload, (void)len, (void)retained;
    return 0;
}

struct centre {
    struct sources sources;
    struct journal *journal;
    struct dead_letters *letters;
    struct ingest *ingest;
    struct virtual_clock clock;
    uint64_t next;
};

static void open_centre(struct centre *centre)
{
    struct message message = {""};
    struct journal_report report;
    char journal[FILE_PATH_SIZE], letters[FILE_PATH_SIZE];
    path_of("journal", journal);
    path_of("letters", letters);
    sources_init(&centre->sources);
    virtual_clock_init(&centre->clock, 1767576600000);
    struct journal_options options = {
        .folder = journal,
        .letters = "j",
        .owner = {&centre->sources, sources_save, sources_restore, sources_replay}};
    if (journal_open(&options, &centre->journal, &report, &message) ||
        dead_letters_open(letters, &centre->letters, &message))
        die(message.text);
    struct ingest_options ingest = {.centre = "c1",
                                    .nonce = EPOCH,
                                    .boot = EPOCH,
                                    .journal = centre->journal,
                                    .sources = &centre->sources,
                                    .letters = centre->letters,
                                    .port = {NULL, publish_nothing}};
    if (ingest_new(&ingest, centre->clock.now, &centre->ingest, &message))
        die(message.text);
    centre->next = 1;
}

static void close_centre(struct centre *centre)
{
    char journal[FILE_PATH_SIZE];
    ingest_free(centre->ingest);
    dead_letters_close(centre->letters);
    journal_close(centre->journal);
    sources_release(&centre->sources);
    path_of("journal", journal);
    empty_folder(journal);
    rmdir(journal);
}

static double run_ingest(void *self)
{
    struct centre *centre = self;
    make_payloads(centre->next);
    centre->next += RECORDS;
    double begin = bench_cpu();
    ingest_message(centre->ingest, centre->clock.now, "chengmai/v1/edge/birth", birth.text,
                   birth.len);
    for (int n = 0; n < RECORDS; n++) {
        ingest_message(centre->ingest, centre->clock.now, "chengmai/v1/edge/data", records[n].text,
                       records[n].len);
        if (n % 100 == 99) {
            virtual_clock_advance(&centre->clock, 200 * US_PER_MS);
            ingest_step(centre->ingest, centre->clock.now);
        }
    }
    return (bench_cpu() - begin) * 1e6 / (RECORDS * POINTS);
}

static double run_bare_ingest(void *self)
{
    (void)self;
    char path[FILE_PATH_SIZE];
    path_of("bare", path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    double begin = bench_cpu();
    for (int n = 0; n < RECORDS; n++) {
        cJSON_Delete(cJSON_ParseWithLength(records[n].text, records[n].len));
        if (write(fd, records[n].text, records[n].len) != (ssize_t)records[n].len ||
            (n % 100 == 99 && fdatasync(fd)))
            die("cannot write");
    }
    double took = (bench_cpu() - begin) * 1e6 / (RECORDS * POINTS);
    close(fd);
    unlink(path);
    return took;
}

static void bench_ingest(void)
{
    struct centre centre;
    open_centre(&centre);
    bench_say("central.ingest_us_per_point", bench_compare(run_ingest, run_bare_ingest, &centre),
              "us", "cJSON_Parse, write, fdatasync of the same", BENCH_LESS, 1.0);
    /* What ended as a dead letter, or was parked, would have cost less than it should. */
    struct ingest_status status;
    ingest_get_status(centre.ingest, &status);
    if (status.dead_letters || status.parked || status.points != (centre.next - 1) * POINTS)
        die("ingest did not take all");
    close_centre(&centre);
}

/* ---- the embedded store ---- */

struct stores {
    struct history_db *history;
    int64_t ids[POINTS], source, trend_id;
    uint64_t seq;
    sqlite3 *bare;
    int64_t bare_ms;
    int64_t trend_ms; /* how long the trend of point 0 is */
};

static struct sample batch[POINTS];

static double run_history(void *self)
{
    struct stores *stores = self;
    int count = bench_quick() ? 200 : 1000;
    double begin = bench_now();
    for (int n = 0; n < count; n++) {
        stores->seq++;
        for (uint32_t i = 0; i < POINTS; i++)
            batch[i] = (struct sample){.point = i,
                                       .t_ms = (int64_t)stores->seq * 1000,
                                       .value = {VALUE_DOUBLE, (double)i + 0.25 * n, ""}};
        if (n % 100 == 0 && history_db_begin(stores->history, NULL))
            die("store");
        if (history_db_add_samples(stores->history, stores->source, stores->seq, stores->ids,
                                   POINTS, batch, POINTS, NULL, NULL) ||
            (n % 100 == 99 && history_db_commit(stores->history, NULL)))
            die("store");
    }
    return count * POINTS / (bench_now() - begin);
}

static void run_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        die(sqlite3_errmsg(db));
}

static double run_bare_history(void *self)
{
    struct stores *stores = self;
    sqlite3_stmt *insert;
    int count = bench_quick() ? 200 : 1000;
    if (sqlite3_prepare_v2(stores->bare, "INSERT INTO samples VALUES(?,?,0,?,NULL,0,1,?)", -1,
                           &insert, NULL))
        die(sqlite3_errmsg(stores->bare));
    double begin = bench_now();
    for (int n = 0; n < count; n++) {
        stores->bare_ms += 1000;
        if (n % 100 == 0)
            run_sql(stores->bare, "BEGIN");
        for (int i = 0; i < POINTS; i++) {
            sqlite3_bind_int(insert, 1, i);
            sqlite3_bind_int64(insert, 2, stores->bare_ms);
            sqlite3_bind_double(insert, 3, (double)i + 0.25 * n);
            sqlite3_bind_int64(insert, 4, n);
            if (sqlite3_step(insert) != SQLITE_DONE)
                die(sqlite3_errmsg(stores->bare));
            sqlite3_reset(insert);
        }
        if (n % 100 == 99)
            run_sql(stores->bare, "COMMIT");
    }
    sqlite3_finalize(insert);
    return count * POINTS / (bench_now() - begin);
}

static double run_trend(void *self)
{
    struct stores *stores = self;
    static struct history_bucket buckets[BUCKETS];
    size_t count = 0;
    double begin = bench_now();
    if (history_read_buckets(stores->history, stores->trend_id, 0, stores->trend_ms,
                             stores->trend_ms / BUCKETS, buckets, BUCKETS, &count, NULL) ||
        count != BUCKETS)
        die("trend");
    sink = (double)count;
    return (bench_now() - begin) * 1e3;
}

static double run_bare_trend(void *self)
{
    struct stores *stores = self;
    sqlite3_stmt *select;
    if (sqlite3_prepare_v2(
            stores->bare,
            "SELECT t_ms/?, min(value), max(value), avg(value) FROM samples WHERE point=-1 "
            "GROUP BY 1",
            -1, &select, NULL))
        die(sqlite3_errmsg(stores->bare));
    double begin = bench_now();
    sqlite3_bind_int64(select, 1, stores->trend_ms / BUCKETS);
    while (sqlite3_step(select) == SQLITE_ROW)
        sink = sqlite3_column_double(select, 1);
    sqlite3_finalize(select);
    return (bench_now() - begin) * 1e3;
}

static void open_stores(struct stores *stores)
{
    struct message message = {""};
    char path[FILE_PATH_SIZE], bare[FILE_PATH_SIZE];
    path_of("history.db", path);
    path_of("bare.db", bare);
    struct db_options options = {.path = path, .mode = DB_WRITER};
    if (history_db_open(&options, &stores->history, NULL, &message) ||
        history_db_begin(stores->history, &message) ||
        history_db_add_source(stores->history, "edge", EPOCH, STREAM_C, &stores->source, &message))
        die(message.text);
    for (int i = 0; i < POINTS; i++) {
        struct point_info info = {.interval_ms = 1000};
        snprintf(info.id, sizeof(info.id), "site.unit.point%d", i);
        if (history_db_add_point(stores->history, &info, &stores->ids[i], &message))
            die(message.text);
    }
    if (history_db_commit(stores->history, &message) || sqlite3_open(bare, &stores->bare))
        die("cannot open");
    run_sql(stores->bare, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                          "CREATE TABLE samples(point INTEGER NOT NULL, t_ms INTEGER NOT NULL, "
                          "tie INTEGER NOT NULL, value REAL, text TEXT, q INTEGER NOT NULL, "
                          "source INTEGER NOT NULL, seq INTEGER NOT NULL, "
                          "PRIMARY KEY(point, t_ms, tie)) WITHOUT ROWID, STRICT");
}

/* The same million samples of one point, a second apart, in both. */
static void fill_trend(struct stores *stores)
{
    struct message message = {""};
    struct point_info info = {.interval_ms = 1000, .id = "site.unit.trend"};
    if (history_db_begin(stores->history, &message) ||
        history_db_add_point(stores->history, &info, &stores->trend_id, &message) ||
        history_db_commit(stores->history, &message))
        die(message.text);
    for (int n = 0; n < TREND / POINTS; n++) {
        for (int i = 0; i < POINTS; i++) {
            int k = n * POINTS + i;
            batch[i] = (struct sample){.t_ms = (int64_t)k * 1000,
                                       .value = {VALUE_DOUBLE, 20 + k % 977 * 0.25, ""}};
        }
        stores->seq++;
        if ((n % 100 == 0 && history_db_begin(stores->history, &message)) ||
            history_db_add_samples(stores->history, stores->source, stores->seq, &stores->trend_id,
                                   1, batch, POINTS, NULL, &message) ||
            (n % 100 == 99 && history_db_commit(stores->history, &message)))
            die(message.text);
    }
    stores->trend_ms = (int64_t)TREND * 1000;
    run_sql(stores->bare,
            "WITH RECURSIVE n(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM n "
            "WHERE k < 999999) INSERT INTO samples "
            "SELECT -1, k * 1000, 0, 20 + k % 977 * 0.25, NULL, 0, 1, k / 100 FROM n");
}

static void bench_store(void)
{
    struct stores stores = {0};
    open_stores(&stores);
    bench_say("central.history_points_per_s", bench_compare(run_history, run_bare_history, &stores),
              "points/s", "a bare SQLite loop, same rows, batch and synchronous", BENCH_MORE, 1.5);
    fill_trend(&stores);
    bench_say("central.trend_query_ms", bench_compare(run_trend, run_bare_trend, &stores), "ms",
              "SELECT min, max, avg GROUP BY over the rows", BENCH_LESS, 2);
    history_db_close(stores.history);
    sqlite3_close(stores.bare);
    empty_folder(folder);
}

/* ---- numbers ---- */

static double numbers[1000];

static double run_print(void *self)
{
    (void)self;
    char text[NUMBER_TEXT_SIZE];
    double begin = bench_now();
    for (int round = 0; round < 300; round++)
        for (int i = 0; i < 1000; i++)
            sink = (double)print_double(numbers[i], text);
    return (bench_now() - begin) * 1e9 / 300e3;
}

static double run_printf(void *self)
{
    (void)self;
    char text[64];
    double begin = bench_now();
    for (int round = 0; round < 300; round++)
        for (int i = 0; i < 1000; i++)
            sink = snprintf(text, sizeof(text), "%.17g", numbers[i]);
    return (bench_now() - begin) * 1e9 / 300e3;
}

int main(void)
{
    snprintf(folder, sizeof(folder), "/tmp/bench-XXXXXX");
    if (crypto_init() || !mkdtemp(folder))
        die("no folder");
    for (int i = 0; i < 1000; i++)
        numbers[i] = i * 0.37 + 12.5;
    make_payloads(1);
    bench_say("central.json_number_print_ns", bench_compare(run_print, run_printf, NULL), "ns",
              "snprintf %.17g", BENCH_LESS, 1.0);
    bench_say("central.record_parse_ns_per_point", bench_compare(run_parse, run_cjson, NULL), "ns",
              "cJSON_Parse of the same", BENCH_LESS, 1.0);
    bench_ingest();
    bench_store();
    empty_folder(folder);
    rmdir(folder);
    return EXIT_SUCCESS;
}
