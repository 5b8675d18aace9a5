/*
 * Whatever comes packed: it unpacks within the bound or is refused with words, and what unpacked
 * packs and unpacks to the same.
 */
#include "base/compress.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST (64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int holds)
{
    if (!holds)
        abort();
}

static void pack_and_unpack(const struct buffer *plain, struct decompressor *unpacker)
{
    struct compressor *packer = NULL;
    struct buffer packed, again;

    expect(compressor_new(&packer) == 0);
    buffer_init(&packed, 2 * MOST);
    buffer_init(&again, MOST);
    expect(compressor_pack(packer, plain->data, plain->len, &packed) == 0);
    expect(compress_is_zstd(packed.data, packed.len));
    expect(decompressor_unpack(unpacker, packed.data, packed.len, &again, NULL) == 0);
    expect(again.len == plain->len && memcmp(again.data, plain->data, plain->len) == 0);
    buffer_release(&again);
    buffer_release(&packed);
    compressor_free(packer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decompressor *unpacker = NULL;
    struct message message = {""};
    struct buffer plain;

    expect(decompressor_new(&unpacker) == 0);
    buffer_init(&plain, MOST);
    if (decompressor_unpack(unpacker, data, size, &plain, &message) == 0)
        pack_and_unpack(&plain, unpacker);
    else
        expect(plain.len == 0 && message.text[0] != '\0');
    buffer_release(&plain);
    decompressor_free(unpacker);
    return 0;
}
