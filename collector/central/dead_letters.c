#include "central/dead_letters.h"

#include "base/buffer.h"
#include "base/crypto.h"
#include "base/files.h"
#include "base/json.h"
#include "base/numbers.h"

#include <stdlib.h>
#include <string.h>

#define REMEMBERED   256 /* digests of the latest letters */
#define LETTER_LIMIT (2 * 256 * 1024 + 4096)

struct dead_letters {
    const struct journal_io *io;
    int fd;
    uint64_t size;
    uint8_t seen[REMEMBERED][SHA256_SIZE];
    size_t seen_count;
};

/* The file's name is durable as well before the first letter counts. */
static int open_file(struct dead_letters *letters, const char *path)
{
    const struct journal_io *io = letters->io;
    char folder[FILE_PATH_SIZE];
    int err = path_folder(path, folder);
    if (!err)
        err = io->open(io->self, path, true, &letters->fd);
    if (err)
        return err;
    err = io->size(io->self, letters->fd, &letters->size);
    if (!err)
        err = io->sync_folder(io->self, folder);
    if (err)
        io->close(io->self, letters->fd);
    return err;
}

int dead_letters_open_on(const struct journal_io *io, const char *path,
                         struct dead_letters **ret_letters, struct message *message)
{
    struct dead_letters *letters = calloc(1, sizeof(*letters));
    if (!letters)
        return message_set(message, ERR_NO_MEMORY, "dead letters: out of memory");
    letters->io = io;
    int err = open_file(letters, path);
    if (err) {
        free(letters);
        return message_errno(message, err, "cannot open %s for dead letters", path);
    }
    *ret_letters = letters;
    return 0;
}

int dead_letters_open(const char *path, struct dead_letters **ret_letters, struct message *message)
{
    return dead_letters_open_on(journal_io_real(), path, ret_letters, message);
}

void dead_letters_close(struct dead_letters *letters)
{
    if (!letters)
        return;
    letters->io->close(letters->io->self, letters->fd);
    free(letters);
}

/* Is the same payload kept, among the latest? */
static bool is_kept(const struct dead_letters *letters, const uint8_t digest[SHA256_SIZE])
{
    size_t known = letters->seen_count < REMEMBERED ? letters->seen_count : REMEMBERED;
    for (size_t i = 0; i < known; i++)
        if (memcmp(letters->seen[i], digest, SHA256_SIZE) == 0)
            return true;
    return false;
}

static void write_letter(struct buffer *out, struct now now, const char *topic, const void *payload,
                         size_t len, const char *reason)
{
    char time[TIME_TEXT_SIZE];
    time_format_utc(now.wall_ms, time);
    char *hex = malloc(2 * len + 1);
    if (!hex)
        return;
    print_hex(payload, len, hex);
    struct json_writer json;
    json_writer_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "time");
    json_text(&json, time);
    json_key(&json, "topic");
    json_text(&json, topic);
    json_key(&json, "reason");
    json_text(&json, reason);
    json_key(&json, "payload_hex");
    json_text_n(&json, hex, 2 * len);
    json_end_object(&json);
    buffer_append_char(out, '\n');
    free(hex);
}

int dead_letters_add(struct dead_letters *letters, struct now now, const char *topic,
                     const void *payload, size_t len, const char *reason, struct message *message)
{
    uint8_t digest[SHA256_SIZE];
    sha256(payload, len, digest);
    if (is_kept(letters, digest))
        return 0;
    struct buffer out;
    buffer_init(&out, LETTER_LIMIT);
    write_letter(&out, now, topic, payload, len, reason);
    int err = buffer_error(&out) || !out.len ? ERR_NO_MEMORY : 0;
    const struct journal_io *io = letters->io;
    if (!err && letters->size + out.len > DEAD_LETTERS_MAX_BYTES)
        err = ERR_FULL;
    if (!err)
        err = io->pwrite(io->self, letters->fd, out.data, out.len, letters->size);
    if (!err)
        err = io->fdatasync(io->self, letters->fd);
    if (!err) {
        letters->size += out.len;
        memcpy(letters->seen[letters->seen_count++ % REMEMBERED], digest, SHA256_SIZE);
    } else
        message_set(message, err, "a dead letter of %zu bytes from %s was not kept: %s", len, topic,
                    err_name(err));
    buffer_release(&out);
    return err;
}

uint64_t dead_letters_written(const struct dead_letters *letters)
{
    return letters->seen_count;
}
