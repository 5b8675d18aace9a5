#include "central/central.h"

#include "base/crypto.h"
#include "base/files.h"
#include "base/log.h"
#include "base/notify_socket.h"
#include "base/numbers.h"
#include "base/worker.h"
#include "central/alarm_reader.h"
#include "central/api.h"
#include "central/historian.h"
#include "central/ingest.h"
#include "central/live.h"
#include "central/office.h"
#include "central/outbox_drain.h"
#include "central/outside_stores.h"
#include "central/preload.h"
#include "central/sender.h"
#include "model/central_config.h"
#include "model/receipt.h"
#include "model/topics.h"
#include "net/http_server.h"
#include "net/mqtt.h"
#include "store/office_db.h"
#include "store/sender_db.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/*
 * Design notes
 *
 *   broker ──> ingest ──journal──> alarm ──events.db──> sender
 *                ^          ├────> historian ──> history.db
 *                │          └────> outside stores, a thread each
 *   office.db, sender.db: outboxes, drained by ingest
 *
 * Every thread is a worker around a step; the journal wakes its readers after each commit. What the
 * API shows is in `live` and in read-only handles.
 */

#define DOCUMENTS_US   (1 * (int64_t)US_PER_S)
#define DOCUMENT_LIMIT (16 * 1024 * 1024)
#define CHECK_MS       1000
#define PASSWORD_LIMIT 1024

struct central {
    const struct central_config *config;
    const struct rules *rules;
    char boot[33], nonce[33];
    char journal_path[FILE_PATH_SIZE], letters_path[FILE_PATH_SIZE], history_path[FILE_PATH_SIZE];
    char events_path[FILE_PATH_SIZE], office_path[FILE_PATH_SIZE], sender_path[FILE_PATH_SIZE];

    struct sources sources;
    struct journal *journal;
    struct dead_letters *letters;
    struct ingest *ingest;
    struct mqtt *mqtt;
    struct live *live;
    struct office *office;
    struct office_db *office_reader;
    struct sender_db *sender_reader;
    struct outbox_drain office_drain, sender_drain;
    struct historian *historian;
    struct outside_stores *outside;
    struct alarm_reader *alarms;
    struct sender *sender;
    struct api api;
    struct http_server *http;
    struct worker *ingest_worker, *alarm_worker, *historian_worker, *sender_worker;

    int64_t documents_us;
    struct complaint broker_complaint, journal_complaint, drain_complaint, letters_complaint;
    uint64_t told_letters;

    pthread_mutex_t lock; /* guards what ingest shows to others */
    struct ingest_status ingest_status;
    bool broker_connected;
};

/* ---- ingest's thread ---- */

static int port_publish(void *self, const char *topic, const void *payload, size_t len,
                        bool retained)
{
    struct central *central = self;
    int token;
    return mqtt_publish(central->mqtt, topic, payload, len, retained, &token);
}

static void set_connected(struct central *central, bool connected)
{
    pthread_mutex_lock(&central->lock);
    central->broker_connected = connected;
    pthread_mutex_unlock(&central->lock);
}

static void take_event(struct central *central, struct now now, struct mqtt_event *event)
{
    switch (event->kind) {
    case MQTT_CONNECTED:
        complaint_clear(&central->broker_complaint, now.mono_us, "ingest", "connected to %s",
                        central->config->broker.url);
        set_connected(central, true);
        ingest_connected(central->ingest, now);
        break;
    case MQTT_DISCONNECTED:
        complaint_raise(&central->broker_complaint, now.mono_us, "ingest", "%s: %s",
                        central->config->broker.url, event->text);
        set_connected(central, false);
        break;
    case MQTT_MESSAGE:
        ingest_message(central->ingest, now, event->topic, event->payload, event->len);
        break;
    case MQTT_ACKED:
        break;
    case MQTT_REFUSED:
        log_warn("ingest", "the broker refused a message (reason %d): is its ACL right?",
                 event->reason);
        break;
    }
    mqtt_event_release(event);
}

static void drain(struct central *central, struct now now)
{
    struct message message = {""};
    int err = outbox_drain_step(&central->office_drain, central->ingest, now, &message);
    if (!err)
        err = outbox_drain_step(&central->sender_drain, central->ingest, now, &message);
    if (err)
        complaint_raise(&central->drain_complaint, now.mono_us, "ingest",
                        "actions and verdicts wait: %s",
                        message.text[0] ? message.text : err_name(err));
    else
        complaint_clear(&central->drain_complaint, now.mono_us, "ingest",
                        "actions and verdicts go on");
}

