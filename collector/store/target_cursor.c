#include "store/target_cursor.h"

#include "base/buffer.h"
#include "base/crc32c.h"
#include "base/numbers.h"
#include "base/text.h"

#include <string.h>

#define FILE_LIMIT (TARGET_STORE_SIZE + 256)
#define SLOT_US    1000000 /* notes lie that far apart */

/* The file's whole text: what is read must be equal to it. */
static void write_text(const struct target_cursor *cursor, uint64_t settled, struct buffer *out)
{
    buffer_printf(out, "chengmai cursor 2\njournal %s\nsettled %llu\nstore %s\n", cursor->epoch,
                  (unsigned long long)settled, cursor->store);
    buffer_printf(out, "check %08x\n", (unsigned)crc32c(0, out->data, out->len));
}

static bool read_settled(const struct buffer *text, uint64_t *ret_settled)
{
    char digits[NUMBER_TEXT_SIZE] = "";
    const char *at = strstr(buffer_text(text), "\nsettled ");
    if (!at)
        return false;
    at += strlen("\nsettled ");
    size_t len = strspn(at, "0123456789");
    memcpy(digits, at, len < sizeof(digits) ? len : 0);
    return !parse_u64(digits, 0, RECORD_MAX_NUMBER, ret_settled);
}

int target_cursor_open(struct target_cursor *cursor, const char *path, const char *epoch,
                       const char *store, bool *ret_strange, struct message *message)
{
    struct buffer found, right;
    uint64_t settled = 0;
    *cursor = (struct target_cursor){.settled = 0};
    if (text_copy(cursor->path, sizeof(cursor->path), path) ||
        text_copy(cursor->epoch, sizeof(cursor->epoch), epoch) ||
        text_copy(cursor->store, sizeof(cursor->store), store))
        return message_set(message, ERR_RANGE, "the path of a cursor or its store is too long");
    buffer_init(&found, FILE_LIMIT);
    buffer_init(&right, FILE_LIMIT);
    int err = file_read(path, &found, NULL);
    bool good = !err && read_settled(&found, &settled);
    if (good)
        write_text(cursor, settled, &right);
    good = good && found.len == right.len && memcmp(found.data, right.data, right.len) == 0;
    if (good)
        cursor->settled = cursor->again = cursor->saved = settled;
    *ret_strange = err != ERR_NOT_FOUND && !good;
    buffer_release(&found);
    buffer_release(&right);
    return 0;
}

void target_cursor_note(struct target_cursor *cursor, uint64_t position, int64_t now_us)
{
    struct target_note *last = cursor->count ? &cursor->notes[cursor->count - 1] : NULL;
    bool same =
        last && (last->at_us / SLOT_US == now_us / SLOT_US || cursor->count == TARGET_NOTES_MAX);
    if (!same)
        last = &cursor->notes[cursor->count++];
    *last = (struct target_note){position, now_us};
}

/* The position of the newest note that was taken by then, else `otherwise`. */
static uint64_t position_by(const struct target_cursor *cursor, int64_t by_us, uint64_t otherwise,
                            size_t *ret_count)
{
    size_t count = 0;
    while (count < cursor->count && cursor->notes[count].at_us <= by_us)
        count++;
    *ret_count = count;
    return count ? cursor->notes[count - 1].position : otherwise;
}

void target_cursor_settle(struct target_cursor *cursor, int64_t looked_us)
{
    size_t settled, old;
    cursor->settled =
        position_by(cursor, looked_us - TARGET_BELIEVED_US, cursor->settled, &settled);
    cursor->again = position_by(cursor, looked_us - 2 * TARGET_BELIEVED_US, cursor->again, &old);
    memmove(cursor->notes, cursor->notes + old, (cursor->count - old) * sizeof(cursor->notes[0]));
    cursor->count -= old;
}

uint64_t target_cursor_rewind(struct target_cursor *cursor)
{
    cursor->settled = cursor->again;
    cursor->count = 0;
    return cursor->again;
}

void target_cursor_restart(struct target_cursor *cursor)
{
    cursor->settled = cursor->again = 0;
    cursor->count = 0;
}

int target_cursor_save(struct target_cursor *cursor, struct message *message)
{
    struct buffer text;
    if (cursor->settled == cursor->saved)
        return 0;
    buffer_init(&text, FILE_LIMIT);
    write_text(cursor, cursor->settled, &text);
    int err = buffer_error(&text);
    if (!err)
        err = file_write(cursor->path, text.data, text.len, 0600, message);
    if (!err)
        cursor->saved = cursor->settled;
    buffer_release(&text);
    return err;
}
