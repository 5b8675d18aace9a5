/*
 * Design notes. Each open object keeps where the names of its members stand, not the names: a name
 * again is found by comparing with all before it, which is cheap for the few members that objects
 * have, and bounded by PULL_MAX_MEMBERS. The same list, and the count of an array's elements, give
 * the path in messages for nothing.
 */
#include "model/pull.h"

#include "base/numbers.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_MAX_TEXT  63 /* as base/json */
#define WHOLE_MAX_DIGITS 16 /* 2^53 has that many */
#define WHOLE_MAX        ((INT64_C(1) << 53) - 1)
#define PATH_SIZE        240

/* A text between its quotes, known to be well-formed. */
struct span {
    const char *text;
    size_t len;
    bool escaped;
};

void pull_init(struct pull *pull, const char *what, const char *text, size_t len,
               struct message *message)
{
    pull->what = what;
    pull->text = text;
    pull->len = len;
    pull->at = 0;
    pull->message = message;
    pull->depth = 0;
    pull->name[0] = '\0';
    pull->name_len = 0;
}

static size_t add_to_path(char *path, size_t used, const char *format, ...) PRINTF_LIKE(3, 4);

static size_t add_to_path(char *path, size_t used, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(path + used, PATH_SIZE - used, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= PATH_SIZE - used) {
        path[used] = '\0'; /* the whole step or none of it */
        return used;
    }
    return used + (size_t)len;
}

/* "points[3].name" */
static void print_path(const struct pull *pull, char path[PATH_SIZE])
{
    size_t used = 0;

    path[0] = '\0';
    for (size_t i = 0; i < pull->depth; i++) {
        const struct pull_level *level = &pull->levels[i];
        const struct pull_name *name;
        if (level->count == 0)
            continue;
        if (level->array) {
            used = add_to_path(path, used, "[%zu]", level->count - 1);
            continue;
        }
        name = &level->names[level->count - 1];
        used = add_to_path(path, used, "%s%.*s", used == 0 ? "" : ".", (int)name->len,
                           pull->text + name->at);
    }
}

