/*
 * zstd, for payloads of bounded size. Contexts are made at the first use and kept; each is one
 * thread's. What comes from outside is taken only up to a bound that the caller sets, whatever it
 * says of itself.
 */
#ifndef BASE_COMPRESS_H
#define BASE_COMPRESS_H

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Does it begin with zstd's magic number (RFC 8878, 3.1.1)? */
bool compress_is_zstd(const void *data, size_t len);

struct compressor;

MUST_CHECK int compressor_new(struct compressor **ret_compressor);
void compressor_free(struct compressor *compressor);

/* Replaces what `out` holds by `data` as one frame. ERR_FULL beyond the limit of `out`. */
MUST_CHECK int compressor_pack(struct compressor *compressor, const void *data, size_t len,
                               struct buffer *out);

struct decompressor;

MUST_CHECK int decompressor_new(struct decompressor **ret_decompressor);
void decompressor_free(struct decompressor *decompressor);

/* Replaces what `out` holds by what is packed in `data`. ERR_RANGE: more than the limit of `out`;
 * ERR_INVALID: no frame, a broken or an unfinished one, bytes behind it. Words in the message. */
MUST_CHECK int decompressor_unpack(struct decompressor *decompressor, const void *data, size_t len,
                                   struct buffer *out, struct message *message);

#endif
