/* Any bytes as a segment and as marks: the cursor ends, in order, whatever it is given. */
#include "store/journal_meta.h"
#include "store/segment_file.h"

#include <stdlib.h>
#include <string.h>

struct bytes {
    uint8_t *data;
    size_t len;
};

static int read_bytes(void *self, int fd, void *data, size_t len, uint64_t at, size_t *ret_len)
{
    const struct bytes *bytes = self;
    uint64_t left = at < bytes->len ? bytes->len - at : 0;
    (void)fd;
    *ret_len = len < left ? len : (size_t)left;
    memcpy(data, bytes->data + (*ret_len ? at : 0), *ret_len);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bytes bytes = {.data = malloc(len + 1), .len = len};
    struct journal_io io = {.self = &bytes, .pread = read_bytes};
    struct segment_header header;
    struct journal_meta meta;
    struct segment_cursor cursor;
    struct segment_damage damage;
    struct journal_frame frame;
    uint64_t before = 0, used;

    memcpy(bytes.data, data, len);
    journal_meta_init(&meta);
    (void)!journal_meta_decode(data, len, &meta);
    journal_meta_release(&meta);
    (void)!segment_header_decode(data, len, &header);
    /* True checksums for what looks like frames: else none would ever be taken. */
    for (size_t at = frame_find(bytes.data, len, 0); at + FRAME_HEADER_BYTES <= len;
         at = frame_find(bytes.data, len, at + 1)) {
        size_t size = frame_peek(bytes.data + at, 's');
        if (size && size <= len - at)
            frames_seal(bytes.data + at, size, 1, at);
    }
    segment_cursor_init(&cursor, &io, 0, 's', 1);
    cursor.end = len + 100;
    while (!segment_cursor_next(&cursor, &frame, &damage)) {
        if (frame.seq <= before || frame.len > JOURNAL_MAX_PAYLOAD || damage.offset > len)
            abort();
        before = frame.seq;
    }
    if (segment_cursor_used(&cursor, 0, &used) || used > len)
        abort();
    free(cursor.bytes); /* there is no file to close */
    free(bytes.data);
    return 0;
}
