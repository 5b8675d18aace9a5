/*
 * CSV as spreadsheets write it (RFC 4180, any line end, quotes, UTF-8 with or without BOM, GBK):
 * the whole text in, cells out, each with its line. Blank lines (commas alone are blank too) and
 * lines that begin with '#' are passed over. Cells are taken as they are, blanks included. A cell
 * beyond the header's columns is refused, unless it is empty, and so are two columns of one name.
 * Bounds: CSV_MAX_BYTES, CSV_MAX_COLUMNS. The table owns all cells. One thread.
 */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include "base/attributes.h"
#include "base/error.h"

#include <stddef.h>

#define CSV_MAX_BYTES   (64 * 1024 * 1024)
#define CSV_MAX_COLUMNS 256

struct csv;

/* Reads the text; the first row is the header. The message says "LINE:COLUMN: what" (columns are
 * characters, from 1). */
MUST_CHECK int csv_parse(const char *text, size_t len, struct csv **ret_csv,
                         struct message *message);
void csv_free(struct csv *csv);

size_t csv_columns(const struct csv *csv);
size_t csv_rows(const struct csv *csv); /* without the header */
const char *csv_header(const struct csv *csv, size_t column);

/* The column of that name (exact), or -1. */
int csv_find_column(const struct csv *csv, const char *name);

/* A cell's text, "" where the row is shorter and where there is none. */
const char *csv_cell(const struct csv *csv, size_t row, size_t column);

/* The line (from 1) on which the row begins; 0 where there is none. */
size_t csv_line(const struct csv *csv, size_t row);

/* Where that cell begins in its line, in characters from 1; 1 where the row is shorter. */
size_t csv_cell_column(const struct csv *csv, size_t row, size_t column);

/* The same of the header. */
size_t csv_header_line(const struct csv *csv);
size_t csv_header_column(const struct csv *csv, size_t column);

#endif
