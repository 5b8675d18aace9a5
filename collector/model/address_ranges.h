/*
 * Ranges of register addresses as people write them: "100-110, 4:200": of whichever function, or of
 * the one before the colon. Pure; any thread.
 */
#ifndef MODEL_ADDRESS_RANGES_H
#define MODEL_ADDRESS_RANGES_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define ADDRESS_RANGES_MAX  16
#define ADDRESS_RANGES_TEXT 160

struct address_range {
    uint8_t function; /* 1..4; 0: whichever */
    uint16_t first, last;
};

/* ERR_INVALID, with words, for what is no list of ranges; ERR_FULL for too many. "" has none. */
MUST_CHECK int address_ranges_parse(const char *text,
                                    struct address_range ret_ranges[ADDRESS_RANGES_MAX],
                                    size_t *ret_count, struct message *message);

#endif
