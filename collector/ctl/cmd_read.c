#include "ctl/cmd_read.h"

#include "base/clock.h"
#include "base/json_fields.h"
#include "base/numbers.h"
#include "ctl/daemon.h"
#include "ctl/line.h"
#include "model/edge_config.h"
#include "service/point_place.h"
#include "service/reading.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * A line has one owner. So where an edge runs, it is asked, and takes the reading between two of
 * its polls; only where nobody listens on its socket is the line opened here. Whoever may not ask
 * the socket cannot know, and does not touch the line. Both ways give the same JSON.
 */

/* The longest an edge can need: others' readings before, the wait for the line, a timeout. */
#define DAEMON_MS   180000
#define READING_MAX 4096

struct reading_command {
    struct edge_config *config;
    struct edge_points *points;
    struct daemon daemon;
    bool running; /* an edge runs: `daemon` is open */
    bool json;
    FILE *out, *err;
};

/* ---- without an edge ---- */

static int ask_line(const struct reading_command *command, const struct point_place *place,
                    struct buffer *reading, struct message *message)
{
    const struct edge_link *link = &command->config->links[place->link];
    struct line *line = NULL;
    struct modbus_outcome outcome;
    struct modbus_request request = modbus_request_of(place->unit, place->reg);
    int err = line_open(link->url, link->timeout_ms, &line, message);
    if (err)
        return err;
    line_ask(line, &request, &outcome);
    line_close(line);
    reading_write(place->id, place->reg, &outcome, reading);
    return buffer_error(reading);
}

static int read_alone(const struct reading_command *command, const char *id, struct buffer *reading,
                      struct message *message)
{
    struct point_place place;
    int err = point_place_find(command->points, id, &place);
    return err ? message_set(message, err, "no point '%s' in %.200s", id, command->config->file)
               : ask_line(command, &place, reading, message);
}

/* ---- through the edge ---- */

static int read_through(struct daemon *daemon, const char *id, struct buffer *reading,
                        struct message *message)
{
    struct buffer request;
    struct json_writer json;
    const struct json *answer;
    buffer_init(&request, 1024);
    json_writer_init(&json, &request);
    json_begin_object(&json);
    json_field_text(&json, "ask", "read");
    json_field_text(&json, "point", id);
    json_end_object(&json);
    int err = buffer_error(&request);
    if (err)
        message_set(message, err, "'%.60s…' is no point's name", id);
    else
        err = daemon_ask(daemon, buffer_text(&request), DAEMON_MS, &answer, message);
    if (!err)
        buffer_append(reading, daemon->reply.data, daemon->reply.len);
    buffer_release(&request);
    return err;
}

/* ---- showing it ---- */

static void print_reading(FILE *out, const struct json *reading)
{
    const struct json *value = json_member(reading, "value");
    char number[NUMBER_TEXT_SIZE], time[TIME_TEXT_SIZE] = "-";
    const char *shown = daemon_text(reading, "value");
    double read;
    int64_t wall_ms;
    if (!json_get_double(value, &read)) {
        print_double(read, number);
        shown = number;
    }
    if (!time_parse(daemon_text(reading, "time"), &wall_ms))
        time_format_local(wall_ms, time);
    fprintf(out, "%-32s %16s %-8s %-10s %-18s %-20s %-24s %s\n", daemon_text(reading, "point"),
            shown, daemon_text(reading, "unit"), daemon_text(reading, "quality"),
            daemon_text(reading, "cause"), daemon_text(reading, "raw"), time,
            daemon_text(reading, "address"));
    if (json_member(reading, "note"))
        fprintf(out, "  %s\n", daemon_text(reading, "note"));
    if (json_member(reading, "trouble"))
        fprintf(out, "  %s\n", daemon_text(reading, "trouble"));
}

