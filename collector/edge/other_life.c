#include "edge/other_life.h"

#include "base/crc32c.h"

bool other_life_beyond(const struct journal *journal, const struct receipt *receipt)
{
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        const struct receipt_stream *from = &receipt->streams[stream];
        uint64_t max = from->also_count ? from->also[from->also_count - 1].last : from->through;
        if (from->present && max > journal_durable(journal, stream))
            return true;
    }
    return false;
}

int other_life_find(const struct journal *journal, int stream, const struct receipt_stream *from,
                    struct journal_reader *reader, const struct intervals *received,
                    bool *ret_other)
{
    struct journal_frame frame;
    struct interval gap;
    /* Where ours is gone and cannot be compared: a run that the centre has not vouched for has sent
     * nothing, so what the centre has beyond what is certain is not ours. */
    bool beyond_trust = from->tip > journal_trusted(journal, stream);
    if (from->tip < journal_first(journal, stream)) {
        *ret_other = *ret_other || beyond_trust;
        return 0;
    }
    if (!journal_spans(journal, stream, from->tip)) {
        *ret_other = *ret_other || !intervals_contain(received, from->tip);
        return 0;
    }
    journal_reader_seek(reader, from->tip);
    int err = journal_reader_next(reader, &frame, &gap);
    if (!err && frame.seq == from->tip)
        *ret_other = *ret_other || crc32c(0, frame.payload, frame.len) != from->tip_sum;
    else if (!err || err == ERR_GAP)
        *ret_other = *ret_other || beyond_trust;
    return err == ERR_GAP ? 0 : err;
}

/* The part of the receipt's numbers up to `end`. */
static int known_through(const struct receipt_stream *from, uint64_t end, struct intervals *set)
{
    int err = intervals_add(set, 1, from->through < end ? from->through : end);
    for (size_t i = 0; !err && i < from->also_count && from->also[i].first <= end; i++)
        err = intervals_add(set, from->also[i].first,
                            from->also[i].last < end ? from->also[i].last : end);
    return err;
}

void other_life_keep_known(struct journal *journal, const struct receipt *receipt)
{
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        struct intervals set;
        intervals_init(&set, RECEIPT_MAX_ALSO + 1);
        if (!known_through(&receipt->streams[stream], journal_trusted(journal, stream), &set))
            (void)!journal_receive_anew(journal, stream, &set);
        intervals_release(&set);
    }
}
