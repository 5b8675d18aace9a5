#include "alarm/engine_state.h"

#include "base/numbers.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * Text, a fact a line, words separated by one blank; points and alarms by name, so that a state
 * survives rules that changed: what the rules no longer know is left out, what is new begins new.
 *   chengmai-engine 1 NOW START LATE
 *   point ID SEEN HAS-VALUE VALUE VALUE-MS NEWEST RECEIVED QUALITY CAUSE
 *   alarm ID STATE LEVEL OCCURRENCE SHOWN ONSET RAISED ACK-USER(or -)
 *   limit PROVEN PAUSED SINCE(or -)          (of the alarm above, in order)
 */

#define SAVED_NAME "chengmai-engine"
#define SAVED_MAX  (64 * 1024 * 1024)

static void save_point(const struct rule_point *rule, const struct point_state *point,
                       struct buffer *out)
{
    char value[NUMBER_TEXT_SIZE];
    print_double(point->value, value);
    buffer_printf(out, "point %s %d %d %s %" PRId64 " %" PRId64 " %" PRId64 " %d %d\n", rule->id,
                  point->seen, point->has_value, value, point->value_ms, point->newest_ms,
                  point->received_ms, (int)point->quality, (int)point->cause);
}

static void save_alarm(const struct rule *rule, const struct alarm *alarm, struct buffer *out)
{
    buffer_printf(out, "alarm %s %d %zu %" PRIu64 " %d %" PRId64 " %" PRId64 " %s\n", rule->id,
                  (int)alarm->state, alarm->level, alarm->occurrence, (int)alarm->shown,
                  alarm->onset_ms, alarm->raised_ms, alarm->ack_user[0] ? alarm->ack_user : "-");
    for (size_t n = 0; n < rule->limit_count; n++) {
        const struct condition *condition = &alarm->conditions[n];
        buffer_printf(out, "limit %d %d ", condition->proven, condition->paused);
        if (condition->since_ms == CONDITION_NONE)
            buffer_append_text(out, "-\n");
        else
            buffer_printf(out, "%" PRId64 "\n", condition->since_ms);
    }
}

void engine_save(const struct engine *engine, struct buffer *out)
{
    buffer_printf(out, SAVED_NAME " 1 %" PRId64 " %" PRId64 " %" PRIu64 "\n", engine->now_ms,
                  engine->start_ms, engine->late);
    for (size_t p = 0; p < engine->rules->point_count; p++)
        save_point(&engine->rules->points[p], &engine->points[p], out);
    for (size_t i = 0; i < engine->rules->count; i++)
        save_alarm(&engine->rules->list[i], &engine->alarms[i], out);
}

/* ---- and back ---- */

#define WORDS_MAX 10

struct line {
    char *words[WORDS_MAX];
    size_t count;
};

static void split(char *text, struct line *line)
{
    line->count = 0;
    while (text && *text && line->count < WORDS_MAX) {
        line->words[line->count++] = text;
        text = strchr(text, ' ');
        if (text)
            *text++ = '\0';
    }
}

static int read_int(const struct line *line, size_t n, int64_t min, int64_t max, int64_t *ret)
{
    return n < line->count ? parse_i64(line->words[n], min, max, ret) : ERR_INVALID;
}

static int restore_first(struct engine *engine, const struct line *line)
{
    int64_t late;
    if (line->count != 5 || strcmp(line->words[0], SAVED_NAME) != 0 ||
        strcmp(line->words[1], "1") != 0 ||
        read_int(line, 2, INT64_MIN, INT64_MAX, &engine->now_ms) ||
        read_int(line, 3, INT64_MIN, INT64_MAX, &engine->start_ms) ||
        read_int(line, 4, 0, INT64_MAX, &late))
        return ERR_INVALID;
    engine->late = (uint64_t)late;
    return 0;
}

