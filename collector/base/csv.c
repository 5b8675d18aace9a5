/*
 * Design notes.
 *
 * The text is made UTF-8 once, in a buffer of the table's own; cells are cut out of it in place: a
 * NUL takes the place of what ended the cell, and a quoted cell's text moves left over its quotes.
 * So the reader writes only where it has read already. `cells` holds where each cell begins, `rows`
 * where each row's cells do and its line; one more row at the end tells where the last one stops.
 *
 * Spreadsheets fill rows up to the widest: empty cells at a header's end are no columns, empty
 * cells beyond the columns are passed over, and a line of nothing but commas and blanks is a blank
 * one. Any other cell beyond the columns is refused: it would be lost in silence.
 */
#include "base/csv.h"

#include "base/buffer.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* GBK takes two bytes for what UTF-8 takes three; GB18030 never grows by more. */
#define UTF8_MAX_BYTES (CSV_MAX_BYTES / 2 * 3 + 1)

struct cell {
    uint32_t start;  /* in the text */
    uint32_t column; /* where it began in the file, in characters */
};

struct row {
    uint32_t first; /* its first cell in `cells` */
    uint32_t line;
};

struct csv {
    struct buffer text;
    struct cell *cells;
    size_t cell_count;
    size_t cell_capacity;
    struct row *rows; /* the header, the rows, and the end */
    size_t row_count; /* without the end */
    size_t row_capacity;
    size_t columns;
};

struct reader {
    struct csv *csv;
    char *at;
    char *end;
    char last; /* the byte taken last; its place may hold another by now */
    size_t line;
    size_t column; /* in characters, from 1 */
    struct message *message;
};

static int refuse_at(struct reader *reader, int err, size_t line, size_t column, const char *what)
{
    return message_set(reader->message, err, "%zu:%zu: %s", line, column, what);
}

static int refuse(struct reader *reader, int err, const char *what)
{
    return refuse_at(reader, err, reader->line, reader->column, what);
}

/* The byte at hand; NUL, which the text does not hold, at the end. */
static char peek(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0';
}

static bool ends_line(char c)
{
    return c == '\n' || c == '\r' || c == '\0';
}

static char take(struct reader *reader)
{
    char c = *reader->at++;

    if (c == '\r' || (c == '\n' && reader->last != '\r')) {
        reader->line++;
        reader->column = 1;
    } else if (c != '\n' && ((unsigned char)c & 0xC0) != 0x80) {
        reader->column++;
    }
    reader->last = c;
    return c;
}

/* Takes what ends a line, if it is at hand. */
static void take_line_end(struct reader *reader)
{
    if (peek(reader) == '\r')
        take(reader);
    else if (peek(reader) != '\n')
        return;
    if (peek(reader) == '\n')
        take(reader);
}

static void *grown(void *array, size_t count, size_t *capacity, size_t size)
{
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *larger;

    if (count < *capacity)
        return array;
    larger = reallocarray(array, wanted, size);
    if (larger != NULL)
        *capacity = wanted;
    return larger;
}

static int add_cell(struct reader *reader, const char *start, size_t column)
{
    struct csv *csv = reader->csv;
    struct cell *cells = grown(csv->cells, csv->cell_count, &csv->cell_capacity, sizeof(*cells));

    if (cells == NULL)
        return refuse(reader, ERR_NO_MEMORY, "out of memory");
    csv->cells = cells;
    csv->cells[csv->cell_count++] =
        (struct cell){.start = (uint32_t)(start - csv->text.data), .column = (uint32_t)column};
    return 0;
}

/* Marks that a row begins here (or, at the very end, that the last has stopped). */
static int add_row(struct reader *reader)
{
    struct csv *csv = reader->csv;
    struct row *rows = grown(csv->rows, csv->row_count, &csv->row_capacity, sizeof(*rows));

    if (rows == NULL)
        return refuse(reader, ERR_NO_MEMORY, "out of memory");
    csv->rows = rows;
    csv->rows[csv->row_count++] =
        (struct row){.first = (uint32_t)csv->cell_count, .line = (uint32_t)reader->line};
    return 0;
}

