/*
 * Samples as InfluxDB line protocol: one sample, one line.
 *
 *   chengmai,point=SITE.UNIT.NAME,site=SITE,unit=UNIT value=21.64,q=0i 1767576600123
 *
 * Measurement and field types are fixed, so that no two lines contradict each other: `value` is a
 * float, there where there is a number; `text` a string, there where the value is text; `q` an
 * integer, quality x 256 + cause, always there, so that every sample is a line and can be counted.
 * Empty tags are left out; stamps are milliseconds. A float32 prints its own shortest form.
 *
 * Stores read a backslash in a tag differently from each other, and a control character ends the
 * line: both become '_' in tags. In text they stay.
 *
 * Pure; any thread.
 */
#ifndef MODEL_LINE_PROTOCOL_H
#define MODEL_LINE_PROTOCOL_H

#include "base/buffer.h"
#include "model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_MEASUREMENT "chengmai"

/* Stamps that fit 64 bits of nanoseconds, which is how the stores keep them. */
#define LINE_MIN_TIME (-INT64_C(9223372036854))
#define LINE_MAX_TIME INT64_C(9223372036854)

/* The longest head: every byte of every tag escaped. The longest line: the head, a value, q, the
 * stamp and a line end. */
#define LINE_HEAD_MAX                                                                          \
    (32 + 2 * (sizeof(((struct point_info *)0)->id) + sizeof(((struct point_info *)0)->site) + \
               sizeof(((struct point_info *)0)->unit)))
#define LINE_TAIL_MAX  160
#define LINE_MAX_BYTES (LINE_HEAD_MAX + LINE_TAIL_MAX)

/* Appends what is the same for all samples of a point: measurement and tags. Fails by `out`. */
void line_head_append(struct buffer *out, const struct point_info *info);

/* Appends a line with its line end. `t_ms` is the stamp it is to have, within the bounds above;
 * `with_text` false: the store keeps no text, a text sample is its `q` alone. Fails by `out`. */
void line_append(struct buffer *out, const char *head, size_t head_len, const struct sample *sample,
                 int64_t t_ms, bool with_text);

#endif
