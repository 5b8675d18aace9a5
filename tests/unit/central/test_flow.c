/*
 * From a sample to the store without a network: recorder → journal → uplink → a way that loses,
 * doubles and reorders → ingest → central journal → historian. Virtual time, seeded. Whatever the
 * way does, in the end all that was appended is stored, once.
 */
#include "base/compress.h"
#include "base/crypto.h"
#include "base/files.h"
#include "central/historian.h"
#include "central/ingest.h"
#include "edge/recorder.h"
#include "edge/uplink.h"
#include "model/receipt.h"
#include "model/topics.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define POINTS   6
#define IN_WAY   512
#define INSTANCE "00112233445566778899aabbccddeeff"

struct letter {
    char topic[TOPIC_SIZE];
    char *payload;
    size_t len;
};

/* What is on its way in one direction. */
struct way {
    struct letter letters[IN_WAY];
    size_t count;
};

struct county {
    char folder[64], edge_folder[FILE_PATH_SIZE], central_folder[FILE_PATH_SIZE];
    struct virtual_clock clock;
    uint64_t random;
    struct way up, down;
    struct journal *edge_journal, *central_journal;
    struct recorder *recorder;
    struct uplink *uplink;
    struct sources sources;
    struct dead_letters *letters;
    struct ingest *ingest;
    struct historian *historian;
    char nonce[NONCE_SIZE];
    bool beyond;
    bool pack; /* the edge packs what it sends */
    uint64_t packed;
    uint64_t put;
};

static unsigned chance(struct county *county, unsigned bound)
{
    county->random = county->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(county->random >> 33) % bound;
}

/* ---- the way ---- */

static void add_letter(struct way *way, const char *topic, const void *payload, size_t len)
{
    if (way->count == IN_WAY)
        return; /* lost */
    struct letter *letter = &way->letters[way->count++];
    snprintf(letter->topic, sizeof(letter->topic), "%s", topic);
    letter->payload = malloc(len + 1);
    assert_non_null(letter->payload);
    memcpy(letter->payload, payload, len);
    letter->payload[len] = '\0';
    letter->len = len;
}

static void clear_way(struct way *way)
{
    for (size_t i = 0; i < way->count; i++)
        free(way->letters[i].payload);
    way->count = 0;
}

/* One letter in eight is lost, one in eight comes twice; success is said of all of them. */
static int publish(struct county *county, struct way *way, const char *topic, const void *payload,
                   size_t len)
{
    unsigned fate = chance(county, 8);
    for (unsigned n = 0; n < (fate == 0 ? 0u : fate == 1 ? 2u : 1u); n++)
        add_letter(way, topic, payload, len);
    return 0;
}

static int publish_up(void *self, const char *topic, const void *payload, size_t len, bool retained)
{
    (void)retained;
    struct county *county = self;
    county->packed += compress_is_zstd(payload, len);
    return publish(county, &county->up, topic, payload, len);
}

static int publish_down(void *self, const char *topic, const void *payload, size_t len,
                        bool retained)
{
    (void)retained;
    struct county *county = self;
    return publish(county, &county->down, topic, payload, len);
}

static void note_beyond(void *self)
{
    ((struct county *)self)->beyond = true;
}

/* ---- edge and centre, opened and let go ---- */

static struct point_info infos[POINTS];
static enum stream streams[POINTS];

static void open_edge(struct county *county)
{
    struct message message = {""};
    struct journal_report report;
    struct journal_options journal = {
        .folder = county->edge_folder, .letters = STREAM_LETTERS, .verify = true};
    if (journal_open(&journal, &county->edge_journal, &report, &message))
        fail_msg("%s", message.text);
    struct recorder_options recorder = {.journal = county->edge_journal,
                                        .edge = "e1",
                                        .site = "s",
                                        .boot = INSTANCE,
                                        .points = infos,
                                        .streams = streams,
                                        .point_count = POINTS};
    if (recorder_new(&recorder, &report, county->clock.now, &county->recorder, &message))
        fail_msg("%s", message.text);
    struct uplink_options uplink = {.edge = "e1",
                                    .site = "s",
                                    .centre = "c1",
                                    .instance = INSTANCE,
                                    .journal = county->edge_journal,
                                    .port = {county, publish_up, NULL, note_beyond},
                                    .compress = county->pack};
    assert_int_equal(uplink_new(&uplink, &county->uplink), 0);
    uplink_connected(county->uplink, county->clock.now);
}