/* From its opening quote to behind its closing one; *ret_end is where its text stops. */
static int read_quoted(struct reader *reader, char **ret_start, char **ret_end)
{
    size_t line = reader->line;
    size_t column = reader->column;
    char *start;
    char *to;

    take(reader);
    start = reader->at;
    to = start;
    for (;;) {
        char c;
        if (reader->at == reader->end)
            return refuse_at(reader, ERR_INVALID, line, column, "a quote that is never closed");
        c = take(reader);
        if (c == '"') {
            if (peek(reader) != '"')
                break;
            take(reader);
        }
        *to++ = c;
    }
    if (peek(reader) != ',' && !ends_line(peek(reader)))
        return refuse(reader, ERR_INVALID, "more after a closing quote");
    *ret_start = start;
    *ret_end = to;
    return 0;
}

static int read_plain(struct reader *reader, char **ret_start, char **ret_end)
{
    *ret_start = reader->at;
    while (peek(reader) != ',' && !ends_line(peek(reader))) {
        if (peek(reader) == '"')
            return refuse(reader, ERR_INVALID,
                          "a quote within a cell: put the cell in quotes, and its quote twice");
        take(reader);
    }
    *ret_end = reader->at;
    return 0;
}

/* Reads a cell, and the comma behind it if there is one: then *ret_more. */
static int read_cell(struct reader *reader, size_t index, bool *ret_more)
{
    bool is_header = reader->csv->row_count == 1;
    bool is_column = is_header ? index < CSV_MAX_COLUMNS : index < reader->csv->columns;
    size_t line = reader->line;
    size_t column = reader->column;
    char *start = reader->at;
    char *end = start;
    int err =
        peek(reader) == '"' ? read_quoted(reader, &start, &end) : read_plain(reader, &start, &end);

    if (err != 0)
        return err;
    if (!is_column && end > start) {
        if (is_header)
            return message_set(reader->message, ERR_FULL, "%zu:%zu: more than %d columns", line,
                               column, CSV_MAX_COLUMNS);
        return refuse_at(reader, ERR_INVALID, line, column, "a cell beyond the header's columns");
    }
    if (is_column)
        err = add_cell(reader, start, column);
    *ret_more = peek(reader) == ',';
    if (*ret_more)
        take(reader);
    else
        take_line_end(reader);
    /* Only now: the NUL takes the place of the comma or line end. */
    *end = '\0';
    return err;
}

static int read_row(struct reader *reader)
{
    bool more = true;
    int err = add_row(reader);

    for (size_t index = 0; more && err == 0; index++)
        err = read_cell(reader, index, &more);
    return err;
}

/* Drops the empty cells at the header's end, and looks for equal names. */
static int finish_header(struct reader *reader)
{
    struct csv *csv = reader->csv;

    while (csv->cell_count > 0 && csv->text.data[csv->cells[csv->cell_count - 1].start] == '\0')
        csv->cell_count--;
    csv->columns = csv->cell_count;
    if (csv->columns == 0)
        return refuse_at(reader, ERR_INVALID, csv->rows[0].line, 1, "no column has a name");
    for (size_t column = 0; column < csv->columns; column++) {
        const char *name = csv_header(csv, column);
        if (*name != '\0' && csv_find_column(csv, name) != (int)column)
            return message_set(reader->message, ERR_INVALID, "%u:1: two columns of one name: %s",
                               csv->rows[0].line, name);
    }
    return 0;
}

/* Passes over a line that is blank or a comment; false when a row stands here. */
static bool pass_over(struct reader *reader)
{
    size_t blanks = strspn(reader->at, " \t,");

    if (peek(reader) != '#' && !ends_line(reader->at[blanks]))
        return false;
    while (!ends_line(peek(reader)))
        take(reader);
    take_line_end(reader);
    return true;
}

