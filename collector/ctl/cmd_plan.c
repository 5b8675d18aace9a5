#include "ctl/cmd_plan.h"

#include "base/json_fields.h"
#include "model/edge_config.h"
#include "service/points.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * The plan shown is made as the edge makes it: by the same function, from the same configuration,
 * with what the units taught (the file beside the journal is read, and nothing is opened that a
 * running edge has open). Latencies are those told, or assumed; a running edge measures its own.
 */

#define NS_PER_MS      1e6
#define LINE_MAX_BYTES (64 * 1024 * 1024)

struct view {
    const struct edge_config *config;
    const struct edge_points *points;
    FILE *out;
};

static const char *verdict_of(const struct link_load *load)
{
    if (load->least_share > 1)
        return "impossible";
    return load->share > 1 ? "too much" : load->share > LINK_LOAD_TIGHT ? "tight" : "fits";
}

static const char *align_of(const struct plan_read *read)
{
    return read->aligned ? "minute" : "none";
}

/* The id of the k-th reading of the read, or NULL where that is the clock. */
static const char *point_id(const struct view *view, const struct unit_reads *unit, size_t read,
                            size_t k)
{
    size_t point = read_plan_point(unit->plan, read, k);
    return point < unit->point_count ? view->points->infos[unit->points[point].number].id : NULL;
}

/* ---- for people ---- */

static void print_time(FILE *out, double ms)
{
    if (ms < 1000)
        fprintf(out, "%.1f ms", ms);
    else
        fprintf(out, "%.2f s", ms / 1000);
}

static void print_read(const struct view *view, const struct unit_reads *unit, size_t read,
                       const struct link_load *load)
{
    const struct plan_read *at = read_plan_at(unit->plan, read);
    int64_t age_ms = link_load_age_ms(load, at->interval_ms);
    const char *comma = "";
    fputs("    every ", view->out);
    print_time(view->out, (double)at->interval_ms);
    fprintf(view->out, "%s: function %d, %d to %d, ", at->aligned ? " of the clock" : "",
            at->function, at->start, at->start + at->count - 1);
    print_time(view->out,
               (double)unit_reads_cost_ns(unit, read, unit->limits.latency_us) / NS_PER_MS);
    fputs(age_ms < 0 ? ", no bound of age: " : ", never older than ", view->out);
    if (age_ms >= 0) {
        print_time(view->out, (double)age_ms);
        fputs(": ", view->out);
    }
    for (size_t k = 0; k < at->points; k++) {
        const char *id = point_id(view, unit, read, k);
        fprintf(view->out, "%s%s", id ? comma : "", id ? id : "");
        comma = id ? ", " : comma;
    }
    fputc('\n', view->out);
}

static void print_unit(const struct view *view, const struct edge_unit *config,
                       const struct unit_reads *unit, const struct link_load *load)
{
    fprintf(view->out, "  unit %d %s: latency ", unit->id, config->name);
    print_time(view->out, (double)unit->limits.latency_us / US_PER_MS);
    fputs(unit->latency_told ? "\n" : " assumed\n", view->out);
    for (size_t read = 0; read < read_plan_count(unit->plan); read++)
        if (unit_reads_points(unit, read))
            print_read(view, unit, read, load);
}

static void print_link(const struct view *view, size_t link, const struct unit_reads *units)
{
    const struct edge_link *config = &view->config->links[link];
    const struct link_load *load = &view->points->loads[link];
    fprintf(view->out, "link %s %s\n", config->name, config->url);
    for (size_t i = 0; i < config->unit_count; i++)
        print_unit(view, &config->units[i], &units[i], load);
    fprintf(view->out, "  load %.1f %% of the link's time, by %zu reads: %s; worst cycle ",
            load->share * 100, load->reads, verdict_of(load));
    print_time(view->out, (double)load->cycle_ns / NS_PER_MS);
    fputs(", and ", view->out);
    print_time(view->out, (double)wire_timeout_ns(&view->points->links[link].wire,
                                                  config->timeout_ms * US_PER_MS) /
                              NS_PER_MS);
    fputs(" more when a unit does not answer\n", view->out);
}

/* ---- for programs ---- */

static void write_read(const struct view *view, const struct unit_reads *unit, size_t read,
                       const struct link_load *load, struct json_writer *json)
{
    const struct plan_read *at = read_plan_at(unit->plan, read);
    int64_t age_ms = link_load_age_ms(load, at->interval_ms);
    json_begin_object(json);
    json_field_i64(json, "function", at->function);
    json_field_i64(json, "start", at->start);
    json_field_i64(json, "count", at->count);
    json_field_i64(json, "interval_ms", at->interval_ms);
    json_field_text(json, "align", align_of(at));
    json_field_double(json, "wire_ms",
                      (double)unit_reads_cost_ns(unit, read, unit->limits.latency_us) / NS_PER_MS);
    json_key(json, "age_ms");
    if (age_ms < 0)
        json_null(json);
    else
        json_i64(json, age_ms);
    json_key(json, "points");
    json_begin_array(json);
    for (size_t k = 0; k < at->points; k++)
        if (point_id(view, unit, read, k))
            json_text(json, point_id(view, unit, read, k));
    json_end_array(json);
    json_end_object(json);
}

