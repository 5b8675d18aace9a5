#include "edge/edge.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/notify_socket.h"
#include "base/numbers.h"
#include "base/worker.h"
#include "edge/backlog.h"
#include "edge/control.h"
#include "edge/hole_keeper.h"
#include "edge/intake.h"
#include "edge/lines.h"
#include "edge/operator_marks.h"
#include "edge/poller.h"
#include "edge/recorder.h"
#include "edge/signal_points.h"
#include "edge/uplink.h"
#include "model/topics.h"
#include "net/mqtt.h"
#include "service/points.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/*
 * Design notes
 *
 *   poller ──samples──> intake ──> recorder ──journal──> uplink ──> broker
 *
 * Threads meet in the recorder's queue and the journal; the intake judges, and holds back, in the
 * thread that polls. Only one thing goes back: a receipt that
 * shows a restored disk makes the uplink ask the recorder for a new epoch, by `epoch_wish`, which
 * each side moves one step on; the uplink does not touch the journal in between.
 *
 * A stop ends polling, records what is in memory, and waits a while for receipts.
 */

#define CHECK_MS       1000
#define STATS_LIMIT    (32 * 1024)
#define DISK_RETRY_MS  200
#define GATHER_MS      25
#define DRAIN_LOOK_MS  50
#define BUDGET_TOLD_US (60 * (int64_t)US_PER_S)

enum epoch_wish { EPOCH_NONE, EPOCH_WANTED, EPOCH_MADE };

struct edge {
    const struct edge_config *config;
    struct edge_points *points;
    struct hole_keeper *holes;
    struct journal *journal;
    struct recorder *recorder;
    struct intake *intake;
    struct operator_marks marks;
    struct uplink *uplink;
    struct mqtt *mqtt;
    struct poller *poller;
    struct edge_control *control; /* NULL: its socket could not be opened, which was said */
    struct worker *recorder_worker, *control_worker;
    _Atomic(struct worker *) uplink_worker; /* started after the recorder's, which wakes it */
    char boot[33], instance[33];
    atomic_int epoch_wish;
    atomic_bool settle_wish; /* a connection was made, and what that needed is over */
    struct complaint link_complaints[POLLER_DRIVERS_MAX];
    struct complaint notice_complaints[POLLER_DRIVERS_MAX];
    uint64_t told_notices[POLLER_DRIVERS_MAX];
    struct complaint journal_complaint, space_complaint, refused_complaint, totals_complaint;
    struct complaint broker_complaint, budget_complaint; /* the uplink's */
    uint64_t told_lost, told_refused;
};

/* ---- the uplink's thread ---- */

static int port_publish(void *self, const char *topic, const void *payload, size_t len,
                        bool retained)
{
    struct edge *edge = self;
    int token;
    return mqtt_publish(edge->mqtt, topic, payload, len, retained, &token);
}

