#include "base/text.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <string.h>

#define NAME_MAX_LENGTH     64
#define DISTANCE_MAX_LENGTH 64

static const char utf8_bom[] = "\xEF\xBB\xBF";
#define UTF8_BOM_LENGTH (sizeof(utf8_bom) - 1)

size_t text_utf8_length(const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t need;

    if (len == 0 || at[0] == 0)
        return 0;
    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xC2 || at[0] > 0xF4)
        return 0;
    need = at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (need > len)
        return 0;
    /* The second byte alone decides on overlong forms, surrogates and what is above U+10FFFF. */
    if (at[0] == 0xE0)
        low = 0xA0;
    else if (at[0] == 0xED)
        high = 0x9F;
    else if (at[0] == 0xF0)
        low = 0x90;
    else if (at[0] == 0xF4)
        high = 0x8F;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if (at[i] < 0x80 || at[i] > 0xBF)
            return 0;
    return need;
}

static bool is_marked(const char *text, size_t len)
{
    return len >= UTF8_BOM_LENGTH && memcmp(text, utf8_bom, UTF8_BOM_LENGTH) == 0;
}

static size_t utf8_prefix(const char *text, size_t len)
{
    size_t at = 0;
    size_t step = text_utf8_length(text, len);

    while (step > 0) {
        at += step;
        step = text_utf8_length(text + at, len - at);
    }
    return at;
}

bool text_is_utf8(const char *text, size_t len)
{
    return utf8_prefix(text, len) == len;
}

/* *ret_stop is how far the text could be read. */
static int append_gb18030(const char *text, size_t len, struct buffer *out, size_t *ret_stop)
{
    iconv_t convert = iconv_open("UTF-8", "GB18030");
    /* iconv does not write to its input; its type is older than const. */
    char *from = (char *)(uintptr_t)text;
    int err = 0;

    if (convert == (iconv_t)-1)
        return ERR_IO;
    while (len > 0 && err == 0) {
        char chunk[4096];
        char *to = chunk;
        size_t room = sizeof(chunk);
        if (iconv(convert, &from, &len, &to, &room) == (size_t)-1 && errno != E2BIG)
            err = ERR_INVALID;
        buffer_append(out, chunk, sizeof(chunk) - room);
        if (err == 0)
            err = buffer_error(out);
    }
    iconv_close(convert);
    *ret_stop = (size_t)(from - text);
    return err;
}

int text_to_utf8_where(const char *text, size_t len, struct buffer *out, size_t *ret_bad)
{
    size_t before = out->len;
    size_t stop = utf8_prefix(text, len);
    const char *nul;
    int err;

    if (stop == len) {
        size_t skip = is_marked(text, len) ? UTF8_BOM_LENGTH : 0;
        buffer_append(out, text + skip, len - skip);
        return buffer_error(out);
    }
    nul = memchr(text, '\0', len);
    if (nul != NULL) {
        err = ERR_INVALID;
        stop = (size_t)(nul - text);
    } else if (is_marked(text, len)) {
        /* What says it is UTF-8 and is not, is damaged; as GBK it would become other words. */
        err = ERR_INVALID;
    } else {
        err = append_gb18030(text, len, out, &stop);
    }
    if (err != 0 && out->len > before) {
        out->len = before;
        out->data[before] = '\0';
    }
    if (err == ERR_INVALID)
        *ret_bad = stop;
    return err;
}

int text_to_utf8(const char *text, size_t len, struct buffer *out)
{
    size_t bad;

    return text_to_utf8_where(text, len, out, &bad);
}

bool text_is_name(const char *text)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t len = strspn(text, allowed);

    return len > 0 && len <= NAME_MAX_LENGTH && text[len] == '\0' && text[0] != '.';
}

int text_copy(char *ret, size_t size, const char *text)
{
    size_t len = strlen(text);

    if (len >= size)
        return ERR_FULL;
    memcpy(ret, text, len + 1);
    return 0;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t text_distance(const char *a, const char *b, size_t limit)
{
    /* Three rows of the table: a swap of neighbours looks two rows back. */
    size_t rows[3][DISTANCE_MAX_LENGTH + 1];
    size_t a_len = strnlen(a, DISTANCE_MAX_LENGTH + 1);
    size_t b_len = strnlen(b, DISTANCE_MAX_LENGTH + 1);

    if (a_len > DISTANCE_MAX_LENGTH || b_len > DISTANCE_MAX_LENGTH)
        return strcmp(a, b) == 0 ? 0 : limit + 1;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *twice_above = rows[(i + 1) % 3];
        size_t best = i;
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = a[i - 1] == b[j - 1];
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], twice_above[j - 2] + 1);
            best = smaller(best, row[j]);
        }
        if (best > limit)
            return limit + 1;
    }
    return smaller(rows[a_len % 3][b_len], limit + 1);
}
