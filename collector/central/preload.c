#include "central/preload.h"

#include "store/history_read.h"

#include <stdlib.h>

#define PRELOAD_AT_ONCE 1000

static int preload_points(struct live *live, struct history_db *history, struct message *message)
{
    struct history_point *points = calloc(PRELOAD_AT_ONCE, sizeof(*points));
    size_t count = points ? 1 : 0;
    int err = points ? 0 : ERR_NO_MEMORY;
    for (int64_t after = 0; !err && count;) {
        err = history_db_points(history, after, points, PRELOAD_AT_ONCE, &count, message);
        for (size_t i = 0; !err && i < count; i++) {
            int64_t place;
            err = live_put_point(live, &points[i].info, &place);
            after = points[i].id;
        }
    }
    free(points);
    return err;
}

static int preload_values(struct live *live, struct history_db *history, int64_t now_ms,
                          struct message *message)
{
    struct history_latest *latest = calloc(PRELOAD_AT_ONCE, sizeof(*latest));
    size_t count = latest ? 1 : 0;
    int err = latest ? 0 : ERR_NO_MEMORY;
    for (int64_t after = 0; !err && count;) {
        err = history_read_latest(history, after, latest, PRELOAD_AT_ONCE, &count, message);
        for (size_t i = 0; !err && i < count; i++) {
            struct point_info info;
            int64_t place;
            after = latest[i].id;
            if (live_find_point(live, latest[i].point, &info) ||
                live_put_point(live, &info, &place))
                continue;
            struct sample sample = {.t_ms = latest[i].sample.t_ms,
                                    .quality = latest[i].sample.quality,
                                    .cause = latest[i].sample.cause,
                                    .value = latest[i].sample.value};
            live_put_sample(live, place, &sample, now_ms);
        }
    }
    free(latest);
    return err;
}

int preload(struct live *live, const char *history_path, int64_t now_ms, struct message *message)
{
    struct history_db *history = NULL;
    struct db_options reader = {.path = history_path, .mode = DB_READER};
    int err = history_db_open(&reader, &history, NULL, message);
    if (!err)
        err = preload_points(live, history, message);
    if (!err)
        err = preload_values(live, history, now_ms, message);
    history_db_close(history);
    return err;
}
