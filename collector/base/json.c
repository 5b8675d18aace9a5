/*
 * Design notes.
 *
 * cJSON builds the tree, but it is too kind: it takes trailing bytes, "01", "1.", broken UTF-8 and
 * cuts a string at \u0000; it reads 1e999 as infinity and a number's first 63 characters only; of
 * two equal keys it finds the first. So the text is scanned here first, against the whole grammar
 * and our bounds, and cJSON sees only what passed. Equal keys are looked for in the tree, where
 * their escapes are gone.
 *
 * A `struct json` is a cJSON item behind a cast; it is never defined and never looked into.
 * cJSON reads numbers by the thread's locale, so the thread has the C locale meanwhile.
 */
#include "base/json.h"

#include "base/numbers.h"
#include "base/text.h"

#include <cjson/cJSON.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX_TEXT 63 /* what cJSON reads of a number */
#define WHOLE_MAX       ((INT64_C(1) << 53) - 1)

struct json_document {
    cJSON *root;
};

/* `at` is the next byte to look at; what failed is told once, at the place where it failed. */
struct scan {
    const char *text;
    size_t len;
    size_t at;
    int depth;
    struct message *message;
};

static int scan_value(struct scan *scan);

static int refuse(const struct scan *scan, int err, const char *what)
{
    return message_set(scan->message, err, "JSON, byte %zu: %s", scan->at + 1, what);
}

static void scan_blanks(struct scan *scan)
{
    while (scan->at < scan->len && memchr(" \t\n\r", scan->text[scan->at], 4) != NULL)
        scan->at++;
}

/* The byte at hand; NUL, which is no part of the grammar, at the end. */
static char scan_peek(const struct scan *scan)
{
    return scan->at < scan->len ? scan->text[scan->at] : '\0';
}

static int scan_word(struct scan *scan, const char *word)
{
    size_t len = strlen(word);

    if (scan->len - scan->at < len || memcmp(scan->text + scan->at, word, len) != 0)
        return refuse(scan, ERR_INVALID, "no value");
    scan->at += len;
    return 0;
}

static int scan_number(struct scan *scan)
{
    size_t len = 0;
    double value;
    int err;

    while (scan->at + len < scan->len &&
           memchr("+-.0123456789Ee", scan->text[scan->at + len], 15) != NULL)
        len++;
    if (len == 0)
        return refuse(scan, ERR_INVALID, "no value");
    if (len > NUMBER_MAX_TEXT)
        return refuse(scan, ERR_INVALID, "a number of more than 63 characters");
    err = parse_double_n(scan->text + scan->at, len, &value);
    if (err == ERR_RANGE)
        return refuse(scan, ERR_INVALID, "a number beyond what a double holds");
    if (err != 0)
        return refuse(scan, ERR_INVALID, "a number not written as JSON writes it");
    scan->at += len;
    return 0;
}

/* The four digits of a \u escape as a code unit, or -1. */
static int scan_code_unit(struct scan *scan)
{
    char digits[5] = "";
    uint8_t bytes[2];

    if (scan->len - scan->at < 4)
        return -1;
    memcpy(digits, scan->text + scan->at, 4);
    if (parse_hex(digits, 2, bytes) != 0)
        return -1;
    scan->at += 4;
    return bytes[0] << 8 | bytes[1];
}

/* What follows "\u". */
static int scan_unicode_escape(struct scan *scan)
{
    int unit = scan_code_unit(scan);

    if (unit < 0)
        return refuse(scan, ERR_INVALID, "\\u without four hexadecimal digits");
    if (unit == 0)
        return refuse(scan, ERR_INVALID, "\\u0000 in a text");
    if (unit < 0xD800 || unit > 0xDFFF)
        return 0;
    if (unit < 0xDC00 && scan->len - scan->at >= 2 &&
        memcmp(scan->text + scan->at, "\\u", 2) == 0) {
        scan->at += 2;
        unit = scan_code_unit(scan);
        if (unit >= 0xDC00 && unit <= 0xDFFF)
            return 0;
    }
    return refuse(scan, ERR_INVALID, "half a surrogate pair");
}

