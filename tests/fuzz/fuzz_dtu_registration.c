/* Any first bytes of a call, cut anywhere: who is found is who they begin with, and to wait for
 * more has an end. The first bytes of the input make the registrations that are known. */
#include "drivers/modbus/registration.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool alike(const struct link_bytes *a, const struct link_bytes *b)
{
    return memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len) == 0;
}

/* Each is a length and its bytes; what begins like one before is left out. */
static size_t make_known(const uint8_t **data, size_t *size, struct link_bytes *known,
                         const struct link_bytes **list)
{
    size_t count = 0;
    while (count<KNOWN_MAX && * size> 1) {
        struct link_bytes *one = &known[count];
        one->len = 1 + (*data)[0] % LINK_BYTES_MAX;
        one->len = one->len < *size - 1 ? one->len : *size - 1;
        memcpy(one->bytes, *data + 1, one->len);
        *data += one->len + 1;
        *size -= one->len + 1;
        bool new = true;
        for (size_t i = 0; i < count; i++)
            new = new && !alike(&known[i], one);
        list[count] = one;
        count += new;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct link_bytes known[KNOWN_MAX] = {0};
    const struct link_bytes *list[KNOWN_MAX];
    size_t count = make_known(&data, &size, known, list);
    int last = REGISTRATION_PART;

    for (size_t len = 0; len <= size; len++) {
        int found = registration_find(data, len, list, count);
        if (found >= 0 &&
            (list[found]->len > len || memcmp(list[found]->bytes, data, list[found]->len) != 0))
            abort();
        if (found == REGISTRATION_PART && len >= LINK_BYTES_MAX)
            abort();
        /* Once it is told, more bytes change nothing. */
        if (last != REGISTRATION_PART && found != last)
            abort();
        last = found;
    }
    return 0;
}
