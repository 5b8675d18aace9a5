/* Numbers from anywhere. The first bytes are a double and a float: their texts read back alike. All
 * bytes are a text for the readers: what one accepts is printed and read again alike. */
#include "base/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_double(double value)
{
    char text[NUMBER_TEXT_SIZE];
    double back;
    size_t len = print_double(value, text);

    if (len != strlen(text))
        abort();
    if (isfinite(value) && (parse_double_n(text, len, &back) != 0 || !double_same(value, back)))
        abort();
}

static void check_texts(const char *text)
{
    char printed[NUMBER_TEXT_SIZE];
    int64_t i;
    int64_t i_back;
    uint64_t u;

    if (parse_i64(text, INT64_MIN, INT64_MAX, &i) == 0) {
        print_i64(i, printed);
        if (parse_i64(printed, i, i, &i_back) != 0)
            abort();
    }
    if (parse_duration_ms(text, &i) == 0 && i < 0)
        abort();
    if (parse_size(text, &u) == 0 && text[0] == '-')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char printed[NUMBER_TEXT_SIZE];
    double value = 0;
    float single = 0;
    char *text = size == 0 ? strdup("") : strndup((const char *)data, size);

    if (size >= sizeof(value)) {
        memcpy(&value, data, sizeof(value));
        memcpy(&single, data, sizeof(single));
    }
    check_double(value);
    if (print_float(single, printed) != strlen(printed))
        abort();
    if (parse_double_n((const char *)data, size, &value) == 0)
        check_double(value);
    check_texts(text);
    free(text);
    return 0;
}