static void close_edge(struct county *county)
{
    uplink_free(county->uplink);
    recorder_free(county->recorder);
    journal_close(county->edge_journal);
}

static void open_centre(struct county *county)
{
    struct message message = {""};
    struct journal_report report;
    char path[FILE_PATH_SIZE];
    sources_init(&county->sources);
    uint8_t nonce[16];
    random_bytes(nonce, sizeof(nonce));
    for (int i = 0; i < 16; i++)
        snprintf(county->nonce + 2 * i, 3, "%02x", nonce[i]);
    struct journal_options journal = {
        .folder = county->central_folder,
        .letters = "j",
        .owner = {&county->sources, sources_save, sources_restore, sources_replay}};
    if (journal_open(&journal, &county->central_journal, &report, &message))
        fail_msg("%s", message.text);
    assert_int_equal(path_join(county->folder, "letters", path), 0);
    assert_int_equal(dead_letters_open(path, &county->letters, &message), 0);
    struct ingest_options ingest = {.centre = "c1",
                                    .nonce = county->nonce,
                                    .boot = INSTANCE,
                                    .journal = county->central_journal,
                                    .sources = &county->sources,
                                    .letters = county->letters,
                                    .port = {county, publish_down}};
    if (ingest_new(&ingest, county->clock.now, &county->ingest, &message))
        fail_msg("%s", message.text);
    assert_int_equal(path_join(county->folder, "history.db", path), 0);
    if (historian_open(path, county->central_journal, &county->historian, &message))
        fail_msg("%s", message.text);
    ingest_connected(county->ingest, county->clock.now);
}

static void close_centre(struct county *county)
{
    historian_close(county->historian);
    ingest_free(county->ingest);
    dead_letters_close(county->letters);
    journal_close(county->central_journal);
    sources_release(&county->sources);
}

/* ---- a step of everything ---- */

/* Delivers what is on its way, in a random order. */
static void deliver(struct county *county, struct way *way, bool up)
{
    while (way->count) {
        size_t i = chance(county, (unsigned)way->count);
        struct letter letter = way->letters[i];
        way->letters[i] = way->letters[--way->count];
        if (up)
            ingest_message(county->ingest, county->clock.now, letter.topic, letter.payload,
                           letter.len);
        else
            /* What cannot be read counts as refused; here all can be. */
            assert_int_equal(uplink_message(county->uplink, county->clock.now, letter.topic,
                                            letter.payload, letter.len, NULL),
                             0);
        free(letter.payload);
    }
}

static void put_samples(struct county *county)
{
    for (uint32_t i = 0; i < POINTS; i++) {
        struct sample sample = {.point = i,
                                .t_ms = county->clock.now.wall_ms + i,
                                .value = {VALUE_DOUBLE, (double)county->put, ""}};
        assert_int_equal(recorder_put(county->recorder, &sample, 1), 0);
        county->put++;
    }
}

