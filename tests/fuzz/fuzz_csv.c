/* CSV from anywhere: no crash, every cell within its bounds and UTF-8, lines in rising order. */
#include "base/csv.h"
#include "base/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rows(const struct csv *csv)
{
    size_t line = 0;

    for (size_t row = 0; row < csv_rows(csv); row++) {
        if (csv_line(csv, row) <= line)
            abort();
        line = csv_line(csv, row);
        for (size_t column = 0; column <= csv_columns(csv); column++) {
            const char *cell = csv_cell(csv, row, column);
            if (!text_is_utf8(cell, strlen(cell)))
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message = {""};
    struct csv *csv;

    if (csv_parse((const char *)data, size, &csv, &message) != 0) {
        if (message.text[0] == '\0')
            abort();
        return 0;
    }
    if (csv_columns(csv) == 0 || csv_columns(csv) > CSV_MAX_COLUMNS)
        abort();
    for (size_t column = 0; column < csv_columns(csv); column++) {
        const char *name = csv_header(csv, column);
        if (*name != '\0' && csv_find_column(csv, name) != (int)column)
            abort();
    }
    check_rows(csv);
    csv_free(csv);
    return 0;
}