/* What follows the backslash. */
static int scan_escape(struct scan *scan)
{
    char c = scan_peek(scan);

    if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL)
        return refuse(scan, ERR_INVALID, "an unknown escape");
    scan->at++;
    return c == 'u' ? scan_unicode_escape(scan) : 0;
}

static int scan_string(struct scan *scan)
{
    scan->at++;
    while (scan->at < scan->len) {
        char c = scan->text[scan->at];
        size_t width = text_utf8_length(scan->text + scan->at, scan->len - scan->at);
        if (c >= '\0' && c < ' ')
            return refuse(scan, ERR_INVALID, "a control character in a text");
        if (width == 0)
            return refuse(scan, ERR_INVALID, "not UTF-8");
        scan->at += width;
        if (c == '"')
            return 0;
        if (c == '\\') {
            int err = scan_escape(scan);
            if (err != 0)
                return err;
        }
    }
    return refuse(scan, ERR_INVALID, "a text without its closing quote");
}

/* The `"key":` before a member's value. */
static int scan_key(struct scan *scan)
{
    int err;

    if (scan_peek(scan) != '"')
        return refuse(scan, ERR_INVALID, "no key in quotes");
    err = scan_string(scan);
    if (err != 0)
        return err;
    scan_blanks(scan);
    if (scan_peek(scan) != ':')
        return refuse(scan, ERR_INVALID, "no ':' after a key");
    scan->at++;
    return 0;
}

static int scan_children(struct scan *scan, char close)
{
    scan->at++;
    scan_blanks(scan);
    if (scan_peek(scan) == close) {
        scan->at++;
        return 0;
    }
    for (;;) {
        int err = 0;
        scan_blanks(scan);
        if (close == '}')
            err = scan_key(scan);
        if (err == 0)
            err = scan_value(scan);
        if (err != 0)
            return err;
        scan_blanks(scan);
        if (scan_peek(scan) == close)
            break;
        if (scan_peek(scan) != ',')
            return refuse(scan, ERR_INVALID,
                          close == '}' ? "neither ',' nor '}'" : "neither ',' nor ']'");
        scan->at++;
    }
    scan->at++;
    return 0;
}

static int scan_container(struct scan *scan, char close)
{
    int err;

    if (scan->depth == JSON_MAX_DEPTH)
        return refuse(scan, ERR_FULL, "nested too deep");
    scan->depth++;
    err = scan_children(scan, close);
    scan->depth--;
    return err;
}

/* Recurses no deeper than JSON_MAX_DEPTH. */
static int scan_value(struct scan *scan)
{
    scan_blanks(scan);
    switch (scan_peek(scan)) {
    case '{':
        return scan_container(scan, '}');
    case '[':
        return scan_container(scan, ']');
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    default:
        return scan_number(scan);
    }
}