static void tell_drained(struct central *central)
{
    if (journal_pending(central->journal))
        return;
    if (outbox_drain_committed(&central->office_drain))
        /* Where the deletion fails the entries stay, and are duplicates next time. */
        (void)!office_journaled(central->office, central->office_drain.durable);
    if (outbox_drain_committed(&central->sender_drain))
        sender_journaled(central->sender, central->sender_drain.durable);
}

/* What the API shows of ingest's own data. */
static void show_documents(struct central *central, struct now now)
{
    struct buffer out;
    struct ingest_status status;
    buffer_init(&out, DOCUMENT_LIMIT);
    ingest_write_edges(central->ingest, now, &out);
    if (!buffer_error(&out))
        /* Out of memory: the older document stays. */
        (void)!live_put_document(central->live, LIVE_EDGES, out.data, out.len);
    buffer_clear(&out);
    ingest_write_gaps(central->ingest, &out);
    if (!buffer_error(&out))
        (void)!live_put_document(central->live, LIVE_GAPS, out.data, out.len);
    buffer_release(&out);
    ingest_get_status(central->ingest, &status);
    if (status.journal_error)
        complaint_raise(&central->journal_complaint, now.mono_us, "journal",
                        "%s; edges keep what they have meanwhile", status.error_text);
    else
        complaint_clear(&central->journal_complaint, now.mono_us, "journal", "takes records again");
    bool full = dead_letters_are_full(central->letters);
    if (status.dead_letters > central->told_letters)
        complaint_raise(&central->letters_complaint, now.mono_us, "ingest",
                        "%llu payloads could not be read; %s %s%s",
                        (unsigned long long)(status.dead_letters - central->told_letters),
                        full ? "they are only counted, for this file is full:" : "they are in",
                        central->letters_path,
                        full ? ". Look at it and move it away, then a new one is begun" : "");
    else
        complaint_clear(&central->letters_complaint, now.mono_us, "ingest",
                        "all payloads can be read again");
    central->told_letters = status.dead_letters;
}

static int64_t ingest_thread(void *self, struct now now)
{
    struct central *central = self;
    struct mqtt_event event;
    mqtt_step(central->mqtt, now);
    while (!mqtt_next(central->mqtt, now, &event))
        take_event(central, now, &event);
    drain(central, now);
    int64_t due_us = ingest_step(central->ingest, now);
    tell_drained(central);
    if (now.mono_us >= central->documents_us) {
        show_documents(central, now);
        central->documents_us = now.mono_us + DOCUMENTS_US;
    }
    pthread_mutex_lock(&central->lock);
    ingest_get_status(central->ingest, &central->ingest_status);
    pthread_mutex_unlock(&central->lock);
    if (mqtt_stuck(central->mqtt, now)) {
        log_error("ingest",
                  "the MQTT library does not come back; this program stops, to be started "
                  "again by its supervisor");
        kill(getpid(), SIGTERM);
    }
    int64_t mqtt_us = mqtt_step(central->mqtt, now);
    due_us = mqtt_us < due_us ? mqtt_us : due_us;
    return central->documents_us < due_us ? central->documents_us : due_us;
}

static void wake(struct worker *worker)
{
    if (worker)
        worker_wake(worker);
}

static void on_durable(void *self)
{
    struct central *central = self;
    wake(central->alarm_worker);
    wake(central->historian_worker);
    outside_stores_wake(central->outside);
}

static void on_notification(void *self)
{
    struct central *central = self;
    wake(central->sender_worker);
}

static void on_acted(void *self)
{
    struct central *central = self;
    wake(central->ingest_worker);
}