static void step(struct county *county)
{
    virtual_clock_advance(&county->clock, 300 * US_PER_MS);
    recorder_step(county->recorder, county->clock.now);
    uplink_step(county->uplink, county->clock.now);
    deliver(county, &county->up, true);
    ingest_step(county->ingest, county->clock.now);
    deliver(county, &county->down, false);
    historian_step(county->historian, county->clock.now);
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[FILE_PATH_SIZE];
        if (entry->d_name[0] == '.' || path_join(folder, entry->d_name, path))
            continue;
        if (unlink(path))
            remove_folder(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

static void begin(struct county *county, uint64_t seed)
{
    *county = (struct county){.folder = "/tmp/flow-XXXXXX", .random = seed, .pack = seed % 2 == 1};
    assert_non_null(mkdtemp(county->folder));
    assert_int_equal(path_join(county->folder, "edge", county->edge_folder), 0);
    assert_int_equal(path_join(county->folder, "central", county->central_folder), 0);
    virtual_clock_init(&county->clock, 1767576600000);
    for (int i = 0; i < POINTS; i++) {
        static const char *const classes[] = {"safety", "compliance", "trend"};
        infos[i] = (struct point_info){.interval_ms = 1000};
        snprintf(infos[i].id, sizeof(infos[i].id), "s.u.p%d", i);
        snprintf(infos[i].site, sizeof(infos[i].site), "s");
        snprintf(infos[i].class_, sizeof(infos[i].class_), "%s", classes[i % 3]);
        streams[i] = (enum stream)(STREAM_S + i % 3);
    }
    open_centre(county);
    open_edge(county);
}

static void end(struct county *county)
{
    close_edge(county);
    close_centre(county);
    clear_way(&county->up);
    clear_way(&county->down);
    remove_folder(county->folder);
    free(county);
}

static bool all_stored(struct county *county)
{
    return historian_stored(county->historian) == county->put;
}

/* Without new samples all must arrive in the end: 60 s is the longest wait for a receipt. */
static void drain(struct county *county, uint64_t seed)
{
    assert_int_equal(recorder_flush(county->recorder, county->clock.now, NULL), 0);
    for (int n = 0; n < 4000 && !all_stored(county); n++)
        step(county);
    if (!all_stored(county))
        fail_msg("seed %llu: %llu of %llu stored", (unsigned long long)seed,
                 (unsigned long long)historian_stored(county->historian),
                 (unsigned long long)county->put);
    /* … and no more than that. */
    for (int n = 0; n < 50; n++)
        step(county);
    assert_true(all_stored(county));
    assert_false(county->beyond);
}

static void a_way_that_loses_doubles_and_reorders_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct county *county = calloc(1, sizeof(*county));
        begin(county, seed);
        for (int n = 0; n < 60; n++) {
            put_samples(county);
            step(county);
        }
        drain(county, seed);
        assert_int_equal(county->packed > 0, county->pack); /* births, and longer records */
        end(county);
    }
}

static void restarts_of_either_side_change_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 101; seed <= 110; seed++) {
        struct county *county = calloc(1, sizeof(*county));
        begin(county, seed);
        for (int n = 0; n < 60; n++) {
            put_samples(county);
            step(county);
            if (chance(county, 15) == 0) {
                assert_int_equal(recorder_flush(county->recorder, county->clock.now, NULL), 0);
                close_edge(county);
                open_edge(county);
            }
            if (chance(county, 15) == 0) {
                close_centre(county);
                open_centre(county);
                uplink_connected(county->uplink, county->clock.now);
            }
        }
        drain(county, seed);
        end(county);
    }
}

/* What was held back counts at both ends, and so in what an edge lacks. */
static void readings_held_back_count_on_both_sides(void **state)
{
    struct county *county = calloc(1, sizeof(*county));
    uint64_t held = 0;

    (void)state;
    begin(county, 7);
    for (uint32_t n = 0; n < 40; n++) {
        const struct sample sample = {.point = 2,
                                      .held = n,
                                      .t_ms = county->clock.now.wall_ms,
                                      .value = {VALUE_DOUBLE, 1, ""}};
        assert_int_equal(recorder_put(county->recorder, &sample, 1), 0);
        county->put++;
        held += n;
        step(county);
    }
    drain(county, 7);
    const struct source *source = sources_find(&county->sources, "e1");
    assert_non_null(source);
    const struct source_epoch *epoch =
        source_find_epoch(source, journal_epoch(county->edge_journal));
    assert_non_null(epoch);
    assert_int_equal(epoch->points, county->put + held);
    assert_int_equal(epoch->total, county->put + held);
    assert_int_equal(journal_durable_points(county->edge_journal), county->put + held);
    assert_int_equal(journal_durable_points(county->central_journal), county->put + held);
    end(county);
}

