#include "ctl/cmd_status.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "ctl/daemon.h"
#include "model/edge_config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DAEMON_MS 10000
#define MIB       (1024.0 * 1024.0)

/* ---- what an answer holds ---- */

static uint64_t number_of(const struct json *object, const char *name)
{
    int64_t number = 0;
    return json_get_i64(json_member(object, name), 0, INT64_MAX, &number) ? 0 : (uint64_t)number;
}

static double decimal_of(const struct json *object, const char *name)
{
    double number = 0;
    return json_get_double(json_member(object, name), &number) ? 0 : number;
}

static bool is_true(const struct json *object, const char *name)
{
    bool value = false;
    return !json_get_bool(json_member(object, name), &value) && value;
}

/* ---- for people ---- */

static void print_identity(FILE *out, const struct json *edge)
{
    char time[TIME_TEXT_SIZE] = "-";
    int64_t wall_ms;
    uint64_t up_s = number_of(edge, "up_s");
    if (!time_parse(daemon_text(edge, "time"), &wall_ms))
        time_format_local(wall_ms, time);
    fprintf(out, "edge 采集器     %s, site %s, centre %s, version %s\n", daemon_text(edge, "edge"),
            daemon_text(edge, "site"), daemon_text(edge, "centre"), daemon_text(edge, "version"));
    fprintf(out, "running 已运行  %" PRIu64 " d %" PRIu64 " h %" PRIu64 " min %" PRIu64 " s\n",
            up_s / 86400, up_s / 3600 % 24, up_s / 60 % 60, up_s % 60);
    fprintf(out, "clock 时钟      %s UTC+8, %s\n", time,
            is_true(edge, "clock_sync") ? "in step 已同步" : "NOT in step 未同步");
}

static void print_uplink(FILE *out, const struct json *uplink)
{
    const char *state = !is_true(uplink, "connected")      ? "no connection 未连接"
                        : !is_true(uplink, "centre_fresh") ? "connected, centre silent 中心无响应"
                        : !is_true(uplink, "sending")      ? "connected, not sending 未上传"
                                                           : "sending 正在上传";
    fprintf(out, "uplink 上行     %s: %s, %" PRIu64 " records sent, %" PRIu64 " refused\n",
            daemon_text(uplink, "broker"), state, number_of(uplink, "sent"),
            number_of(uplink, "refused"));
    fprintf(out, "backlog 待回执  %" PRIu64 " records, the oldest is %.1f s old\n",
            number_of(uplink, "backlog"), decimal_of(uplink, "lag_s"));
}

static void print_journal(FILE *out, const struct json *journal)
{
    fprintf(out, "journal 日志    %s: %.0f of %.0f MiB, ", daemon_text(journal, "path"),
            decimal_of(journal, "bytes") / MIB, decimal_of(journal, "size") / MIB);
    if (json_type(json_member(journal, "hours_left")) == JSON_NUMBER)
        fprintf(out, "%.1f hours of space left 可用小时\n", decimal_of(journal, "hours_left"));
    else
        fprintf(out, "%.0f MiB of space left, too early to say how long that lasts\n",
                decimal_of(journal, "bytes_left") / MIB);
    if (json_get_text(json_member(journal, "error")))
        fprintf(out, "                %s\n", daemon_text(journal, "error"));
}

static void print_edge(FILE *out, const struct json *edge)
{
    const struct json *samples = json_member(edge, "samples");
    print_identity(out, edge);
    print_uplink(out, json_member(edge, "uplink"));
    print_journal(out, json_member(edge, "journal"));
    fprintf(out,
            "samples 读数    %" PRIu64 " recorded 已记录, of them %" PRIu64
            " held back 例外上报未发; %" PRIu64 " refused 未记录, %" PRIu64
            " dropped for space 因空间丢弃\n",
            number_of(samples, "recorded"), number_of(samples, "held"),
            number_of(samples, "refused"), number_of(samples, "lost"));
}

static void print_unit(FILE *out, const struct json *unit, bool link_up)
{
    const char *state = link_up ? daemon_text(unit, "state") : "-";
    const char *words = strcmp(state, "ok") == 0           ? "正常"
                        : strcmp(state, "suspect") == 0    ? "可疑"
                        : strcmp(state, "down") == 0       ? "失联"
                        : strcmp(state, "recovering") == 0 ? "恢复中"
                                                           : "";
    fprintf(out,
            "  %4" PRIu64 " %-20s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
            " %9.1f %9.1f  %s %s",
            number_of(unit, "unit"), daemon_text(unit, "name"), number_of(unit, "requests"),
            number_of(unit, "replies"), number_of(unit, "timeouts"), number_of(unit, "exceptions"),
            number_of(unit, "bad_replies"), decimal_of(unit, "latency_ms"),
            decimal_of(unit, "worst_latency_ms"), state, words);
    if (json_get_text(json_member(unit, "cause")))
        fprintf(out, " (%s)", daemon_text(unit, "cause"));
    fputc('\n', out);
}

static void print_link_counts(FILE *out, const struct json *link)
{
    const struct json *strays = json_member(link, "strays");
    fprintf(out,
            "  %" PRIu64 " samples, %" PRIu64 " of them bad; connected %" PRIu64
            " times, refused %" PRIu64 ", lost %" PRIu64 "\n",
            number_of(link, "samples"), number_of(link, "bad"), number_of(link, "connects"),
            number_of(link, "refused"), number_of(link, "lost"));
    fprintf(out,
            "  %" PRIu64 " polls, %" PRIu64 " began late; frames ignored 忽略的帧: %" PRIu64
            " foreign, %" PRIu64 " late, %" PRIu64 " misfits; %" PRIu64 " bytes of noise\n",
            number_of(link, "polls"), number_of(link, "polls_late"), number_of(strays, "foreign"),
            number_of(strays, "late"), number_of(strays, "misfits"), number_of(strays, "noise"));
}