static int scan_document(struct scan *scan)
{
    int err;

    if (scan->len > JSON_MAX_BYTES)
        return message_set(scan->message, ERR_FULL, "JSON: %zu bytes, more than %d", scan->len,
                           JSON_MAX_BYTES);
    err = scan_value(scan);
    if (err != 0)
        return err;
    scan_blanks(scan);
    return scan->at == scan->len ? 0 : refuse(scan, ERR_INVALID, "more after the end");
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, so that an object made of nothing but keys costs no quadratic time. */
static int check_own_names(const cJSON *object, struct message *message)
{
    size_t count = (size_t)cJSON_GetArraySize(object);
    const char **names;
    size_t at = 0;
    int err = 0;

    if (count < 2)
        return 0;
    names = calloc(count, sizeof(*names));
    if (names == NULL)
        return message_set(message, ERR_NO_MEMORY, "JSON: out of memory");
    for (const cJSON *child = object->child; child != NULL; child = child->next)
        names[at++] = child->string;
    qsort(names, count, sizeof(*names), compare_names);
    for (at = 1; at < count && err == 0; at++)
        if (strcmp(names[at - 1], names[at]) == 0)
            err = message_set(message, ERR_INVALID, "JSON: a key stands twice: %s", names[at]);
    free(names);
    return err;
}

static int check_names(const cJSON *value, struct message *message)
{
    int err = cJSON_IsObject(value) ? check_own_names(value, message) : 0;

    for (const cJSON *child = value->child; child != NULL && err == 0; child = child->next)
        err = check_names(child, message);
    return err;
}

int json_parse(const char *text, size_t len, struct json_document **ret_document,
               struct message *message)
{
    struct scan scan = {.text = text, .len = len, .message = message};
    struct json_document *document;
    locale_t before;
    int err = scan_document(&scan);

    if (err != 0)
        return err;
    document = calloc(1, sizeof(*document));
    if (document == NULL)
        return message_set(message, ERR_NO_MEMORY, "JSON: out of memory");
    before = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
    document->root = cJSON_ParseWithLength(text, len);
    uselocale(before);
    if (document->root == NULL)
        err = message_set(message, ERR_NO_MEMORY, "JSON: out of memory");
    else
        err = check_names(document->root, message);
    if (err != 0) {
        json_free(document);
        return err;
    }
    *ret_document = document;
    return 0;
}

void json_free(struct json_document *document)
{
    if (document == NULL)
        return;
    cJSON_Delete(document->root);
    free(document);
}

static const cJSON *item_of(const struct json *value)
{
    return (const cJSON *)(const void *)value;
}

static const struct json *json_of(const cJSON *item)
{
    return (const struct json *)(const void *)item;
}

const struct json *json_root(const struct json_document *document)
{
    return json_of(document->root);
}

enum json_type json_type(const struct json *value)
{
    const cJSON *item = item_of(value);

    if (cJSON_IsBool(item))
        return JSON_BOOL;
    if (cJSON_IsNumber(item))
        return JSON_NUMBER;
    if (cJSON_IsString(item))
        return JSON_STRING;
    if (cJSON_IsArray(item))
        return JSON_ARRAY;
    return cJSON_IsObject(item) ? JSON_OBJECT : JSON_NULL;
}

const struct json *json_member(const struct json *object, const char *name)
{
    if (!cJSON_IsObject(item_of(object)))
        return NULL;
    return json_of(cJSON_GetObjectItemCaseSensitive(item_of(object), name));
}

const struct json *json_first(const struct json *container)
{
    return container == NULL ? NULL : json_of(item_of(container)->child);
}

const struct json *json_next(const struct json *value)
{
    return value == NULL ? NULL : json_of(item_of(value)->next);
}

size_t json_count(const struct json *container)
{
    return (size_t)cJSON_GetArraySize(item_of(container));
}

const char *json_name(const struct json *value)
{
    return value == NULL ? NULL : item_of(value)->string;
}

int json_get_double(const struct json *value, double *ret_value)
{
    if (value == NULL)
        return ERR_NOT_FOUND;
    if (!cJSON_IsNumber(item_of(value)))
        return ERR_INVALID;
    *ret_value = item_of(value)->valuedouble;
    return 0;
}

int json_get_i64(const struct json *value, int64_t min, int64_t max, int64_t *ret_value)
{
    double number;
    int64_t whole;
    int err = json_get_double(value, &number);

    if (err != 0)
        return err;
    if (!double_same(trunc(number), number))
        return ERR_INVALID;
    if (fabs(number) > (double)WHOLE_MAX)
        return ERR_RANGE;
    whole = (int64_t)number;
    if (whole < min || whole > max)
        return ERR_RANGE;
    *ret_value = whole;
    return 0;
}

int json_get_bool(const struct json *value, bool *ret_value)
{
    if (value == NULL)
        return ERR_NOT_FOUND;
    if (!cJSON_IsBool(item_of(value)))
        return ERR_INVALID;
    *ret_value = cJSON_IsTrue(item_of(value)) != 0;
    return 0;
}

const char *json_get_text(const struct json *value)
{
    return cJSON_IsString(item_of(value)) ? item_of(value)->valuestring : NULL;
}

void json_writer_init(struct json_writer *writer, struct buffer *out)
{
    *writer = (struct json_writer){.out = out};
}

/* The comma before a value or key that is not the first, and none before a key's value. */
static void put_comma(struct json_writer *writer)
{
    if (writer->comma)
        buffer_append_char(writer->out, ',');
    writer->comma = true;
}

static void put_begin(struct json_writer *writer, char open)
{
    put_comma(writer);
    buffer_append_char(writer->out, open);
    writer->comma = false;
}

static void put_end(struct json_writer *writer, char close)
{
    buffer_append_char(writer->out, close);
    writer->comma = true;
}

void json_begin_object(struct json_writer *writer)
{
    put_begin(writer, '{');
}

void json_end_object(struct json_writer *writer)
{
    put_end(writer, '}');
}

void json_begin_array(struct json_writer *writer)
{
    put_begin(writer, '[');
}

void json_end_array(struct json_writer *writer)
{
    put_end(writer, ']');
}

/* One character that can not stand for itself. */
static void put_escaped(struct buffer *out, unsigned char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *found = c == '\0' ? NULL : strchr(plain, c);

    if (found != NULL) {
        const char escape[2] = {'\\', letters[found - plain]};
        buffer_append(out, escape, sizeof(escape));
    } else if (c > '\0' && c < ' ') {
        buffer_printf(out, "\\u%04x", c);
    } else {
        /* NUL, or a byte that is not UTF-8: the replacement character says that one stood here. */
        buffer_append_text(out, "\xEF\xBF\xBD");
    }
}

static void put_string(struct buffer *out, const char *text, size_t len)
{
    size_t done = 0;
    size_t at = 0;

    buffer_append_char(out, '"');
    while (at < len) {
        unsigned char c = (unsigned char)text[at];
        size_t width = text_utf8_length(text + at, len - at);
        if (width > 0 && c >= ' ' && c != '"' && c != '\\') {
            at += width;
            continue;
        }
        buffer_append(out, text + done, at - done);
        put_escaped(out, c);
        done = ++at;
    }
    buffer_append(out, text + done, at - done);
    buffer_append_char(out, '"');
}

void json_key(struct json_writer *writer, const char *key)
{
    put_comma(writer);
    put_string(writer->out, key, strlen(key));
    buffer_append_char(writer->out, ':');
    writer->comma = false;
}

void json_text(struct json_writer *writer, const char *text)
{
    if (text == NULL)
        json_null(writer);
    else
        json_text_n(writer, text, strlen(text));
}

void json_text_n(struct json_writer *writer, const char *text, size_t len)
{
    put_comma(writer);
    put_string(writer->out, text, len);
}

void json_double(struct json_writer *writer, double value)
{
    char text[NUMBER_TEXT_SIZE];

    json_raw(writer, text, print_double(value, text));
}

void json_float(struct json_writer *writer, float value)
{
    char text[NUMBER_TEXT_SIZE];

    json_raw(writer, text, print_float(value, text));
}

void json_i64(struct json_writer *writer, int64_t value)
{
    char text[NUMBER_TEXT_SIZE];

    json_raw(writer, text, print_i64(value, text));
}

void json_u64(struct json_writer *writer, uint64_t value)
{
    char text[NUMBER_TEXT_SIZE];

    json_raw(writer, text, print_u64(value, text));
}

void json_bool(struct json_writer *writer, bool value)
{
    json_raw(writer, value ? "true" : "false", value ? 4 : 5);
}

void json_null(struct json_writer *writer)
{
    json_raw(writer, "null", 4);
}

void json_raw(struct json_writer *writer, const char *text, size_t len)
{
    put_comma(writer);
    buffer_append(writer->out, text, len);
}