int pull_refuse(const struct pull *pull, int err, const char *format, ...)
{
    struct message reason;
    char path[PATH_SIZE];
    va_list args;

    if (pull->message == NULL)
        return err;
    va_start(args, format);
    vsnprintf(reason.text, sizeof(reason.text), format, args);
    va_end(args);
    print_path(pull, path);
    return message_set(pull->message, err, "%s%s%s (byte %zu): %s", pull->what,
                       path[0] == '\0' ? "" : ", ", path, pull->at + 1, reason.text);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

char pull_peek(struct pull *pull)
{
    while (pull->at < pull->len && is_blank(pull->text[pull->at]))
        pull->at++;
    return pull->at < pull->len ? pull->text[pull->at] : '\0';
}

/* Four hexadecimal digits behind "\u" as a code unit; -1 when they are not. */
static int read_code_unit(const char *text, size_t len)
{
    char digits[5] = "";
    uint8_t bytes[2];

    if (len < 4)
        return -1;
    memcpy(digits, text, 4);
    return parse_hex(digits, 2, bytes) == 0 ? bytes[0] << 8 | bytes[1] : -1;
}

/* The character of the escape that begins `text` with "\u", and how many bytes it takes: 6, or 12
 * for a surrogate pair. Negative for none. */
static int read_unicode_escape(const char *text, size_t len, size_t *ret_len)
{
    int high = read_code_unit(text + 2, len - 2);
    int low;

    *ret_len = 6;
    if (high < 0xD800 || high > 0xDFFF)
        return high;
    if (high > 0xDBFF || len < 12 || text[6] != '\\' || text[7] != 'u')
        return -1;
    low = read_code_unit(text + 8, len - 8);
    if (low < 0xDC00 || low > 0xDFFF)
        return -1;
    *ret_len = 12;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

/* The length of the escape that the text begins with, 0 for none. */
static size_t escape_length(const char *text, size_t len)
{
    size_t escape = 2;

    if (len < 2 || text[1] == '\0' || strchr("\"\\/bfnrtu", text[1]) == NULL)
        return 0;
    if (text[1] == 'u' && read_unicode_escape(text, len, &escape) <= 0)
        return 0;
    return escape;
}

/* Passes over characters that stand for themselves and need no second look. */
static void skip_plain(struct pull *pull)
{
    size_t at = pull->at;

    while (at < pull->len) {
        unsigned char c = (unsigned char)pull->text[at];
        if (c < ' ' || c >= 0x80 || c == '"' || c == '\\')
            break;
        at++;
    }
    pull->at = at;
}

static int read_span(struct pull *pull, struct span *ret_span)
{
    size_t start;
    bool escaped = false;

    if (pull_peek(pull) != '"')
        return pull_refuse(pull, ERR_INVALID, "no text in quotes");
    start = ++pull->at;
    for (skip_plain(pull); pull->at < pull->len; skip_plain(pull)) {
        const char *here = pull->text + pull->at;
        size_t width;
        if (*here == '"') {
            *ret_span = (struct span){pull->text + start, pull->at - start, escaped};
            pull->at++;
            return 0;
        }
        if ((unsigned char)*here < ' ')
            return pull_refuse(pull, ERR_INVALID, "a control character in a text");
        if (*here == '\\') {
            escaped = true;
            width = escape_length(here, pull->len - pull->at);
            if (width == 0)
                return pull_refuse(pull, ERR_INVALID, "an escape that JSON does not know");
        } else {
            width = text_utf8_length(here, pull->len - pull->at);
            if (width == 0)
                return pull_refuse(pull, ERR_INVALID, "not UTF-8");
        }
        pull->at += width;
    }
    return pull_refuse(pull, ERR_INVALID, "a text without its closing quote");
}

static size_t put_utf8(int character, char ret[4])
{
    unsigned c = (unsigned)character;

    if (c < 0x80) {
        ret[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        ret[0] = (char)(0xC0 | c >> 6);
        ret[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        ret[0] = (char)(0xE0 | c >> 12);
        ret[1] = (char)(0x80 | (c >> 6 & 0x3F));
        ret[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    ret[0] = (char)(0xF0 | c >> 18);
    ret[1] = (char)(0x80 | (c >> 12 & 0x3F));
    ret[2] = (char)(0x80 | (c >> 6 & 0x3F));
    ret[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* What the escape stands for; the bytes of the escape that were used. */
static size_t unescape(const char *text, size_t len, char ret[4], size_t *ret_len)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char plain[] = "\"\\/\b\f\n\r\t";
    size_t used = 2;

    if (text[1] == 'u') {
        *ret_len = put_utf8(read_unicode_escape(text, len, &used), ret);
        return used;
    }
    ret[0] = plain[strchr(letters, text[1]) - letters];
    *ret_len = 1;
    return used;
}

/* With a NUL; ERR_FULL when it does not fit. `ret` is written to as far as it goes. */
static int copy_span(const struct span *span, char *ret, size_t size, size_t *ret_len)
{
    size_t len = 0;

    if (!span->escaped) {
        if (span->len >= size)
            return ERR_FULL;
        memcpy(ret, span->text, span->len);
        len = span->len;
    }
    for (size_t at = 0; span->escaped && at < span->len;) {
        char character[4] = {span->text[at]};
        size_t width = 1;
        at += span->text[at] == '\\' ? unescape(span->text + at, span->len - at, character, &width)
                                     : 1;
        if (width >= size - len)
            return ERR_FULL;
        memcpy(ret + len, character, width);
        len += width;
    }
    ret[len] = '\0';
    *ret_len = len;
    return 0;
}

int pull_begin(struct pull *pull, char open)
{
    struct pull_level *level;

    if (pull_peek(pull) != open)
        return pull_refuse(pull, ERR_INVALID, open == '{' ? "no object" : "no array");
    if (pull->depth == JSON_MAX_DEPTH)
        return pull_refuse(pull, ERR_RANGE, "nested deeper than %d", JSON_MAX_DEPTH);
    level = &pull->levels[pull->depth++];
    level->array = open == '[';
    level->count = 0;
    pull->at++;
    return 0;
}

/* Passes over the comma before all but the first; tells whether the level was closed instead. */
static int next_child(struct pull *pull, struct pull_level *level, bool *ret_more)
{
    char close = level->array ? ']' : '}';
    char c = pull_peek(pull);

    if (c == close) {
        pull->at++;
        pull->depth--;
        *ret_more = false;
        return 0;
    }
    if (level->count > 0) {
        if (c != ',')
            return pull_refuse(pull, ERR_INVALID, "neither ',' nor '%c'", close);
        pull->at++;
    }
    *ret_more = true;
    return 0;
}

static bool same_name(const struct pull *pull, const struct pull_name *name)
{
    struct span span = {pull->text + name->at, name->len, name->escaped};
    char text[PULL_NAME_SIZE];
    size_t len;

    if (!name->escaped)
        return pull->name_len == span.len && memcmp(pull->name, span.text, span.len) == 0;
    return copy_span(&span, text, sizeof(text), &len) == 0 && strcmp(pull->name, text) == 0;
}

/* Reads a name into pull->name and notes its place. */
static int read_name(struct pull *pull, struct pull_level *level)
{
    struct span span;
    int err = read_span(pull, &span);

    if (err != 0)
        return err;
    if (level->count == PULL_MAX_MEMBERS)
        return pull_refuse(pull, ERR_RANGE, "an object of more than %d members", PULL_MAX_MEMBERS);
    if (copy_span(&span, pull->name, sizeof(pull->name), &pull->name_len) != 0)
        return pull_refuse(pull, ERR_RANGE, "a name of more than %d bytes", PULL_NAME_SIZE - 1);
    for (size_t i = 0; i < level->count; i++)
        if (same_name(pull, &level->names[i]))
            return pull_refuse(pull, ERR_INVALID, "the name %s stands twice", pull->name);
    level->names[level->count++] = (struct pull_name){
        .at = (uint32_t)(span.text - pull->text),
        .len = (uint16_t)span.len,
        .escaped = span.escaped,
    };
    return 0;
}

int pull_member(struct pull *pull, const char **ret_name)
{
    struct pull_level *level = &pull->levels[pull->depth - 1];
    bool more;
    int err = next_child(pull, level, &more);

    if (err != 0)
        return err;
    if (!more) {
        *ret_name = NULL;
        return 0;
    }
    err = read_name(pull, level);
    if (err != 0)
        return err;
    if (pull_peek(pull) != ':')
        return pull_refuse(pull, ERR_INVALID, "no ':' behind a name");
    pull->at++;
    *ret_name = pull->name;
    return 0;
}

int pull_element(struct pull *pull, bool *ret_more)
{
    struct pull_level *level = &pull->levels[pull->depth - 1];
    int err = next_child(pull, level, ret_more);

    if (err == 0 && *ret_more)
        level->count++;
    return err;
}

static bool is_of_number(char c)
{
    return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == 'e' || c == 'E' || c == '+';
}

int pull_double(struct pull *pull, double *ret_value)
{
    const char *text;
    size_t len = 0;
    int err;

    pull_peek(pull);
    text = pull->text + pull->at;
    while (len < pull->len - pull->at && is_of_number(text[len]))
        len++;
    if (len == 0)
        return pull_refuse(pull, ERR_INVALID, "no number");
    if (len > NUMBER_MAX_TEXT)
        return pull_refuse(pull, ERR_INVALID, "a number of more than %d characters",
                           NUMBER_MAX_TEXT);
    err = parse_double_n(text, len, ret_value);
    if (err == ERR_RANGE)
        return pull_refuse(pull, ERR_INVALID, "a number beyond what a double holds");
    if (err != 0)
        return pull_refuse(pull, ERR_INVALID, "a number not written as JSON writes it");
    pull->at += len;
    return 0;
}

/* Digits and nothing else: the length, or 0 when it is of another form. */
static size_t read_digits(const struct pull *pull, int64_t *ret_value)
{
    const char *text = pull->text + pull->at;
    size_t room = pull->len - pull->at;
    size_t sign = room > 0 && text[0] == '-' ? 1 : 0;
    size_t len = sign;
    int64_t value = 0;

    while (len < room && len < sign + WHOLE_MAX_DIGITS && text[len] >= '0' && text[len] <= '9')
        value = value * 10 + (text[len++] - '0');
    if (len == sign || (len > sign + 1 && text[sign] == '0'))
        return 0;
    if (len < room && is_of_number(text[len]))
        return 0;
    *ret_value = sign > 0 ? -value : value;
    return len;
}

/* A whole number in another form, "1e3". Beyond 2^53 - 1 it may have been rounded. */
static int read_whole_double(struct pull *pull, int64_t *ret_value)
{
    size_t start = pull->at;
    double number;
    int err = pull_double(pull, &number);

    if (err != 0)
        return err;
    if (number < trunc(number) || number > trunc(number)) {
        pull->at = start;
        return pull_refuse(pull, ERR_INVALID, "no whole number");
    }
    if (fabs(number) > (double)WHOLE_MAX) {
        pull->at = start;
        return pull_refuse(pull, ERR_RANGE, "a number of more than 2^53");
    }
    *ret_value = (int64_t)number;
    return 0;
}

int pull_i64(struct pull *pull, int64_t min, int64_t max, int64_t *ret_value)
{
    int64_t value = 0;
    size_t start;
    size_t len;

    pull_peek(pull);
    start = pull->at;
    len = read_digits(pull, &value);
    if (len == 0) {
        int err = read_whole_double(pull, &value);
        if (err != 0)
            return err;
    }
    pull->at += len;
    if (value < min || value > max) {
        pull->at = start;
        return pull_refuse(pull, ERR_RANGE, "%lld is not within %lld..%lld", (long long)value,
                           (long long)min, (long long)max);
    }
    *ret_value = value;
    return 0;
}

/* The word, and nothing that goes on like it: what follows is looked at by the next call. */
static bool take_word(struct pull *pull, const char *word)
{
    size_t len = strlen(word);

    pull_peek(pull);
    if (pull->len - pull->at < len || memcmp(pull->text + pull->at, word, len) != 0)
        return false;
    pull->at += len;
    return true;
}

int pull_bool(struct pull *pull, bool *ret_value)
{
    bool value = take_word(pull, "true");

    if (!value && !take_word(pull, "false"))
        return pull_refuse(pull, ERR_INVALID, "neither true nor false");
    *ret_value = value;
    return 0;
}

int pull_null(struct pull *pull)
{
    return take_word(pull, "null") ? 0 : pull_refuse(pull, ERR_INVALID, "no value");
}

int pull_text(struct pull *pull, size_t min, char *ret_text, size_t size)
{
    struct span span;
    size_t len;
    int err = read_span(pull, &span);

    if (err != 0)
        return err;
    if (copy_span(&span, ret_text, size, &len) != 0)
        return pull_refuse(pull, ERR_RANGE, "a text of more than %zu bytes", size - 1);
    if (len < min)
        return pull_refuse(pull, ERR_RANGE, "a text of less than %zu bytes", min);
    return 0;
}

static int skip_object(struct pull *pull)
{
    const char *name = "";
    int err = pull_begin(pull, '{');

    while (err == 0) {
        err = pull_member(pull, &name);
        if (err != 0 || name == NULL)
            break;
        err = pull_skip(pull);
    }
    return err;
}

static int skip_array(struct pull *pull)
{
    bool more = true;
    int err = pull_begin(pull, '[');

    while (err == 0) {
        err = pull_element(pull, &more);
        if (err != 0 || !more)
            break;
        err = pull_skip(pull);
    }
    return err;
}

/* Recurses no deeper than JSON_MAX_DEPTH. */
int pull_skip(struct pull *pull)
{
    struct span span;
    double number;
    bool value;

    switch (pull_peek(pull)) {
    case '{':
        return skip_object(pull);
    case '[':
        return skip_array(pull);
    case '"':
        return read_span(pull, &span);
    case 't':
    case 'f':
        return pull_bool(pull, &value);
    case 'n':
        return pull_null(pull);
    default:
        return pull_double(pull, &number);
    }
}

int pull_raw(struct pull *pull, const char **ret_text, size_t *ret_len)
{
    size_t from;
    int err;

    pull_peek(pull);
    from = pull->at;
    err = pull_skip(pull);
    if (err != 0)
        return err;
    *ret_text = pull->text + from;
    *ret_len = pull->at - from;
    return 0;
}

int pull_end(struct pull *pull)
{
    pull_peek(pull);
    return pull->at == pull->len ? 0 : pull_refuse(pull, ERR_INVALID, "more behind the end");
}
