/*
 * Design notes
 *
 * A refused batch is halved until the bad lines stand alone: 2 log2(n) requests for each. The next
 * range to be tried is the other half of the one just split, down to a line ("a dive"); after a
 * dive the range that waits longest, which is the largest: so the first lines that are tried alone
 * stand far from each other, and few dives tell whether the store takes anything at all. How many
 * are made before that is said doubles with each call that ends so, up to all lines: a batch in
 * which nearly all are bad ends too, and a store that refuses everything is not asked thousands of
 * times.
 *
 * Lines refused alone while nothing was taken yet wait; once something is, they are tried again,
 * and set aside by that answer.
 */
#include "store/line_delivery.h"

#define DIVES_FIRST 8

void line_delivery_init(struct line_delivery *delivery, const struct line_target *target,
                        struct line_exchange exchange, struct line_letters letters)
{
    *delivery = (struct line_delivery){
        .target = target, .exchange = exchange, .letters = letters, .dives_most = DIVES_FIRST};
}

static enum line_verdict ask(struct line_delivery *delivery, const struct line_batch *batch,
                             struct line_range range, struct message *why)
{
    size_t len;
    uint64_t too_old = 0;
    const char *text = line_batch_text(batch, range.first, range.count, &len);
    struct line_request request = line_target_write_request(delivery->target, text, len);
    struct line_reply reply = {.body = ""};
    int err = delivery->exchange.ask(delivery->exchange.self, &request, &reply, why);
    enum line_verdict verdict = line_target_judge(delivery->target, err, &reply, &too_old, why);
    delivery->retry_after_s = reply.retry_after_s;
    delivery->too_old += too_old < range.count ? too_old : range.count;
    return verdict == LINE_TOO_OLD ? LINE_TAKEN : verdict;
}

int line_delivery_create_database(struct line_delivery *delivery, struct message *why)
{
    if (!line_target_can_create(delivery->target))
        return ERR_DENIED;
    struct line_request request = line_target_create_request(delivery->target);
    struct line_reply reply = {.body = ""};
    int err = delivery->exchange.ask(delivery->exchange.self, &request, &reply, why);
    return line_target_created(err, &reply, why);
}

static void push(struct line_delivery *delivery, uint32_t first, uint32_t count)
{
    delivery->ranges[delivery->end++] = (struct line_range){first, count};
}

/* The newest range while a dive goes on, else the oldest. */
static struct line_range next_range(struct line_delivery *delivery, bool diving)
{
    return diving ? delivery->ranges[--delivery->end] : delivery->ranges[delivery->begin++];
}

static void note_taken(struct line_delivery *delivery, uint32_t count)
{
    delivery->taken += count;
    delivery->took_before = true;
    delivery->dives_most = DIVES_FIRST;
    for (size_t i = 0; i < delivery->alone_count; i++)
        push(delivery, delivery->alone[i], 1);
    delivery->alone_count = 0;
}

static int set_aside(struct line_delivery *delivery, const struct line_batch *batch, uint32_t line,
                     struct message *why)
{
    struct message trouble = {""};
    size_t len;
    const char *text = line_batch_text(batch, line, 1, &len);
    int err = delivery->letters.add(delivery->letters.self, text, len - 1, why->text, &trouble);
    if (err)
        return message_set(why, err, "%s", trouble.text);
    delivery->set_aside++;
    return 0;
}

static void split(struct line_delivery *delivery, struct line_range range)
{
    uint32_t half = range.count / 2;
    push(delivery, range.first + half, range.count - half);
    push(delivery, range.first, half);
}

/* A line that is refused alone. */
static enum line_verdict take_lone(struct line_delivery *delivery, const struct line_batch *batch,
                                   uint32_t line, struct message *why)
{
    if (delivery->taken || (batch->count == 1 && delivery->took_before))
        return set_aside(delivery, batch, line, why) ? LINE_UNKEPT : LINE_TAKEN;
    delivery->alone[delivery->alone_count++] = line;
    return ++delivery->dives < delivery->dives_most ? LINE_TAKEN : LINE_REFUSED;
}

static enum line_verdict take_answer(struct line_delivery *delivery, const struct line_batch *batch,
                                     struct line_range range, enum line_verdict verdict,
                                     struct message *why)
{
    switch (verdict) {
    case LINE_TAKEN:
        note_taken(delivery, range.count);
        return LINE_TAKEN;
    case LINE_REFUSED:
    case LINE_TOO_LARGE:
        if (range.count == 1)
            return take_lone(delivery, batch, range.first, why);
        split(delivery, range);
        return LINE_TAKEN;
    case LINE_TOO_OLD:
    case LINE_SILENT:
    case LINE_BUSY:
    case LINE_UNKEPT:
    case LINE_DENIED:
    case LINE_NO_DATABASE:
    case LINE_STRANGE:
        break;
    }
    return verdict;
}

enum line_verdict line_delivery_run(struct line_delivery *delivery, const struct line_batch *batch,
                                    struct message *why)
{
    bool diving = false;
    enum line_verdict verdict = LINE_TAKEN;
    delivery->set_aside = delivery->too_old = 0;
    delivery->taken = delivery->dives = delivery->alone_count = 0;
    delivery->begin = delivery->end = 0;
    push(delivery, 0, (uint32_t)batch->count);
    while (verdict == LINE_TAKEN && delivery->begin < delivery->end) {
        size_t waiting = delivery->end;
        struct line_range range = next_range(delivery, diving);
        verdict = ask(delivery, batch, range, why);
        verdict = take_answer(delivery, batch, range, verdict, why);
        diving = delivery->end > waiting;
    }
    if (verdict == LINE_TAKEN && delivery->alone_count)
        verdict = LINE_REFUSED;
    if (verdict == LINE_REFUSED)
        delivery->dives_most =
            delivery->dives_most < batch->count ? 2 * delivery->dives_most : DIVES_FIRST;
    return verdict;
}
