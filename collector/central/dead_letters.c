#include "central/dead_letters.h"

#include "base/buffer.h"
#include "base/crypto.h"
#include "base/files.h"
#include "base/json.h"
#include "base/numbers.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define LETTER_LIMIT (2 * 256 * 1024 + 4096)

struct dead_letters {
    const struct journal_io *io;
    char path[FILE_PATH_SIZE];
    int fd; /* -1: none yet */
    uint64_t size;
    bool full; /* the last one did not fit */
    uint64_t lost;
    uint8_t seen[DEAD_LETTERS_REMEMBERED][SHA256_SIZE];
    size_t seen_count;
};

/* Opens or makes the file at the path, in place of the one that is open. Its name is durable as
 * well before the first letter counts. */
static int open_file(struct dead_letters *letters)
{
    const struct journal_io *io = letters->io;
    char folder[FILE_PATH_SIZE];
    uint64_t size = 0;
    int fd = -1;
    int err = path_folder(letters->path, folder);
    if (!err)
        err = io->open(io->self, letters->path, true, &fd);
    if (err)
        return err;
    err = io->size(io->self, fd, &size);
    if (!err)
        err = io->sync_folder(io->self, folder);
    if (err) {
        io->close(io->self, fd);
        return err;
    }
    if (letters->fd >= 0)
        io->close(io->self, letters->fd);
    letters->fd = fd;
    letters->size = size;
    letters->full = false;
    return 0;
}

int dead_letters_open_on(const struct journal_io *io, const char *path,
                         struct dead_letters **ret_letters, struct message *message)
{
    struct dead_letters *letters = calloc(1, sizeof(*letters));
    if (!letters)
        return message_set(message, ERR_NO_MEMORY, "dead letters: out of memory");
    letters->io = io;
    letters->fd = -1;
    int err = text_copy(letters->path, sizeof(letters->path), path);
    if (err)
        message_set(message, err, "the path of dead letters is too long");
    else if ((err = open_file(letters)) != 0)
        message_errno(message, err, "cannot open %s for dead letters", path);
    if (err) {
        free(letters);
        return err;
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
    size_t known = letters->seen_count < DEAD_LETTERS_REMEMBERED ? letters->seen_count
                                                                 : DEAD_LETTERS_REMEMBERED;
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

static int append(struct dead_letters *letters, const struct buffer *text)
{
    const struct journal_io *io = letters->io;
    int err = io->pwrite(io->self, letters->fd, text->data, text->len, letters->size);
    if (!err)
        err = io->fdatasync(io->self, letters->fd);
    if (!err)
        letters->size += text->len;
    return err;
}

/* Did somebody move the file away, or empty it? */
static bool is_moved(const struct dead_letters *letters)
{
    const struct journal_io *io = letters->io;
    uint64_t size = 0;
    int fd = -1;
    int err = io->open(io->self, letters->path, false, &fd);
    if (err)
        return err == ERR_NOT_FOUND;
    err = io->size(io->self, fd, &size);
    io->close(io->self, fd);
    return !err && size < letters->size;
}

bool dead_letters_are_full(struct dead_letters *letters)
{
    if (letters->full && is_moved(letters))
        (void)!open_file(letters); /* else it stays full */
    return letters->full;
}

static bool has_room(struct dead_letters *letters, size_t len)
{
    letters->full = letters->size + len > DEAD_LETTERS_MAX_BYTES;
    return !dead_letters_are_full(letters);
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
    if (!err && !has_room(letters, out.len))
        letters->lost++;
    else if (!err)
        err = append(letters, &out);
    if (!err && !letters->full)
        memcpy(letters->seen[letters->seen_count++ % DEAD_LETTERS_REMEMBERED], digest, SHA256_SIZE);
    if (err)
        message_set(message, err, "a dead letter of %zu bytes from %s was not kept in %s: %s", len,
                    topic, letters->path, err_name(err));
    buffer_release(&out);
    return err;
}

uint64_t dead_letters_written(const struct dead_letters *letters)
{
    return letters->seen_count;
}

uint64_t dead_letters_lost(const struct dead_letters *letters)
{
    return letters->lost;
}
