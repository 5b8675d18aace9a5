#include "base/compress.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

/* Records are at most 64 KiB: a faster level than the default costs them little. */
#define LEVEL 1

struct compressor {
    ZSTD_CCtx *context;
};

struct decompressor {
    ZSTD_DCtx *context;
};

bool compress_is_zstd(const void *data, size_t len)
{
    static const unsigned char magic[] = {0x28, 0xB5, 0x2F, 0xFD};
    return len >= sizeof(magic) && memcmp(data, magic, sizeof(magic)) == 0;
}

int compressor_new(struct compressor **ret_compressor)
{
    struct compressor *compressor = calloc(1, sizeof(*compressor));
    if (!compressor)
        return ERR_NO_MEMORY;
    *ret_compressor = compressor;
    return 0;
}

void compressor_free(struct compressor *compressor)
{
    if (!compressor)
        return;
    ZSTD_freeCCtx(compressor->context);
    free(compressor);
}

/* Room for `bytes` in an emptied buffer; filled by the library in place. */
static int make_room(struct buffer *out, size_t bytes)
{
    static const char nothing[4096];
    buffer_clear(out);
    for (size_t made = 0; made < bytes && !buffer_error(out); made += sizeof(nothing))
        buffer_append(out, nothing,
                      bytes - made < sizeof(nothing) ? bytes - made : sizeof(nothing));
    return buffer_error(out);
}

int compressor_pack(struct compressor *compressor, const void *data, size_t len, struct buffer *out)
{
    if (!compressor->context)
        compressor->context = ZSTD_createCCtx();
    if (!compressor->context)
        return ERR_NO_MEMORY;
    size_t bound = ZSTD_compressBound(len);
    int err = make_room(out, bound < out->limit ? bound : out->limit);
    if (err)
        return err;
    size_t packed = ZSTD_compressCCtx(compressor->context, out->data, out->len, data, len, LEVEL);
    if (ZSTD_isError(packed)) {
        buffer_clear(out);
        return ZSTD_getErrorCode(packed) == ZSTD_error_memory_allocation ? ERR_NO_MEMORY : ERR_FULL;
    }
    buffer_truncate(out, packed);
    return 0;
}

int decompressor_new(struct decompressor **ret_decompressor)
{
    struct decompressor *decompressor = calloc(1, sizeof(*decompressor));
    if (!decompressor)
        return ERR_NO_MEMORY;
    *ret_decompressor = decompressor;
    return 0;
}

void decompressor_free(struct decompressor *decompressor)
{
    if (!decompressor)
        return;
    ZSTD_freeDCtx(decompressor->context);
    free(decompressor);
}

int decompressor_unpack(struct decompressor *decompressor, const void *data, size_t len,
                        struct buffer *out, struct message *message)
{
    if (!decompressor->context)
        decompressor->context = ZSTD_createDCtx();
    if (!decompressor->context || make_room(out, out->limit))
        return message_set(message, ERR_NO_MEMORY, "zstd: out of memory");
    size_t bytes = ZSTD_decompressDCtx(decompressor->context, out->data, out->len, data, len);
    if (!ZSTD_isError(bytes)) {
        buffer_truncate(out, bytes);
        return 0;
    }
    buffer_clear(out);
    if (ZSTD_getErrorCode(bytes) == ZSTD_error_dstSize_tooSmall)
        return message_set(message, ERR_RANGE, "zstd: unpacks to more than %zu bytes", out->limit);
    return message_set(message, ERR_INVALID, "zstd: %s", ZSTD_getErrorName(bytes));
}