/* A packed payload that does not unpack is kept with the reason, and stops nothing. */
static void a_broken_packed_payload_is_a_dead_letter(void **state)
{
    static const char broken[] = "\x28\xb5\x2f\xfd nothing of the kind";
    struct county *county = calloc(1, sizeof(*county));
    struct compressor *compressor = NULL;
    struct buffer bomb;
    struct ingest_status status;
    char *zeros = calloc(1, 1 << 20);

    (void)state;
    begin(county, 9);
    buffer_init(&bomb, 65536);
    assert_non_null(zeros);
    assert_int_equal(compressor_new(&compressor), 0);
    assert_int_equal(compressor_pack(compressor, zeros, 1 << 20, &bomb), 0);
    ingest_message(county->ingest, county->clock.now, "chengmai/v1/e1/data", broken,
                   sizeof(broken) - 1);
    ingest_message(county->ingest, county->clock.now, "chengmai/v1/e1/data", bomb.data, bomb.len);
    ingest_get_status(county->ingest, &status);
    assert_int_equal(status.dead_letters, 2);
    for (int n = 0; n < 10; n++) {
        put_samples(county);
        step(county);
    }
    drain(county, 9);
    compressor_free(compressor);
    buffer_release(&bomb);
    free(zeros);
    end(county);
}

static void nothing_is_sent_to_a_centre_that_is_not_there(void **state)
{
    (void)state;
    struct county *county = calloc(1, sizeof(*county));
    begin(county, 7);
    struct uplink_status status;
    for (int n = 0; n < 20; n++) {
        put_samples(county);
        virtual_clock_advance(&county->clock, US_PER_S);
        recorder_step(county->recorder, county->clock.now);
        uplink_step(county->uplink, county->clock.now);
    }
    uplink_get_status(county->uplink, &status);
    assert_int_equal(status.sent, 0);
    assert_true(status.unreceived > 0);
    for (size_t i = 0; i < county->up.count; i++)
        assert_null(strstr(county->up.letters[i].topic, "/data"));
    drain(county, 7);
    end(county);
}

static void an_edge_with_a_new_disk_goes_on_under_a_new_epoch(void **state)
{
    (void)state;
    struct county *county = calloc(1, sizeof(*county));
    begin(county, 9);
    for (int n = 0; n < 30; n++) {
        put_samples(county);
        step(county);
    }
    drain(county, 9);
    close_edge(county);
    remove_folder(county->edge_folder);
    open_edge(county);

    for (int n = 0; n < 10; n++) {
        put_samples(county);
        step(county);
    }
    drain(county, 9);
    end(county);
}