static void get_figures(void *self, struct api_figures *ret_figures)
{
    struct central *central = self;
    struct sender_status sender;
    uint64_t received;
    sender_get_status(central->sender, &sender);
    pthread_mutex_lock(&central->lock);
    const struct ingest_status *status = &central->ingest_status;
    *ret_figures = (struct api_figures){
        .records = status->records,
        .duplicates = status->duplicates,
        .points = status->points,
        .dead_letters = status->dead_letters,
        .parked = status->parked,
        .parked_dropped = status->parked_dropped,
        .receipts = status->receipts,
        .journal_error = status->journal_error,
        .broker_connected = central->broker_connected,
    };
    pthread_mutex_unlock(&central->lock);
    ret_figures->stored = historian_stored(central->historian);
    ret_figures->raised = alarm_reader_raised(central->alarms);
    ret_figures->historian_lag = historian_lag(central->historian);
    ret_figures->alarm_lag = alarm_reader_lag(central->alarms);
    ret_figures->mqtt_dropped = mqtt_dropped(central->mqtt);
    ret_figures->sent = sender.accepted;
    ret_figures->send_failures = sender.failed;
    ret_figures->outside_count = outside_stores_figures(central->outside, ret_figures->outside);
    journal_bytes(central->journal, &ret_figures->journal_bytes, &received);
}

/* ---- starting ---- */

static int make_paths(struct central *central, struct message *message)
{
    const struct {
        const char *name;
        char *path;
    } paths[] = {
        {"journal", central->journal_path},    {"dead-letters.jsonl", central->letters_path},
        {"history.db", central->history_path}, {"events.db", central->events_path},
        {"office.db", central->office_path},   {"sender.db", central->sender_path}};
    int err = folder_make(central->config->data, message);
    for (size_t i = 0; !err && i < sizeof(paths) / sizeof(paths[0]); i++)
        if (path_join(central->config->data, paths[i].name, paths[i].path))
            err = message_set(message, ERR_RANGE, "the path of `data` is too long");
    return err;
}

static int open_journal(struct central *central, struct message *message)
{
    struct journal_report report;
    struct journal_options options = {
        .folder = central->journal_path,
        .letters = "j",
        .limit_bytes = central->config->journal_size,
        .owner = {&central->sources, sources_save, sources_restore, sources_replay},
    };
    int err = journal_open(&options, &central->journal, &report, message);
    if (err)
        return err;
    log_info("journal", "%s: %llu records looked at%s%s", central->journal_path,
             (unsigned long long)report.scanned_frames, report.created ? ", new" : "",
             report.unclean ? ", not closed last time" : "");
    if (report.quarantined_bytes)
        log_warn("journal",
                 "%llu bytes are damaged and passed over; edges send what was in them "
                 "again where they still have it",
                 (unsigned long long)report.quarantined_bytes);
    return journal_subscribe(central->journal, on_durable, central);
}

static int open_ingest(struct central *central, struct message *message)
{
    struct ingest_options options = {
        .centre = central->config->centre,
        .nonce = central->nonce,
        .boot = central->boot,
        .journal = central->journal,
        .sources = &central->sources,
        .letters = central->letters,
        .port = {central, port_publish},
    };
    return ingest_new(&options, clock_read(clock_real()), &central->ingest, message);
}

static void write_presence(const struct central *central, bool up, struct buffer *out)
{
    struct centre_state state = {.up = up, .t_ms = clock_read(clock_real()).wall_ms};
    memcpy(state.centre, central->config->centre, sizeof(state.centre));
    memcpy(state.nonce, central->nonce, sizeof(state.nonce));
    centre_state_write(out, &state);
}

static int open_mqtt(struct central *central, struct message *message)
{
    static const enum topic_kind kinds[] = {TOPIC_BIRTH, TOPIC_DATA,  TOPIC_BACKFILL,
                                            TOPIC_EVENT, TOPIC_STATE, TOPIC_STATS};
    char topic[TOPIC_SIZE];
    struct buffer will;
    buffer_init(&will, PASSWORD_LIMIT);
    write_presence(central, false, &will);
    topic_make(TOPIC_CENTRE_STATE, central->config->centre, topic);
    struct mqtt_options options = {.url = central->config->broker.url,
                                   .client_id = "central",
                                   .ca = central->config->broker.ca,
                                   .cert = central->config->broker.cert,
                                   .key = central->config->broker.key,
                                   .will_topic = topic,
                                   .will_payload = will.data,
                                   .will_len = will.len};
    int err = mqtt_open(&options, &central->mqtt, message);
    buffer_release(&will);
    for (size_t i = 0; !err && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        topic_make(kinds[i], "+", topic);
        err = mqtt_subscribe(central->mqtt, topic);
    }
    return err;
}