static void write_link_stats(struct edge *edge, struct json_writer *json)
{
    json_key(json, "links");
    json_begin_array(json);
    for (size_t i = 0; i < poller_count(edge->poller) && i < 50; i++) {
        struct poller_status status;
        poller_get_status(edge->poller, i, &status);
        json_begin_object(json);
        json_key(json, "link");
        json_text(json, status.name);
        json_key(json, "up");
        json_bool(json, status.driver.up);
        json_key(json, "units");
        json_u64(json, status.driver.units);
        json_key(json, "units_down");
        json_u64(json, status.driver.units_down);
        json_key(json, "samples");
        json_u64(json, status.driver.samples);
        json_key(json, "bad");
        json_u64(json, status.driver.bad);
        json_key(json, "repeated");
        json_u64(json, status.driver.repeated);
        json_key(json, "strays");
        json_u64(json, status.driver.strays);
        json_key(json, "skipped");
        json_u64(json, status.driver.skipped);
        json_key(json, "late");
        json_u64(json, status.driver.late);
        json_key(json, "trouble");
        json_text(json, status.driver.trouble.text);
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_uplink_stats(struct edge *edge, struct json_writer *json)
{
    const struct outgoing *outgoing = uplink_outgoing(edge->uplink);
    json_key(json, "bytes_sent");
    json_u64(json, outgoing->bytes);
    json_key(json, "bytes_packed_away");
    json_u64(json, outgoing->plain_bytes - outgoing->bytes);
    json_key(json, "budget_waits");
    json_bool(json, outgoing_waiting_us(outgoing) > 0);
}

static void port_stats(void *self, struct buffer *out)
{
    struct edge *edge = self;
    struct recorder_status recorder;
    uint64_t bytes, received;
    recorder_get_status(edge->recorder, &recorder);
    journal_bytes(edge->journal, &bytes, &received);
    struct json_writer json;
    json_writer_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "journal_bytes");
    json_u64(&json, bytes);
    json_key(&json, "journal_limit");
    json_u64(&json, edge->config->journal_size);
    json_key(&json, "samples_refused");
    json_u64(&json, recorder.refused);
    json_key(&json, "samples_lost");
    json_u64(&json, recorder.lost);
    write_uplink_stats(edge, &json);
    write_link_stats(edge, &json);
    json_end_object(&json);
}

static void port_beyond(void *self)
{
    struct edge *edge = self;
    log_warn("uplink", "the centre has records of this journal that this disk has not: was it "
                       "restored from a backup? A new epoch begins");
    /* The recorder looks at it when it runs next: with the next samples. */
    atomic_store(&edge->epoch_wish, EPOCH_WANTED);
}

static void take_event(struct edge *edge, struct now now, struct mqtt_event *event)
{
    struct message message = {""};
    switch (event->kind) {
    case MQTT_CONNECTED:
        complaint_clear(&edge->broker_complaint, now.mono_us, "uplink", "connected to %s",
                        edge->config->broker.url);
        uplink_connected(edge->uplink, now);
        atomic_store(&edge->settle_wish, true);
        break;
    case MQTT_DISCONNECTED:
        complaint_raise(&edge->broker_complaint, now.mono_us, "uplink", "%s: %s",
                        edge->config->broker.url, event->text);
        uplink_disconnected(edge->uplink);
        break;
    case MQTT_MESSAGE:
        if (uplink_message(edge->uplink, now, event->topic, event->payload, event->len, &message))
            log_warn("uplink", "%s: %s", event->topic, message.text);
        break;
    case MQTT_ACKED:
        break; /* says nothing about the centre */
    case MQTT_REFUSED:
        log_warn("uplink",
                 "the broker refused a message (reason %d): are its ACL and limits right?",
                 event->reason);
        break;
    }
    mqtt_event_release(event);
}

/* That the budget sets the pace for a moment is its purpose; that it does so on and on is told. */
static void tell_budget(struct edge *edge, struct now now)
{
    int64_t waits_us = outgoing_waiting_us(uplink_outgoing(edge->uplink));
    if (waits_us >= BUDGET_TOLD_US)
        complaint_raise(&edge->budget_complaint, now.mono_us, "uplink",
                        "the daily budget of bytes does not suffice: records wait in the journal, "
                        "alarms and live safety points go on; enlarge daily_budget, or send less");
    else if (!waits_us)
        complaint_clear(&edge->budget_complaint, now.mono_us, "uplink",
                        "the daily budget of bytes suffices again");
}

static int64_t uplink_thread(void *self, struct now now)
{
    struct edge *edge = self;
    struct mqtt_event event;
    int64_t due_us = mqtt_step(edge->mqtt, now);
    while (!mqtt_next(edge->mqtt, now, &event))
        take_event(edge, now, &event);
    int wish = EPOCH_MADE;
    if (atomic_compare_exchange_strong(&edge->epoch_wish, &wish, EPOCH_NONE) &&
        uplink_epoch(edge->uplink, now))
        log_error("uplink", "cannot read the new epoch: restart this program");
    int64_t uplink_us = uplink_step(edge->uplink, now);
    tell_budget(edge, now);
    edge_control_serve(edge->control, edge->uplink);
    if (mqtt_stuck(edge->mqtt, now)) {
        log_error("uplink",
                  "the MQTT library does not come back; this program stops, to be started "
                  "again by its supervisor");
        kill(getpid(), SIGTERM);
    }
    int64_t again_us = mqtt_step(edge->mqtt, now); /* a disconnection sets a new time */
    due_us = again_us < due_us ? again_us : due_us;
    return uplink_us < due_us ? uplink_us : due_us;
}

/* ---- the recorder's thread ---- */

static void take_samples(void *self, const struct sample *samples, size_t count)
{
    struct edge *edge = self;
    totals_note(edge->points->totals, samples, count);
    /* Refused samples are counted by the recorder and told by the main thread. */
    intake_put(edge->intake, clock_read(clock_real()), samples, count);
}

static int64_t recorder_thread(void *self, struct now now)
{
    struct edge *edge = self;
    if (atomic_load(&edge->epoch_wish) == EPOCH_WANTED) {
        struct message message = {""};
        if (recorder_new_epoch(edge->recorder, now, &message))
            log_error("recorder", "a new epoch did not succeed: %s", message.text);
        else
            log_info("recorder", "new epoch %s", journal_epoch(edge->journal));
        atomic_store(&edge->epoch_wish, EPOCH_MADE);
        worker_wake(edge->uplink_worker);
    }
    int64_t due_us = recorder_step(edge->recorder, now);
    struct recorder_status status;
    recorder_get_status(edge->recorder, &status);
    if (status.journal_error)
        /* The queue stays readable meanwhile: a disk that fails is not tried in a loop. */
        poll(NULL, 0, DISK_RETRY_MS);
    else if (due_us - now.mono_us > GATHER_MS * US_PER_MS)
        /* What comes meanwhile is taken in one go: to be woken by each poll costs more than that.
         */
        poll(NULL, 0, GATHER_MS);
    return due_us;
}

static void wake_uplink(void *self)
{
    struct edge *edge = self;
    struct worker *worker = edge->uplink_worker;
    if (worker)
        worker_wake(worker);
}

/* ---- the control thread ---- */

static int64_t control_thread(void *self, struct now now)
{
    struct edge *edge = self;
    return edge_control_step(edge->control, now);
}

/* ---- the main thread ---- */

/* Over when half of the journal's size is free, or could be: what the centre has frees it. */
static void tell_space(struct edge *edge, struct now now, uint64_t lost)
{
    uint64_t bytes, received;
    journal_bytes(edge->journal, &bytes, &received);
    if (lost > edge->told_lost)
        complaint_raise(&edge->space_complaint, now.mono_us, "journal",
                        "full: dropped the oldest segments, each named by a loss record, %llu "
                        "samples since the start; enlarge journal.size or restore the way to the "
                        "centre",
                        (unsigned long long)lost);
    else if (bytes - received <= edge->config->journal_size / 2)
        complaint_clear(&edge->space_complaint, now.mono_us, "journal", "has room again");
    edge->told_lost = lost;
}

static void load_totals(struct edge *edge)
{
    struct message message = {""};
    int err = totals_load(edge->points->totals, edge->points->infos, edge->config->journal_path,
                          &message);
    if (err && err != ERR_NOT_FOUND)
        log_warn("totals",
                 "%s; what it says of totalisers is not taken up: their running totals "
                 "begin anew with the counts that are read",
                 message.text);
}

static void save_totals(struct edge *edge, struct now now, bool all)
{
    struct message message = {""};
    if (totals_save(edge->points->totals, edge->points->infos, edge->config->journal_path, now, all,
                    &message))
        complaint_raise(&edge->totals_complaint, now.mono_us, "totals",
                        "%s; a restart now would not know of the totalisers' last turns",
                        message.text);
    else
        complaint_clear(&edge->totals_complaint, now.mono_us, "totals", "are saved again");
}

static void tell_tight_links(const struct edge *edge)
{
    struct message message = {""};
    for (size_t i = 0; i < edge->config->link_count; i++)
        if (edge_points_is_tight(edge->points, edge->config, i, &message))
            log_warn("link", "%s", message.text);
}

/* Says once what is wrong, and once when it is over. */
static void tell_troubles(struct edge *edge, struct now now)
{
    for (size_t i = 0; i < poller_count(edge->poller); i++) {
        struct poller_status status;
        poller_get_status(edge->poller, i, &status);
        struct complaint *complaint = &edge->link_complaints[i];
        if (!status.driver.up)
            complaint_raise(complaint, now.mono_us, "link", "%s is down: %s", status.name,
                            status.driver.trouble.text);
        else if (status.driver.units_down)
            complaint_raise(complaint, now.mono_us, "link", "%s: %zu of %zu units are down: %s",
                            status.name, status.driver.units_down, status.driver.units,
                            status.driver.trouble.text);
        else
            complaint_clear(complaint, now.mono_us, "link", "%s is well again", status.name);
        /* Of what only comes, and does not last, it is never said that it is over. */
        if (status.driver.notices > edge->told_notices[i])
            complaint_raise(&edge->notice_complaints[i], now.mono_us, "link", "%s: %s", status.name,
                            status.driver.notice.text);
        edge->told_notices[i] = status.driver.notices;
    }
    struct recorder_status recorder;
    recorder_get_status(edge->recorder, &recorder);
    if (recorder.journal_error)
        complaint_raise(&edge->journal_complaint, now.mono_us, "journal", "%s",
                        recorder.error_text);
    else
        complaint_clear(&edge->journal_complaint, now.mono_us, "journal", "takes records again");
    tell_space(edge, now, recorder.lost);
    if (recorder.refused > edge->told_refused)
        complaint_raise(&edge->refused_complaint, now.mono_us, "recorder",
                        "%llu samples found no room in memory and are not recorded",
                        (unsigned long long)(recorder.refused - edge->told_refused));
    else
        complaint_clear(&edge->refused_complaint, now.mono_us, "recorder", "records all again");
    edge->told_refused = recorder.refused;
}

/* Asked of the journal itself: the uplink's own status may be older than the last commit. */
static bool all_received(struct edge *edge)
{
    struct backlog backlog;
    return !backlog_read(edge->journal, &backlog) && !backlog.records;
}

static void wait_for_receipts(struct edge *edge)
{
    int64_t end_us = clock_read(clock_real()).mono_us + edge->config->drain_ms * US_PER_MS;
    worker_wake(edge->uplink_worker);
    while (!all_received(edge) && clock_read(clock_real()).mono_us < end_us) {
        poll(NULL, 0, DRAIN_LOOK_MS);
        worker_wake(edge->uplink_worker);
    }
    if (!all_received(edge))
        log_warn("edge", "stopped before the centre had all: the rest is sent after the start");
}

static void say_down(struct edge *edge)
{
    struct buffer out;
    char topic[TOPIC_SIZE];
    int token;
    buffer_init(&out, STATS_LIMIT);
    uplink_state(edge->uplink, clock_read(clock_real()), false, &out);
    topic_make(TOPIC_STATE, edge->config->edge, topic);
    if (!buffer_error(&out))
        /* Not connected: the will says it, or has said it. */
        (void)!mqtt_publish(edge->mqtt, topic, out.data, out.len, true, &token);
    buffer_release(&out);
}

static void stop(struct edge *edge)
{
    struct message message = {""};
    notify_socket_send("STOPPING=1");
    if (edge->poller)
        poller_stop(edge->poller);
    if (edge->journal)
        save_totals(edge, clock_read(clock_real()), true);
    if (edge->recorder)
        intake_flush(edge->intake);
    worker_stop(edge->recorder_worker);
    edge->recorder_worker = NULL;
    if (edge->recorder && recorder_flush(edge->recorder, clock_read(clock_real()), &message))
        log_error("recorder", "%s", message.text);
    if (edge->uplink_worker) {
        wait_for_receipts(edge);
        worker_stop(edge->control_worker); /* it wakes the uplink's */
        worker_stop(edge->uplink_worker);
        edge->uplink_worker = NULL;
        say_down(edge);
    }
    mqtt_close(edge->mqtt);
    edge_control_close(edge->control);
    poller_free(edge->poller);
    hole_keeper_save(edge->holes, clock_read(clock_real()));
    uplink_free(edge->uplink);
    recorder_free(edge->recorder);
    journal_close(edge->journal);
}

static int open_journal(struct edge *edge, struct message *message)
{
    struct journal_options options = {.folder = edge->config->journal_path,
                                      .letters = STREAM_LETTERS,
                                      .limit_bytes = edge->config->journal_size,
                                      .verify = true};
    struct journal_report report;
    int err = journal_open(&options, &edge->journal, &report, message);
    if (err)
        return err;
    log_info("journal", "%s: epoch %s%s, %llu frames looked at, %zu losses to tell",
             edge->config->journal_path, journal_epoch(edge->journal),
             report.created   ? ", new"
             : report.unclean ? ", not closed last time"
                              : "",
             (unsigned long long)report.scanned_frames, report.loss_count);
    struct recorder_options recorder = {.journal = edge->journal,
                                        .edge = edge->config->edge,
                                        .site = edge->config->site,
                                        .boot = edge->boot,
                                        .points = edge->points->infos,
                                        .streams = edge->points->streams,
                                        .point_count = edge->points->count};
    err = recorder_new(&recorder, &report, clock_read(clock_real()), &edge->recorder, message);
    if (!err)
        intake_attach(edge->intake, edge->recorder);
    return err ? err : journal_subscribe(edge->journal, wake_uplink, edge);
}

static int open_uplink(struct edge *edge, struct message *message)
{
    struct uplink_options options = {
        .edge = edge->config->edge,
        .site = edge->config->site,
        .centre = edge->config->centre,
        .instance = edge->instance,
        .journal = edge->journal,
        .port = {edge, port_publish, port_stats, port_beyond},
        .stats_ms = edge->config->stats_ms,
        .compress = edge->config->compress == COMPRESS_ZSTD,
        .daily_budget = edge->config->daily_budget,
    };
    int err = uplink_new(&options, &edge->uplink);
    if (err)
        return message_set(message, err, "uplink: %s", err_name(err));
    struct buffer will;
    char will_topic[TOPIC_SIZE], filter[TOPIC_SIZE];
    buffer_init(&will, STATS_LIMIT);
    uplink_state(edge->uplink, clock_read(clock_real()), false, &will);
    topic_make(TOPIC_STATE, edge->config->edge, will_topic);
    struct mqtt_options mqtt = {.url = edge->config->broker.url,
                                .client_id = edge->config->edge,
                                .ca = edge->config->broker.ca,
                                .cert = edge->config->broker.cert,
                                .key = edge->config->broker.key,
                                .will_topic = will_topic,
                                .will_payload = will.data,
                                .will_len = will.len};
    err = mqtt_open(&mqtt, &edge->mqtt, message);
    buffer_release(&will);
    const struct {
        enum topic_kind kind;
        const char *name;
    } filters[] = {{TOPIC_RECEIPT, edge->config->edge},
                   {TOPIC_REQUEST, edge->config->edge},
                   {TOPIC_CENTRE_STATE, edge->config->centre}};
    for (size_t i = 0; !err && i < sizeof(filters) / sizeof(filters[0]); i++) {
        topic_make(filters[i].kind, filters[i].name, filter);
        err = mqtt_subscribe(edge->mqtt, filter);
    }
    return err;
}

static int open_poller(struct edge *edge, struct message *message)
{
    int err = poller_new(&edge->poller, message);
    return err ? err
               : lines_open(edge->config, edge->points, take_samples, edge, edge->poller, message);
}

/* Readings come first: an edge that cannot be asked on the spot works all the same. */
static void open_control(struct edge *edge)
{
    struct edge_control_options options = {.config = edge->config,
                                           .points = edge->points,
                                           .journal = edge->journal,
                                           .recorder = edge->recorder,
                                           .poller = edge->poller,
                                           .wake_uplink = wake_uplink,
                                           .wake_self = edge};
    struct message message = {""};
    if (edge_control_open(&options, clock_read(clock_real()), &edge->control, &message))
        log_warn("control", "%s; chengmai status and read cannot ask this edge", message.text);
}

static int start_control(struct edge *edge, struct message *message)
{
    if (!edge->control)
        return 0;
    edge->control_worker =
        worker_start("control", control_thread, edge, clock_real(), edge_control_fd(edge->control));
    return edge->control_worker
               ? 0
               : message_set(message, ERR_NO_MEMORY, "cannot start the control thread");
}

static int start(struct edge *edge, struct message *message)
{
    int err = open_journal(edge, message);
    if (!err)
        err = open_uplink(edge, message);
    if (!err)
        err = open_poller(edge, message);
    if (err)
        return err;
    load_totals(edge);
    open_control(edge);
    edge->recorder_worker =
        worker_start("recorder", recorder_thread, edge, clock_real(), recorder_fd(edge->recorder));
    if (edge->recorder_worker)
        edge->uplink_worker =
            worker_start("uplink", uplink_thread, edge, clock_real(), mqtt_fd(edge->mqtt));
    if (!edge->recorder_worker || !edge->uplink_worker)
        return message_set(message, ERR_NO_MEMORY, "cannot start a thread");
    operator_marks_look(&edge->marks, clock_read(clock_real()));
    err = poller_start(edge->poller, message);
    return err ? err : start_control(edge, message);
}

static int take_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void run(struct edge *edge, int signal_fd)
{
    for (;;) {
        struct pollfd waiting = {signal_fd, POLLIN, 0};
        poll(&waiting, 1, CHECK_MS);
        struct signalfd_siginfo info;
        if (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
            if (info.ssi_signo != SIGHUP)
                return;
            log_info("edge", "a changed configuration is taken at the next start");
        }
        if (atomic_exchange(&edge->settle_wish, false))
            memory_settle();
        struct now now = clock_read(clock_real());
        save_totals(edge, now, false);
        operator_marks_look(&edge->marks, now);
        tell_troubles(edge, now);
        hole_keeper_save(edge->holes, now);
        notify_socket_send("WATCHDOG=1");
    }
}

static int operate(const struct edge_config *config, struct edge_points *points,
                   struct hole_keeper *holes, struct intake *intake)
{
    struct edge *edge = calloc(1, sizeof(*edge));
    struct message message = {""};
    int signal_fd = take_signals();
    if (!edge || signal_fd < 0 || crypto_init()) {
        log_error("edge", "cannot start: out of memory or randomness");
        free(edge);
        return EXIT_FAILURE;
    }
    edge->config = config;
    edge->points = points;
    edge->holes = holes;
    edge->intake = intake;
    edge->marks = (struct operator_marks){.config = config, .points = points, .intake = intake};
    clock_boot_id(edge->boot);
    uint8_t nonce[16];
    random_bytes(nonce, sizeof(nonce));
    print_hex(nonce, sizeof(nonce), edge->instance);
    int err = start(edge, &message);
    if (err) {
        log_error("edge", "%s", message.text);
    } else {
        tell_tight_links(edge);
        log_info("edge", "%s polls %zu points on %zu links", config->edge, points->count,
                 config->link_count);
        notify_socket_send("READY=1");
        run(edge, signal_fd);
        log_info("edge", "stopping");
    }
    stop(edge);
    close(signal_fd);
    free(edge);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int check(const struct edge_config *config, const struct edge_points *points)
{
    struct buffer out;
    buffer_init(&out, 16 * 1024 * 1024);
    edge_config_print(config, &out);
    printf("%s# %zu points\n", buffer_text(&out), points->count);
    buffer_release(&out);
    return EXIT_SUCCESS;
}

int edge_main(int argc, char **argv)
{
    const char *path = NULL;
    bool only_check = false, usage = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            path = argv[++i];
        else if (strcmp(argv[i], "--check") == 0)
            only_check = true;
        else
            usage = true;
    }
    if (usage || !path) {
        fprintf(stderr, "usage: chengmai-edge --config FILE [--check]\n");
        return 2;
    }
    memory_keep_small();
    struct config_errors errors;
    config_errors_init(&errors);
    struct edge_config *config = NULL;
    struct edge_points *points = NULL;
    struct intake *intake = NULL;
    int status = 2;
    struct hole_keeper holes = {.holes = NULL};
    if (!edge_config_load(path, &config, &errors))
        hole_keeper_open(&holes, config->journal_path);
    if (!config || edge_points_new(config, holes.holes, &points, &errors) ||
        edge_points_check_load(points, config, &errors) ||
        signal_points_make(config, points, &intake, &errors))
        fputs(buffer_text(&errors.text), stderr);
    else
        status = only_check ? check(config, points) : operate(config, points, &holes, intake);
    intake_free(intake);
    edge_points_free(points);
    hole_keeper_close(&holes);
    edge_config_free(config);
    config_errors_release(&errors);
    return status;
}
