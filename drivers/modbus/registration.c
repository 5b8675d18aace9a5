#include "drivers/modbus/registration.h"

#include <string.h>

int registration_find(const uint8_t *bytes, size_t len, const struct link_bytes *const *known,
                      size_t count)
{
    int found = REGISTRATION_UNKNOWN;
    for (size_t i = 0; i < count; i++) {
        size_t common = len < known[i]->len ? len : known[i]->len;
        if (common > 0 && memcmp(bytes, known[i]->bytes, common) != 0)
            continue;
        if (common == known[i]->len)
            return (int)i;
        found = REGISTRATION_PART;
    }
    return found;
}
