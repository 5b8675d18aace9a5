/*
 * Lines gathered for one write, one behind the other in a buffer that is used again and again.
 * Owned by one thread.
 */
#ifndef STORE_LINE_BATCH_H
#define STORE_LINE_BATCH_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"
#include "model/line_protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_BATCH_MAX   5000              /* lines */
#define LINE_BATCH_BYTES (4 * 1024 * 1024) /* of text; the longest lines fit */

struct line_batch {
    struct buffer text;
    uint32_t ends[LINE_BATCH_MAX]; /* where each line ends */
    size_t count;
};

void line_batch_init(struct line_batch *batch);
void line_batch_release(struct line_batch *batch);

/* Empties it and keeps the memory. */
void line_batch_clear(struct line_batch *batch);

/* Keeps the first `count` lines, at most all. */
void line_batch_truncate(struct line_batch *batch, size_t count);

/* As line_append. ERR_FULL beyond LINE_BATCH_MAX, ERR_NO_MEMORY: then truncate it to what it was.
 */
MUST_CHECK int line_batch_add(struct line_batch *batch, const char *head, size_t head_len,
                              const struct sample *sample, int64_t t_ms, bool with_text);

/* The text of `count` lines from the line `first` on. */
const char *line_batch_text(const struct line_batch *batch, size_t first, size_t count,
                            size_t *ret_len);

#endif