static void copy_folder(const char *from, const char *to)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execlp("cp", "cp", "-r", from, to, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void a_disk_restored_from_a_backup_reuses_no_number_and_loses_nothing(void **state)
{
    (void)state;
    struct county *county = calloc(1, sizeof(*county));
    char backup[FILE_PATH_SIZE], before[EPOCH_SIZE];
    begin(county, 11);
    for (int n = 0; n < 10; n++) {
        put_samples(county);
        step(county);
    }
    drain(county, 11);
    close_edge(county);
    assert_int_equal(path_join(county->folder, "backup", backup), 0);
    copy_folder(county->edge_folder, backup);
    open_edge(county);
    for (int n = 0; n < 30; n++) {
        put_samples(county);
        step(county);
    }
    drain(county, 11);
    close_edge(county);

    /* The disk of an hour ago: its next numbers are known at the centre, with other contents. */
    remove_folder(county->edge_folder);
    assert_int_equal(rename(backup, county->edge_folder), 0);
    open_edge(county);
    memcpy(before, journal_epoch(county->edge_journal), EPOCH_SIZE);
    for (int n = 0; n < 40; n++) {
        put_samples(county);
        step(county);
        if (!county->beyond)
            continue;
        county->beyond = false;
        assert_int_equal(recorder_new_epoch(county->recorder, county->clock.now, NULL), 0);
        assert_int_equal(uplink_epoch(county->uplink, county->clock.now), 0);
    }
    assert_string_not_equal(before, journal_epoch(county->edge_journal));
    drain(county, 11);
    end(county);
}

static const struct source_epoch *stranger(struct county *county, const char *epoch)
{
    const struct source *source = sources_find(&county->sources, "e9");
    assert_non_null(source);
    const struct source_epoch *found = source_find_epoch(source, epoch);
    assert_non_null(found);
    return found;
}

static void a_dead_letter_keeps_its_place_on_the_ledger_over_a_restart(void **state)
{
    (void)state;
    static const char payload[] =
        "{\"v\":1,\"kind\":\"data\",\"epoch\":\"" INSTANCE "\",\"stream\":\"t\",\"seq\":5,"
        "\"boot\":\"b\",\"mono\":1,\"sync\":true,\"t0\":1767576600000,\"values\":7}";
    struct county *county = calloc(1, sizeof(*county));
    begin(county, 13);
    for (int n = 0; n < 3; n++)
        ingest_message(county->ingest, county->clock.now, "chengmai/v1/e9/data", payload,
                       sizeof(payload) - 1);
    step(county);
    for (int n = 0; n < 2; n++) {
        const struct source_epoch *epoch = stranger(county, INSTANCE);
        assert_true(intervals_contain(&epoch->received[STREAM_T], 5));
        assert_int_equal(epoch->loss_count, 1);
        assert_string_equal(epoch->losses[0].cause, "dead_letter");
        assert_int_equal(epoch->tip[STREAM_T], 0); /* what it was is not known */
        close_centre(county);
        open_centre(county);
    }
    end(county);
}

/* Cut on its way, with a head that can be read: the whole, which comes later, is no duplicate. */
static void a_part_of_a_record_does_not_stand_for_it(void **state)
{
    (void)state;
    static const char payload[] =
        "{\"v\":1,\"kind\":\"loss\",\"epoch\":\"" INSTANCE "\",\"stream\":\"a\",\"seq\":5,"
        "\"boot\":\"b\",\"mono\":1,\"sync\":true,\"t0\":1767576600000,\"of\":\"t\","
        "\"first\":3,\"last\":9,\"from\":1767576600000,\"to\":1767576600000,\"points\":7,"
        "\"cause\":\"space\"}";
    struct county *county = calloc(1, sizeof(*county));
    struct ingest_status status;
    begin(county, 14);
    for (size_t len = sizeof(payload) - 20; len < sizeof(payload); len += 19)
        ingest_message(county->ingest, county->clock.now, "chengmai/v1/e9/event", payload, len);
    step(county);
    const struct source_epoch *epoch = stranger(county, INSTANCE);
    ingest_get_status(county->ingest, &status);
    assert_int_equal(status.dead_letters, 1);
    assert_int_equal(epoch->loss_count, 1);
    assert_string_equal(epoch->losses[0].cause, "space");
    assert_int_equal(epoch->lost_points, 7);
    end(county);
}

static int setup(void **state)
{
    (void)state;
    return crypto_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_way_that_loses_doubles_and_reorders_changes_nothing),
        cmocka_unit_test(restarts_of_either_side_change_nothing),
        cmocka_unit_test(readings_held_back_count_on_both_sides),
        cmocka_unit_test(a_broken_packed_payload_is_a_dead_letter),
        cmocka_unit_test(nothing_is_sent_to_a_centre_that_is_not_there),
        cmocka_unit_test(an_edge_with_a_new_disk_goes_on_under_a_new_epoch),
        cmocka_unit_test(a_disk_restored_from_a_backup_reuses_no_number_and_loses_nothing),
        cmocka_unit_test(a_dead_letter_keeps_its_place_on_the_ledger_over_a_restart),
        cmocka_unit_test(a_part_of_a_record_does_not_stand_for_it),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