static int set_operator(struct central *central, struct message *message)
{
    const struct central_config *config = central->config;
    if (!config->operator_password_file[0])
        return 0;
    struct buffer password;
    buffer_init(&password, PASSWORD_LIMIT);
    int err = file_read(config->operator_password_file, &password, message);
    while (password.len && password.data[password.len - 1] == '\n')
        password.data[--password.len] = '\0';
    if (!err && password.len < 8)
        err = message_set(message, ERR_INVALID, "%s: a password has at least 8 characters",
                          config->operator_password_file);
    if (!err)
        err = office_set_operator(central->office, clock_read(clock_real()), config->operator_user,
                                  buffer_text(&password), message);
    if (password.len)
        secret_wipe(password.data, password.len);
    buffer_release(&password);
    return err;
}

static int open_office(struct central *central, struct message *message)
{
    int err = office_open(central->office_path, central->boot, &central->office, message);
    if (!err)
        err = set_operator(central, message);
    struct db_options reader = {.path = central->office_path, .mode = DB_READER};
    if (!err)
        err = office_db_open(&reader, &central->office_reader, NULL, message);
    if (!err)
        outbox_drain_init(&central->office_drain, "@office",
                          office_db_outbox(central->office_reader));
    return err;
}

static int open_alarms(struct central *central, struct message *message)
{
    struct alarm_reader_options options = {.path = central->events_path,
                                           .journal = central->journal,
                                           .rules = central->rules,
                                           .live = central->live,
                                           .notify = on_notification,
                                           .self = central};
    return alarm_reader_open(&options, &central->alarms, message);
}

static int open_sender(struct central *central, struct message *message)
{
    struct sender_options options = {.path = central->sender_path,
                                     .events_path = central->events_path,
                                     .boot = central->boot,
                                     .webhooks = central->config->webhooks,
                                     .webhook_count = central->config->webhook_count};
    int err = sender_open(&options, &central->sender, message);
    struct db_options reader = {.path = central->sender_path, .mode = DB_READER};
    if (!err)
        err = sender_db_open(&reader, &central->sender_reader, NULL, message);
    if (!err)
        outbox_drain_init(&central->sender_drain, "@sender",
                          sender_db_outbox(central->sender_reader));
    return err;
}

static int open_all(struct central *central, struct message *message)
{
    int err = make_paths(central, message);
    if (!err)
        err = open_journal(central, message);
    if (!err)
        err = dead_letters_open(central->letters_path, &central->letters, message);
    if (!err)
        err = historian_open(central->history_path, central->journal, &central->historian, message);
    if (!err)
        err = outside_stores_open(central->config, central->journal, central->history_path,
                                  &central->outside, message);
    if (!err)
        err = preload(central->live, central->history_path, clock_read(clock_real()).wall_ms,
                      message);
    if (!err)
        err = open_alarms(central, message);
    if (!err)
        err = open_office(central, message);
    if (!err)
        err = open_sender(central, message);
    if (!err)
        err = open_ingest(central, message);
    return err ? err : open_mqtt(central, message);
}

static int start_http(struct central *central, struct message *message)
{
    central->api = (struct api){.live = central->live,
                                .office = central->office,
                                .clock = clock_real(),
                                .history_path = central->history_path,
                                .figures = get_figures,
                                .acted = on_acted,
                                .self = central};
    struct http_server_options options = {
        .endpoint = central->config->listen,
        .handle = api_handle,
        .self = &central->api,
        .static_folder = central->config->web[0] ? central->config->web : NULL,
    };
    int err = http_server_start(&options, &central->http, message);
    if (!err)
        log_info("http", "pages at http://%s:%u/", central->config->listen.host,
                 http_server_port(central->http));
    return err;
}

static int start(struct central *central, struct message *message)
{
    int err = open_all(central, message);
    if (err)
        return err;
    struct clock *clock = clock_real();
    central->historian_worker =
        worker_start("historian", historian_step, central->historian, clock, -1);
    central->sender_worker = worker_start("sender", sender_step, central->sender, clock, -1);
    central->alarm_worker = worker_start("alarm", alarm_reader_step, central->alarms, clock, -1);
    err = outside_stores_start(central->outside, clock, message);
    if (err)
        return err;
    central->ingest_worker =
        worker_start("ingest", ingest_thread, central, clock, mqtt_fd(central->mqtt));
    if (!central->historian_worker || !central->sender_worker || !central->alarm_worker ||
        !central->ingest_worker)
        return message_set(message, ERR_NO_MEMORY, "cannot start a thread");
    return start_http(central, message);
}

/* ---- stopping ---- */

