#include "central/api_history.h"

#include "base/json.h"
#include "base/numbers.h"
#include "store/history_read.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH_DEFAULT 500
#define WIDTH_MAX     4000
#define RANGE_DEFAULT (8 * 3600 * (int64_t)MS_PER_S)
#define RANGE_MAX     ((int64_t)100 * 366 * 86400 * MS_PER_S)
#define GAP_INTERVALS 3

struct range {
    int64_t from_ms, to_ms, step_ms;
    size_t width;
};

/* from, to (RFC 3339), width (buckets): the last eight hours where nothing is said. */
static int parse_range(const struct api *api, const struct http_request *request,
                       struct range *ret_range)
{
    const char *from = http_query(request, "from"), *to = http_query(request, "to");
    const char *width = http_query(request, "width");
    struct range range = {.to_ms = clock_read(api->clock).wall_ms + 1, .width = WIDTH_DEFAULT};
    int64_t wanted = WIDTH_DEFAULT;
    if (to && time_parse(to, &range.to_ms))
        return ERR_INVALID;
    range.from_ms = range.to_ms - RANGE_DEFAULT;
    if (from && time_parse(from, &range.from_ms))
        return ERR_INVALID;
    if (width && parse_i64(width, 1, WIDTH_MAX, &wanted))
        return ERR_RANGE;
    int64_t span_ms = range.to_ms - range.from_ms;
    if (span_ms <= 0 || span_ms > RANGE_MAX)
        return ERR_RANGE;
    range.step_ms = (span_ms + wanted - 1) / wanted;
    range.width = (size_t)((span_ms + range.step_ms - 1) / range.step_ms);
    *ret_range = range;
    return 0;
}

static void write_time(struct json_writer *json, const char *key, int64_t wall_ms)
{
    char text[TIME_TEXT_SIZE];
    time_format_utc(wall_ms, text);
    json_key(json, key);
    json_text(json, text);
}

static void write_number(struct json_writer *json, const char *key, bool known, double number)
{
    json_key(json, key);
    if (known)
        json_double(json, number);
    else
        json_null(json);
}

static void write_buckets(struct json_writer *json, const struct history_bucket *buckets,
                          size_t count)
{
    json_key(json, "buckets");
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        const struct history_bucket *bucket = &buckets[i];
        json_begin_object(json);
        write_time(json, "t", bucket->start_ms);
        write_number(json, "min", bucket->used > 0, bucket->min);
        write_number(json, "max", bucket->used > 0, bucket->max);
        write_number(json, "mean", bucket->used > 0, bucket->mean);
        json_key(json, "count");
        json_u64(json, bucket->count);
        json_key(json, "quality");
        json_text(json, quality_name(bucket->worst));
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_gap(struct json_writer *json, int64_t from_ms, int64_t to_ms, const char *cause)
{
    json_begin_object(json);
    write_time(json, "from", from_ms);
    write_time(json, "to", to_ms);
    json_key(json, "cause");
    json_text(json, cause);
    json_end_object(json);
}

/* Where nothing was stored for longer than three intervals, or nothing usable. */
static void write_gaps(struct json_writer *json, const struct range *range,
                       const struct history_bucket *buckets, size_t count, int64_t interval_ms)
{
    int64_t allowed_ms = GAP_INTERVALS * interval_ms;
    int64_t last_ms = range->from_ms;
    json_key(json, "gaps");
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        const struct history_bucket *bucket = &buckets[i];
        if (bucket->first_ms - last_ms > allowed_ms)
            write_gap(json, last_ms, bucket->first_ms, "no_data");
        if (!bucket->used)
            write_gap(json, bucket->start_ms, bucket->start_ms + range->step_ms, "bad");
        last_ms = bucket->last_ms;
    }
    if (range->to_ms - last_ms > allowed_ms)
        write_gap(json, last_ms, range->to_ms, "no_data");
    json_end_array(json);
}

static int read_buckets(struct history_db *history, const struct point_info *info,
                        const struct range *range, struct history_bucket *buckets,
                        size_t *ret_count, struct message *message)
{
    struct history_point point;
    int err = history_db_point(history, info->id, &point, message);
    if (err == ERR_NOT_FOUND) {
        *ret_count = 0; /* known, and nothing is stored yet */
        return 0;
    }
    return err ? err
               : history_read_buckets(history, point.id, range->from_ms, range->to_ms,
                                      range->step_ms, buckets, range->width, ret_count, message);
}

static void answer(const struct api *api, const struct point_info *info, const struct range *range,
                   struct http_response *response)
{
    struct message message = {""};
    struct history_db *history = NULL;
    struct db_options options = {.path = api->history_path, .mode = DB_READER};
    struct history_bucket *buckets = calloc(range->width + 1, sizeof(*buckets));
    size_t count = 0;
    int err = buckets ? history_db_open(&options, &history, NULL, &message) : ERR_NO_MEMORY;
    if (!err)
        err = read_buckets(history, info, range, buckets, &count, &message);
    history_db_close(history);
    if (err) {
        http_problem(response, 503, "The history cannot be read now", message.text);
    } else {
        struct json_writer json;
        json_writer_init(&json, http_begin(response, 200, "application/json"));
        json_begin_object(&json);
        json_key(&json, "point");
        json_text(&json, info->id);
        json_key(&json, "unit");
        json_text(&json, info->unit);
        write_time(&json, "from", range->from_ms);
        write_time(&json, "to", range->to_ms);
        json_key(&json, "step_ms");
        json_i64(&json, range->step_ms);
        write_buckets(&json, buckets, count);
        write_gaps(&json, range, buckets, count, info->interval_ms);
        json_end_object(&json);
    }
    free(buckets);
}

void api_history(const struct api *api, const struct http_request *request, const char *point,
                 struct http_response *response)
{
    struct point_info info;
    struct range range;
    if (live_find_point(api->live, point, &info))
        http_problem(response, 404, "No such point", NULL);
    else if (parse_range(api, request, &range))
        http_problem(response, 400, "Not a range of time",
                     "from and to are RFC 3339 times, from before to; width is 1 to 4000 buckets");
    else
        answer(api, &info, &range, response);
}