static int restore_point(struct engine *engine, const struct line *line)
{
    int64_t seen, has_value, quality, cause;
    struct point_state point = {0};
    if (line->count != 10 || read_int(line, 2, 0, 1, &seen) ||
        read_int(line, 3, 0, 1, &has_value) || parse_double(line->words[4], &point.value) ||
        read_int(line, 5, INT64_MIN, INT64_MAX, &point.value_ms) ||
        read_int(line, 6, INT64_MIN, INT64_MAX, &point.newest_ms) ||
        read_int(line, 7, INT64_MIN, INT64_MAX, &point.received_ms) ||
        read_int(line, 8, 0, QUALITY_COUNT - 1, &quality) ||
        read_int(line, 9, 0, CAUSE_COUNT - 1, &cause))
        return ERR_INVALID;
    point.seen = seen;
    point.has_value = has_value;
    point.quality = (enum quality)quality;
    point.cause = (enum cause)cause;
    long p = rules_find_point(engine->rules, line->words[1]);
    if (p >= 0)
        engine->points[p] = point;
    return 0;
}

static int restore_alarm(struct engine *engine, const struct line *line, long *ret_index)
{
    int64_t state, level, occurrence, shown;
    struct alarm alarm = {0};
    if (line->count != 9 || read_int(line, 2, 0, ALARM_STATE_COUNT - 1, &state) ||
        read_int(line, 3, 0, RULE_LIMITS_MAX, &level) ||
        read_int(line, 4, 0, INT64_MAX, &occurrence) ||
        read_int(line, 5, 0, PRIORITY_COUNT - 1, &shown) ||
        read_int(line, 6, INT64_MIN, INT64_MAX, &alarm.onset_ms) ||
        read_int(line, 7, INT64_MIN, INT64_MAX, &alarm.raised_ms))
        return ERR_INVALID;
    if (strcmp(line->words[8], "-") != 0 &&
        text_copy(alarm.ack_user, sizeof(alarm.ack_user), line->words[8]))
        return ERR_INVALID;
    alarm.state = (enum alarm_state)state;
    alarm.level = (size_t)level;
    alarm.occurrence = (uint64_t)occurrence;
    alarm.shown = (enum priority)shown;
    for (size_t n = 0; n < RULE_LIMITS_MAX; n++)
        condition_init(&alarm.conditions[n]);
    *ret_index = rules_find(engine->rules, line->words[1]);
    if (*ret_index < 0)
        return 0;
    /* A rule that lost limits keeps its alarm: no configuration clears one silently. */
    size_t limits = engine->rules->list[*ret_index].limit_count;
    if (alarm.level > limits)
        alarm.level = limits;
    engine->alarms[*ret_index] = alarm;
    return 0;
}

static int restore_limit(struct engine *engine, const struct line *line, long index, size_t n)
{
    int64_t proven, paused, since = CONDITION_NONE;
    if (line->count != 4 || n >= RULE_LIMITS_MAX || read_int(line, 1, 0, 1, &proven) ||
        read_int(line, 2, 0, 1, &paused) ||
        (strcmp(line->words[3], "-") != 0 && read_int(line, 3, INT64_MIN + 1, INT64_MAX, &since)))
        return ERR_INVALID;
    if (index >= 0)
        engine->alarms[index].conditions[n] = (struct condition){proven, since, paused};
    return 0;
}

static int restore_lines(struct engine *engine, char *text)
{
    long index = -1;
    size_t limit = 0;
    int err = 0;
    for (bool first = true; !err && text && *text; first = false) {
        char *end = strchr(text, '\n');
        if (end)
            *end = '\0';
        struct line line;
        split(text, &line);
        const char *what = line.count ? line.words[0] : "";
        if (first)
            err = restore_first(engine, &line);
        else if (strcmp(what, "point") == 0)
            err = restore_point(engine, &line);
        else if (strcmp(what, "alarm") == 0) {
            err = restore_alarm(engine, &line, &index);
            limit = 0;
        } else if (strcmp(what, "limit") == 0)
            err = restore_limit(engine, &line, index, limit++);
        else
            err = ERR_INVALID;
        text = end ? end + 1 : NULL;
    }
    return err;
}

int engine_restore(struct engine *engine, const char *text, size_t len)
{
    if (!len || len > SAVED_MAX)
        return ERR_INVALID;
    char *copy = strndup(text, len);
    if (!copy)
        return ERR_NO_MEMORY;
    engine_reset(engine);
    int err = restore_lines(engine, copy);
    free(copy);
    if (err)
        engine_reset(engine);
    return err;
}
