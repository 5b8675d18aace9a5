#include "model/address_ranges.h"

#include "base/numbers.h"

#include <string.h>

#define RANGE_TEXT 32

/* Blanks around it are fine. */
static int parse_number(char *text, int64_t min, int64_t max, int64_t *ret_value)
{
    size_t len;
    text += strspn(text, " ");
    len = strlen(text);
    while (len && text[len - 1] == ' ')
        text[--len] = '\0';
    return parse_i64(text, min, max, ret_value);
}

/* "4:100-110" */
static int parse_range(char *text, struct address_range *ret_range)
{
    char *colon = strchr(text, ':');
    char *addresses = colon ? colon + 1 : text;
    char *dash = strchr(addresses, '-');
    int64_t function = 0, first, last;
    if (colon)
        *colon = '\0';
    if (dash)
        *dash = '\0';
    if ((colon && parse_number(text, 1, 4, &function)) ||
        parse_number(addresses, 0, UINT16_MAX, &first))
        return ERR_INVALID;
    last = first;
    if (dash && parse_number(dash + 1, first, UINT16_MAX, &last))
        return ERR_INVALID;
    *ret_range = (struct address_range){(uint8_t)function, (uint16_t)first, (uint16_t)last};
    return 0;
}

int address_ranges_parse(const char *text, struct address_range ret_ranges[ADDRESS_RANGES_MAX],
                         size_t *ret_count, struct message *message)
{
    size_t count = 0;
    while (*text) {
        char one[RANGE_TEXT];
        size_t len = strcspn(text, ",");
        if (count == ADDRESS_RANGES_MAX)
            return message_set(message, ERR_FULL, "more than %d ranges", ADDRESS_RANGES_MAX);
        if (len < sizeof(one)) {
            memcpy(one, text, len);
            one[len] = '\0';
        }
        if (len >= sizeof(one) || parse_range(one, &ret_ranges[count]))
            return message_set(message, ERR_INVALID,
                               "'%.*s' is no range of addresses; expected 100-110, or 4:100-110 "
                               "for function 4 alone",
                               (int)(len < RANGE_TEXT ? len : RANGE_TEXT), text);
        count++;
        text += len + (text[len] == ',' ? 1 : 0);
    }
    *ret_count = count;
    return 0;
}
