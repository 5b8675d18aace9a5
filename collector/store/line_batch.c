#include "store/line_batch.h"

_Static_assert(LINE_BATCH_MAX *LINE_MAX_BYTES <= LINE_BATCH_BYTES, "a full batch fits");

void line_batch_init(struct line_batch *batch)
{
    buffer_init(&batch->text, LINE_BATCH_BYTES);
    batch->count = 0;
}

void line_batch_release(struct line_batch *batch)
{
    buffer_release(&batch->text);
    batch->count = 0;
}

void line_batch_clear(struct line_batch *batch)
{
    buffer_clear(&batch->text);
    batch->count = 0;
}

void line_batch_truncate(struct line_batch *batch, size_t count)
{
    buffer_truncate(&batch->text, count ? batch->ends[count - 1] : 0);
    batch->count = count;
}

int line_batch_add(struct line_batch *batch, const char *head, size_t head_len,
                   const struct sample *sample, int64_t t_ms, bool with_text)
{
    if (batch->count == LINE_BATCH_MAX)
        return ERR_FULL;
    line_append(&batch->text, head, head_len, sample, t_ms, with_text);
    int err = buffer_error(&batch->text);
    if (!err)
        batch->ends[batch->count++] = (uint32_t)batch->text.len;
    return err;
}

const char *line_batch_text(const struct line_batch *batch, size_t first, size_t count,
                            size_t *ret_len)
{
    size_t begin = first ? batch->ends[first - 1] : 0;
    *ret_len = count ? batch->ends[first + count - 1] - begin : 0;
    return buffer_text(&batch->text) + begin;
}