static void write_unit(const struct view *view, const struct edge_unit *config,
                       const struct unit_reads *unit, const struct link_load *load,
                       struct json_writer *json)
{
    json_begin_object(json);
    json_field_i64(json, "unit", unit->id);
    json_field_text(json, "name", config->name);
    json_field_double(json, "latency_ms", (double)unit->limits.latency_us / US_PER_MS);
    json_field_bool(json, "latency_assumed", !unit->latency_told);
    json_key(json, "reads");
    json_begin_array(json);
    for (size_t read = 0; read < read_plan_count(unit->plan); read++)
        if (unit_reads_points(unit, read))
            write_read(view, unit, read, load, json);
    json_end_array(json);
    json_end_object(json);
}

/* One link, one line of JSON. */
static void write_link(const struct view *view, size_t link, const struct unit_reads *units,
                       struct buffer *line)
{
    const struct edge_link *config = &view->config->links[link];
    const struct link_load *load = &view->points->loads[link];
    struct json_writer json;
    json_writer_init(&json, line);
    json_begin_object(&json);
    json_field_text(&json, "link", config->name);
    json_field_text(&json, "url", config->url);
    json_field_double(&json, "load", load->share);
    json_field_text(&json, "verdict", verdict_of(load));
    json_field_double(&json, "worst_cycle_ms", (double)load->cycle_ns / NS_PER_MS);
    json_key(&json, "units");
    json_begin_array(&json);
    for (size_t i = 0; i < config->unit_count; i++)
        write_unit(view, &config->units[i], &units[i], load, &json);
    json_end_array(&json);
    json_end_object(&json);
}

/* ---- the command ---- */

static int show_link(const struct view *view, size_t link, bool json)
{
    const struct modbus_link_options *options = &view->points->links[link];
    struct unit_reads *units = calloc(options->unit_count + 1, sizeof(*units));
    struct buffer line;
    size_t made = 0;
    buffer_init(&line, LINE_MAX_BYTES);
    while (units && made < options->unit_count &&
           !unit_reads_init(&units[made], &options->units[made], &options->wire, NULL))
        made++;
    bool good = units && made == options->unit_count;
    if (good && json) {
        write_link(view, link, units, &line);
        good = !buffer_error(&line);
        fprintf(view->out, "%s\n", buffer_text(&line));
    } else if (good) {
        print_link(view, link, units);
    }
    for (size_t i = 0; i < made; i++)
        unit_reads_release(&units[i]);
    free(units);
    buffer_release(&line);
    return good ? 0 : ERR_NO_MEMORY;
}

/* What the units taught, where there is such a file and it can be read. */
static struct learned_holes *open_holes(const struct edge_config *config, FILE *err)
{
    char path[FILE_PATH_SIZE];
    struct learned_holes *holes = NULL;
    struct message message = {""};
    if (!learned_holes_path(config->journal_path, path, sizeof(path)) &&
        learned_holes_open(path, &holes, &message))
        fprintf(err, "chengmai plan: without what the units taught: %s\n", message.text);
    return holes;
}

static enum ctl_exit plan(const struct edge_config *config, bool json, FILE *out, FILE *err,
                          struct config_errors *errors)
{
    struct learned_holes *holes = open_holes(config, err);
    struct edge_points *points = NULL;
    enum ctl_exit code = CTL_USAGE;
    int failed = edge_points_new(config, holes, &points, errors);
    if (!failed) {
        struct view view = {.config = config, .points = points, .out = out};
        for (size_t i = 0; !failed && i < config->link_count; i++)
            failed = show_link(&view, i, json);
        code = edge_points_check_load(points, config, errors) ? CTL_NO : CTL_YES;
        for (size_t i = 0; i < config->link_count; i++)
            if (points->loads[i].share > 1)
                code = CTL_NO;
    }
    if (failed && !errors->count)
        fprintf(err, "chengmai plan: out of memory\n");
    edge_points_free(points);
    learned_holes_free(holes);
    return failed ? CTL_USAGE : code;
}

static enum ctl_exit run(int argc, char **argv, FILE *out, FILE *err)
{
    const char *path = NULL;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (argv[i][0] == '-')
            return ctl_usage(&cmd_plan, err, "there is no such option");
        else if (path)
            return ctl_usage(&cmd_plan, err, "one configuration at a time");
        else
            path = argv[i];
    }
    if (!path)
        return ctl_usage(&cmd_plan, err, "which configuration?");
    struct config_errors errors;
    struct edge_config *config = NULL;
    config_errors_init(&errors);
    enum ctl_exit code = CTL_USAGE;
    if (!edge_config_load(path, &config, &errors))
        code = plan(config, json, out, err, &errors);
    fputs(buffer_text(&errors.text), err);
    edge_config_free(config);
    config_errors_release(&errors);
    return code;
}

const struct ctl_command cmd_plan = {
    .name = "plan",
    .usage = "[--json] EDGE.yaml",
    .summary = "shows the reads an edge will make, and whether its links can do it",
    .help =
        "\n"
        "For each link and unit: the reads that fetch its points, what each takes on the wire, "
        "and\n"
        "how old a value can get while all answer; then the share of the link's time, and the\n"
        "longest round. With what the units taught about themselves, from the file beside the\n"
        "journal. A latency that is not told in the configuration (latency: 30ms) is assumed; the\n"
        "edge measures it. Above 70 % a unit that does not answer makes others skip polls.\n"
        "--json prints a line per link.\n"
        "\n"
        "Exit codes: 0 it fits, 1 a link cannot do it, or not with the latencies assumed, 2 the\n"
        "configuration cannot be read.",
    .run = run,
};