/* CTL_YES for a good reading, CTL_NO for another. */
static enum ctl_exit show(const struct reading_command *command, const struct buffer *reading)
{
    struct json_document *document = NULL;
    if (json_parse(buffer_text(reading), reading->len, &document, NULL)) {
        fputs("chengmai read: the edge's answer cannot be read\n", command->err);
        return CTL_USAGE;
    }
    const struct json *root = json_root(document);
    bool good = strcmp(daemon_text(root, "quality"), "good") == 0;
    if (command->json)
        fprintf(command->out, "%s\n", buffer_text(reading));
    else
        print_reading(command->out, root);
    json_free(document);
    return good ? CTL_YES : CTL_NO;
}

static enum ctl_exit read_point(struct reading_command *command, const char *id)
{
    struct buffer reading;
    struct message message = {""};
    enum ctl_exit code = CTL_USAGE;
    buffer_init(&reading, READING_MAX);
    int err = command->running ? read_through(&command->daemon, id, &reading, &message)
                               : read_alone(command, id, &reading, &message);
    if (err)
        fprintf(command->err, "chengmai read: %s\n",
                message.text[0] ? message.text : err_name(err));
    else
        code = show(command, &reading);
    buffer_release(&reading);
    return code;
}

static void print_head(const struct reading_command *command)
{
    fputs(command->running ? "through the running edge 经运行中的采集器读取\n"
                           : "no edge runs here; read directly 采集器未运行，直接读取\n",
          command->out);
    fprintf(command->out, "%-32s %16s %-8s %-10s %-18s %-20s %-24s %s\n", "POINT", "VALUE", "UNIT",
            "QUALITY", "CAUSE", "RAW", "TIME (UTC+8)", "ADDRESS");
}

static enum ctl_exit read_points(struct reading_command *command, int count, char **ids)
{
    struct message message = {""};
    int err = daemon_open(command->config->control_path, &command->daemon, &message);
    if (err && err != ERR_NOT_FOUND) {
        fprintf(command->err, "chengmai read: %s: does an edge run there? Ask as its user\n",
                message.text);
        return CTL_USAGE;
    }
    command->running = !err;
    if (!command->json)
        print_head(command);
    enum ctl_exit worst = CTL_YES;
    for (int i = 0; i < count; i++) {
        enum ctl_exit code = read_point(command, ids[i]);
        worst = code > worst ? code : worst;
    }
    if (command->running)
        daemon_close(&command->daemon);
    return worst;
}

static enum ctl_exit run(int argc, char **argv, FILE *out, FILE *err)
{
    struct reading_command command = {.out = out, .err = err};
    struct config_errors errors;
    int at = 1;
    if (at < argc && strcmp(argv[at], "--json") == 0) {
        command.json = true;
        at++;
    }
    if (at < argc && argv[at][0] == '-')
        return ctl_usage(&cmd_read, err, "there is no such option");
    if (argc - at < 2)
        return ctl_usage(&cmd_read, err, "which configuration, and which points?");
    config_errors_init(&errors);
    enum ctl_exit code = CTL_USAGE;
    if (edge_config_load(argv[at], &command.config, &errors) ||
        edge_points_new(command.config, NULL, &command.points, &errors))
        fputs(buffer_text(&errors.text), err);
    else
        code = read_points(&command, argc - at - 1, argv + at + 1);
    edge_points_free(command.points);
    edge_config_free(command.config);
    config_errors_release(&errors);
    return code;
}

const struct ctl_command cmd_read = {
    .name = "read",
    .usage = "[--json] EDGE.yaml POINT…",
    .summary = "one reading now, with its raw words",
    .help =
        "\n"
        "Reads each point once, beside the polls, and shows value, quality and cause, the words\n"
        "as they came, and where they stand. If the edge of that configuration runs, it takes\n"
        "the reading; else the instrument is asked from here. A point is SITE.UNIT.REGISTER.\n"
        "Scale, sentinels and range are the register map's; nothing is recorded. Of a running\n"
        "total (total: running) the meter's own count is shown, and it is said so.\n"
        "\n"
        "立即读取测点一次：数值、质量、原因、原始寄存器。采集器在运行时由它读取，否则直接读仪表。\n"
        "\n"
        "Exit codes: 0 all readings are good, 1 one is not, 2 one cannot be asked for.",
    .run = run,
};
