#include "store/journal_state.h"

#include "base/crc32c.h"
#include "base/numbers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * The marks are two slots, SLOT_STRIDE apart so that one torn write cannot spoil both. Each holds a
 * generation and a CRC; the newer valid one counts, the older one is written next.
 *   magic u32 · version u32 · generation u64 · epoch 32 hex · reserved u64 × 4 · clean u32 · CRC
 * u32
 */

#define MARKS_NAME     "marks"
#define RECEIVED_NAME  "received"
#define MARKS_MAGIC    0x4d4a4d43u /* "CMJM" */
#define MARKS_VERSION  1
#define SLOT_STRIDE    4096
#define SLOT_SIZE      88
#define SLOT_CRC_AT    84
#define RECEIVED_LIMIT (4 * 1024 * 1024)

static void put(uint8_t *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static bool slot_valid(const uint8_t *slot)
{
    return get(slot, 4) == MARKS_MAGIC && get(slot + 4, 4) == MARKS_VERSION &&
           get(slot + SLOT_CRC_AT, 4) == crc32c(0, slot, SLOT_CRC_AT) &&
           strspn((const char *)slot + 16, "0123456789abcdef") >= EPOCH_SIZE - 1;
}

static void take_slot(struct journal *journal, const uint8_t *slot)
{
    journal->generation = get(slot + 8, 8);
    memcpy(journal->epoch, slot + 16, EPOCH_SIZE - 1);
    for (int stream = 0; stream < JOURNAL_MAX_STREAMS; stream++)
        journal->streams[stream].reserved = get(slot + 48 + 8 * stream, 8);
    journal->clean = get(slot + 80, 4) == 1;
}

static int open_file(struct journal *journal)
{
    char path[FILE_PATH_SIZE];
    int err = journal_path(journal, MARKS_NAME, path);
    if (err)
        return err;
    int fd = journal->io->open(journal->io->self, path, true);
    if (fd < 0)
        return fd;
    journal->marks_fd = fd;
    return 0;
}

int marks_open(struct journal *journal)
{
    int err = open_file(journal);
    if (err)
        return err;
    bool found = false;
    for (int n = 0; n < 2; n++) {
        uint8_t slot[SLOT_SIZE + 1] = {0};
        size_t len = 0;
        if (journal->io->pread(journal->io->self, journal->marks_fd, slot, SLOT_SIZE,
                               (uint64_t)n * SLOT_STRIDE, &len) ||
            len < SLOT_SIZE || !slot_valid(slot))
            continue;
        if (!found || get(slot + 8, 8) > journal->generation)
            take_slot(journal, slot);
        found = true;
    }
    return found ? 0 : ERR_NOT_FOUND;
}

int marks_write(struct journal *journal, bool clean)
{
    uint8_t slot[SLOT_SIZE] = {0};
    uint64_t generation = journal->generation + 1;
    put(slot, MARKS_MAGIC, 4);
    put(slot + 4, MARKS_VERSION, 4);
    put(slot + 8, generation, 8);
    memcpy(slot + 16, journal->epoch, EPOCH_SIZE - 1);
    for (int stream = 0; stream < JOURNAL_MAX_STREAMS; stream++)
        put(slot + 48 + 8 * stream, journal->streams[stream].reserved, 8);
    put(slot + 80, clean, 4);
    put(slot + SLOT_CRC_AT, crc32c(0, slot, SLOT_CRC_AT), 4);
    int err = journal->marks_fd < 0 ? open_file(journal) : 0;
    if (err)
        return err;
    err = journal->io->pwrite(journal->io->self, journal->marks_fd, slot, sizeof(slot),
                              generation % 2 * SLOT_STRIDE);
    if (!err)
        err = journal->io->sync(journal->io->self, journal->marks_fd);
    if (!err)
        journal->generation = generation;
    else
        marks_close(journal); /* a descriptor that failed once is not believed again */
    return err;
}

void marks_close(struct journal *journal)
{
    if (journal->marks_fd >= 0)
        journal->io->close(journal->io->self, journal->marks_fd);
    journal->marks_fd = -1;
}

/* ---- received ---- */

/* "EPOCH\n", then a line a stream: "LETTER FIRST-LAST FIRST-LAST …\n", then "crc HEX\n". */
static void write_received(const struct journal *journal, struct buffer *out)
{
    buffer_printf(out, "%s\n", journal->epoch);
    for (int stream = 0; stream < journal->stream_count; stream++) {
        const struct intervals *received = &journal->streams[stream].received;
        buffer_append_char(out, journal->options.letters[stream]);
        for (size_t i = 0; i < received->count; i++)
            buffer_printf(out, " %" PRIu64 "-%" PRIu64, received->ranges[i].first,
                          received->ranges[i].last);
        buffer_append_char(out, '\n');
    }
    buffer_printf(out, "crc %08x\n", crc32c(0, out->data, out->len));
}

int received_save(struct journal *journal)
{
    char path[FILE_PATH_SIZE], fresh[FILE_PATH_SIZE];
    struct buffer out;
    buffer_init(&out, RECEIVED_LIMIT);
    pthread_mutex_lock(&journal->lock);
    write_received(journal, &out);
    journal->received_changed = false;
    pthread_mutex_unlock(&journal->lock);
    const struct journal_io *io = journal->io;
    int err = buffer_error(&out);
    if (!err)
        err = journal_path(journal, RECEIVED_NAME, path);
    if (!err)
        err = journal_path(journal, RECEIVED_NAME ".new", fresh);
    int fd = err ? err : io->open(io->self, fresh, true);
    if (fd >= 0) {
        err = io->truncate(io->self, fd, 0);
        if (!err)
            err = io->pwrite(io->self, fd, out.data, out.len, 0);
        if (!err)
            err = io->sync(io->self, fd);
        io->close(io->self, fd);
        if (!err)
            err = io->rename(io->self, fresh, path);
    } else {
        err = fd;
    }
    buffer_release(&out);
    return err;
}

static int load_line(struct journal *journal, int stream, char *line)
{
    for (char *at = strchr(line, ' '); at;) {
        char *text = at + 1;
        at = strchr(text, ' ');
        if (at)
            *at = '\0';
        char *dash = strchr(text, '-');
        uint64_t first, last;
        if (!dash)
            return ERR_INVALID;
        *dash = '\0';
        if (parse_u64(text, 1, UINT64_MAX - 1, &first) ||
            parse_u64(dash + 1, first, UINT64_MAX - 1, &last))
            return ERR_INVALID;
        int err = intervals_add(&journal->streams[stream].received, first, last);
        if (err)
            return err;
    }
    return 0;
}

static int load_text(struct journal *journal, char *text, size_t len)
{
    char *crc_line = len > 13 ? text + len - 13 : NULL;
    uint8_t crc[4];
    if (!crc_line || strncmp(crc_line, "crc ", 4) != 0)
        return ERR_CORRUPT;
    text[len - 1] = '\0';
    if (parse_hex(crc_line + 4, 4, crc) ||
        ((uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | crc[3]) !=
            crc32c(0, text, (size_t)(crc_line - text)))
        return ERR_CORRUPT;
    *crc_line = '\0';
    char *line = text, *end = strchr(line, '\n');
    if (!end || (size_t)(end - line) != EPOCH_SIZE - 1 ||
        memcmp(line, journal->epoch, EPOCH_SIZE - 1) != 0)
        return ERR_NOT_FOUND; /* of another epoch */
    for (int stream = 0; stream < journal->stream_count; stream++) {
        line = end + 1;
        end = strchr(line, '\n');
        if (!end || line[0] != journal->options.letters[stream])
            return ERR_CORRUPT;
        *end = '\0';
        int err = load_line(journal, stream, line);
        if (err)
            return err;
    }
    return 0;
}

void received_load(struct journal *journal)
{
    char path[FILE_PATH_SIZE];
    const struct journal_io *io = journal->io;
    int fd = journal_path(journal, RECEIVED_NAME, path) ? -1 : io->open(io->self, path, false);
    if (fd < 0)
        return;
    char *text = malloc(RECEIVED_LIMIT + 1);
    size_t len = 0;
    if (text && !io->pread(io->self, fd, text, RECEIVED_LIMIT, 0, &len)) {
        text[len] = '\0';
        if (load_text(journal, text, len))
            for (int stream = 0; stream < journal->stream_count; stream++)
                intervals_clear(&journal->streams[stream].received);
    }
    free(text);
    io->close(io->self, fd);
}