static void print_link(FILE *out, const struct json *link)
{
    bool up = is_true(link, "up");
    fprintf(out, "\nlink 链路 %s  %s: %s\n", daemon_text(link, "link"), daemon_text(link, "url"),
            !up                          ? "DOWN 中断"
            : is_true(link, "connected") ? "connected 已连接"
                                         : "up 正常");
    print_link_counts(out, link);
    if (json_get_text(json_member(link, "trouble")))
        fprintf(out, "  last trouble 最近故障: %s\n", daemon_text(link, "trouble"));
    fprintf(out, "  %4s %-20s %9s %9s %9s %9s %9s %9s %9s  %s\n", "UNIT", "NAME", "REQUESTS",
            "REPLIES", "TIMEOUTS", "REFUSALS", "BAD", "ms", "WORST ms", "STATE");
    const struct json *units = json_member(link, "units");
    for (const struct json *unit = json_first(units); unit; unit = json_next(unit))
        print_unit(out, unit, up);
}

/* ---- asking ---- */

static int ask_link(struct daemon *daemon, uint64_t index, const struct json **ret_link,
                    struct message *message)
{
    char request[64];
    snprintf(request, sizeof(request), "{\"ask\":\"link\",\"index\":%" PRIu64 "}", index);
    return daemon_ask(daemon, request, DAEMON_MS, ret_link, message);
}

static int show_links(struct daemon *daemon, uint64_t count, bool json, FILE *out,
                      struct message *message)
{
    for (uint64_t i = 0; i < count; i++) {
        const struct json *link;
        int err = ask_link(daemon, i, &link, message);
        if (err)
            return err;
        if (json)
            fprintf(out, "%s%s", i ? "," : "", buffer_text(&daemon->reply));
        else
            print_link(out, link);
    }
    return 0;
}

static int show(struct daemon *daemon, bool json, FILE *out, struct message *message)
{
    const struct json *edge;
    int err = daemon_ask(daemon, "{\"ask\":\"edge\"}", DAEMON_MS, &edge, message);
    if (err)
        return err;
    uint64_t links = number_of(edge, "links");
    if (json)
        fprintf(out, "{\"edge\":%s,\"links\":[", buffer_text(&daemon->reply));
    else
        print_edge(out, edge);
    err = show_links(daemon, links, json, out, message);
    if (json && !err)
        fputs("]}\n", out);
    return err;
}

/* ---- the command ---- */

static bool is_socket(const char *path)
{
    struct stat status;
    return !stat(path, &status) && S_ISSOCK(status.st_mode);
}

/* The socket itself, or the one that an edge's configuration names. */
static int find_socket(const char *path, char ret_socket[FILE_PATH_SIZE], FILE *err)
{
    struct edge_config *config = NULL;
    struct config_errors errors;
    if (is_socket(path))
        return text_copy(ret_socket, FILE_PATH_SIZE, path);
    config_errors_init(&errors);
    int failed = edge_config_load(path, &config, &errors);
    if (failed)
        fputs(buffer_text(&errors.text), err);
    else
        memcpy(ret_socket, config->control_path, FILE_PATH_SIZE);
    edge_config_free(config);
    config_errors_release(&errors);
    return failed;
}

static enum ctl_exit run(int argc, char **argv, FILE *out, FILE *err)
{
    const char *path = DAEMON_CONFIG;
    char socket[FILE_PATH_SIZE];
    struct daemon daemon;
    struct message message = {""};
    int at = 1;
    bool json = at < argc && strcmp(argv[at], "--json") == 0;
    at += json ? 1 : 0;
    if (at < argc && argv[at][0] == '-')
        return ctl_usage(&cmd_status, err, "there is no such option");
    if (argc - at > 1)
        return ctl_usage(&cmd_status, err, "one edge at a time");
    if (at < argc)
        path = argv[at];
    if (find_socket(path, socket, err))
        return CTL_USAGE;
    int failed = daemon_open(socket, &daemon, &message);
    if (failed == ERR_NOT_FOUND) {
        fprintf(err, "chengmai status: no edge runs here 采集器未运行: nobody listens on %s\n",
                socket);
        return CTL_USAGE;
    }
    if (!failed) {
        failed = show(&daemon, json, out, &message);
        daemon_close(&daemon);
    }
    if (failed)
        fprintf(err, "chengmai status: %s\n", message.text);
    return failed ? CTL_USAGE : CTL_YES;
}

const struct ctl_command cmd_status = {
    .name = "status",
    .usage = "[--json] [EDGE.yaml | SOCKET]",
    .summary = "what the edge on this machine knows",
    .help =
        "\n"
        "Asks the running edge on its control socket: its clock and version, the way to the\n"
        "centre and what waits for a receipt, the journal and for how many hours it has room at\n"
        "the rate of the last ten minutes, and each link and unit. Which edge, its "
        "configuration\n"
        "says (default " DAEMON_CONFIG "), or the socket itself.\n"
        "\n"
        "查询本机采集器：时钟、版本、上行与待回执记录、日志可用小时、各链路和从站。\n"
        "\n"
        "  REQUESTS  asked, probes included    REFUSALS  answered with an exception\n"
        "  BAD       answered something else   ms        from request to reply, the last one\n"
        "\n"
        "Exit codes: 0 the edge answers, 2 it does not.",
    .run = run,
};