static int read_rows(struct reader *reader)
{
    struct csv *csv = reader->csv;
    int err = 0;

    while (reader->at < reader->end && err == 0) {
        if (pass_over(reader))
            continue;
        err = read_row(reader);
        if (err == 0 && csv->row_count == 1)
            err = finish_header(reader);
    }
    if (err != 0)
        return err;
    if (csv->row_count == 0)
        return refuse(reader, ERR_INVALID, "no header row");
    err = add_row(reader);
    if (err == 0)
        csv->row_count--;
    return err;
}

static int make_utf8(struct csv *csv, const char *text, size_t len, struct message *message)
{
    size_t bad = 0;
    size_t line = 1;
    int err = text_to_utf8_where(text, len, &csv->text, &bad);

    if (err == ERR_INVALID) {
        for (size_t i = 0; i < bad; i++)
            line += text[i] == '\n' ? 1 : 0;
        return message_set(message, err,
                           "%zu:1: neither UTF-8 nor GBK, or a mixture; save the file as UTF-8",
                           line);
    }
    if (err != 0)
        return message_set(message, err, "1:1: %s", err_name(err));
    if (csv->text.len == 0)
        return message_set(message, ERR_INVALID, "1:1: no header row");
    return 0;
}

int csv_parse(const char *text, size_t len, struct csv **ret_csv, struct message *message)
{
    struct reader reader = {.line = 1, .column = 1, .message = message};
    struct csv *csv;
    int err;

    if (len > CSV_MAX_BYTES)
        return message_set(message, ERR_FULL, "1:1: more than %d bytes", CSV_MAX_BYTES);
    csv = calloc(1, sizeof(*csv));
    if (csv == NULL)
        return message_set(message, ERR_NO_MEMORY, "1:1: out of memory");
    buffer_init(&csv->text, UTF8_MAX_BYTES);
    err = make_utf8(csv, text, len, message);
    if (err != 0)
        goto out;
    reader.csv = csv;
    reader.at = csv->text.data;
    reader.end = csv->text.data + csv->text.len;
    err = read_rows(&reader);
    if (err != 0)
        goto out;
    *ret_csv = csv;
    csv = NULL;
out:
    csv_free(csv);
    return err;
}

void csv_free(struct csv *csv)
{
    if (csv == NULL)
        return;
    buffer_release(&csv->text);
    free(csv->cells);
    free(csv->rows);
    free(csv);
}

size_t csv_columns(const struct csv *csv)
{
    return csv->columns;
}

size_t csv_rows(const struct csv *csv)
{
    return csv->row_count - 1;
}

const char *csv_header(const struct csv *csv, size_t column)
{
    return column < csv->columns ? csv->text.data + csv->cells[column].start : "";
}

int csv_find_column(const struct csv *csv, const char *name)
{
    for (size_t column = 0; column < csv->columns; column++)
        if (strcmp(csv_header(csv, column), name) == 0)
            return (int)column;
    return -1;
}

const char *csv_cell(const struct csv *csv, size_t row, size_t column)
{
    const struct row *at;

    if (row >= csv_rows(csv))
        return "";
    at = &csv->rows[row + 1];
    if (column >= at[1].first - at[0].first)
        return "";
    return csv->text.data + csv->cells[at->first + column].start;
}

size_t csv_line(const struct csv *csv, size_t row)
{
    return row < csv_rows(csv) ? csv->rows[row + 1].line : 0;
}

size_t csv_cell_column(const struct csv *csv, size_t row, size_t column)
{
    const struct row *at;

    if (row >= csv_rows(csv))
        return 0;
    at = &csv->rows[row + 1];
    return column < at[1].first - at[0].first ? csv->cells[at->first + column].column : 1;
}

size_t csv_header_line(const struct csv *csv)
{
    return csv->rows[0].line;
}

size_t csv_header_column(const struct csv *csv, size_t column)
{
    return column < csv->columns ? csv->cells[column].column : 0;
}