static void say_down(struct central *central)
{
    struct buffer out;
    char topic[TOPIC_SIZE];
    int token;
    buffer_init(&out, PASSWORD_LIMIT);
    write_presence(central, false, &out);
    topic_make(TOPIC_CENTRE_STATE, central->config->centre, topic);
    if (!buffer_error(&out))
        /* Not connected: the will says it. */
        (void)!mqtt_publish(central->mqtt, topic, out.data, out.len, true, &token);
    buffer_release(&out);
}

static void stop(struct central *central)
{
    notify_socket_send("STOPPING=1");
    live_close(central->live);
    http_server_stop(central->http);
    worker_stop(central->ingest_worker);
    if (central->mqtt)
        say_down(central);
    mqtt_close(central->mqtt);
    /* Ingest wakes them no more; what they have not taken they take after the next start. */
    worker_stop(central->alarm_worker);
    worker_stop(central->historian_worker);
    worker_stop(central->sender_worker);
    outside_stores_stop(central->outside);
    outbox_drain_release(&central->office_drain);
    outbox_drain_release(&central->sender_drain);
    office_db_close(central->office_reader);
    sender_db_close(central->sender_reader);
    sender_close(central->sender);
    office_close(central->office);
    alarm_reader_close(central->alarms);
    outside_stores_close(central->outside);
    historian_close(central->historian);
    ingest_free(central->ingest);
    dead_letters_close(central->letters);
    journal_close(central->journal);
    sources_release(&central->sources);
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

static void run(int signal_fd)
{
    for (;;) {
        struct pollfd waiting = {signal_fd, POLLIN, 0};
        poll(&waiting, 1, CHECK_MS);
        struct signalfd_siginfo info;
        if (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
            if (info.ssi_signo != SIGHUP)
                return;
            log_info("central", "a changed configuration is taken at the next start");
        }
        notify_socket_send("WATCHDOG=1");
    }
}

static int operate(const struct central_config *config, const struct rules *rules)
{
    struct central *central = calloc(1, sizeof(*central));
    struct message message = {""};
    int signal_fd = take_signals();
    if (!central || signal_fd < 0 || crypto_init()) {
        log_error("central", "cannot start: out of memory or randomness");
        free(central);
        return EXIT_FAILURE;
    }
    central->config = config;
    central->rules = rules;
    pthread_mutex_init(&central->lock, NULL);
    sources_init(&central->sources);
    clock_boot_id(central->boot);
    uint8_t nonce[16];
    random_bytes(nonce, sizeof(nonce));
    print_hex(nonce, sizeof(nonce), central->nonce);
    central->live = live_new();
    int err = central->live ? start(central, &message)
                            : message_set(&message, ERR_NO_MEMORY, "out of memory");
    if (err) {
        log_error("central", "%s", message.text);
    } else {
        log_info("central", "%s judges %zu alarms", config->centre, rules->count);
        notify_socket_send("READY=1");
        run(signal_fd);
        log_info("central", "stopping");
    }
    if (central->live)
        stop(central);
    live_free(central->live);
    close(signal_fd);
    pthread_mutex_destroy(&central->lock);
    free(central);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int check(const struct central_config *config, const struct rules *rules)
{
    struct buffer out;
    buffer_init(&out, DOCUMENT_LIMIT);
    central_config_print(config, &out);
    printf("%s# %zu points, %zu alarms\n", buffer_text(&out), rules->point_count, rules->count);
    buffer_release(&out);
    return EXIT_SUCCESS;
}

static int load_rules(const struct central_config *config, struct rules **ret_rules,
                      struct config_errors *errors)
{
    const char **paths = calloc(config->rule_file_count + 1, sizeof(*paths));
    if (!paths)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < config->rule_file_count; i++)
        paths[i] = config->rule_files[i];
    int err = rules_load(paths, config->rule_file_count, ret_rules, errors);
    free(paths);
    return err;
}

int central_main(int argc, char **argv)
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
        fprintf(stderr, "usage: chengmai-central --config FILE [--check]\n");
        return 2;
    }
    struct config_errors errors;
    config_errors_init(&errors);
    struct central_config *config = NULL;
    struct rules *rules = NULL;
    int status = 2;
    if (central_config_load(path, &config, &errors) || load_rules(config, &rules, &errors))
        fputs(buffer_text(&errors.text), stderr);
    else
        status = only_check ? check(config, rules) : operate(config, rules);
    rules_free(rules);
    central_config_free(config);
    config_errors_release(&errors);
    return status;
}
