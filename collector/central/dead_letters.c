#include "central/dead_letters.h"

#include "base/buffer.h"
#include "base/crypto.h"
#include "base/files.h"
#include "base/json.h"
#include "base/numbers.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REMEMBERED   256 /* digests of the latest letters */
#define LETTER_LIMIT (2 * 256 * 1024 + 4096)

struct dead_letters {
    int fd;
    off_t size;
    uint8_t seen[REMEMBERED][SHA256_SIZE];
    size_t seen_count;
};

int dead_letters_open(const char *path, struct dead_letters **ret_letters, struct message *message)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat status;
    if (fd < 0 || fstat(fd, &status)) {
        int err = message_errno(message, ERR_IO, "cannot open %s for dead letters", path);
        if (fd >= 0)
            close(fd);
        return err;
    }
    struct dead_letters *letters = calloc(1, sizeof(*letters));
    if (!letters) {
        close(fd);
        return message_set(message, ERR_NO_MEMORY, "dead letters: out of memory");
    }
    letters->fd = fd;
    letters->size = status.st_size;
    *ret_letters = letters;
    return 0;
}

void dead_letters_close(struct dead_letters *letters)
{
    if (!letters)
        return;
    close(letters->fd);
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
    if (!err && letters->size + (off_t)out.len > DEAD_LETTERS_MAX_BYTES)
        err = ERR_FULL;
    if (!err)
        err = file_pwrite_all(letters->fd, out.data, out.len, letters->size);
    if (!err && fdatasync(letters->fd))
        err = ERR_IO;
    if (!err) {
        letters->size += (off_t)out.len;
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
