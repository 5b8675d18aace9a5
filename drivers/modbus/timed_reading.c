#include "drivers/modbus/timed_reading.h"

#include <stdlib.h>
#include <string.h>

bool timed_reading_repeats(struct timed_reading **last, int64_t device_ms, const uint8_t *words,
                           size_t len)
{
    struct timed_reading *before = *last;

    if (before == NULL)
        before = *last = calloc(1, sizeof *before);
    if (before == NULL || len > sizeof before->words)
        return false;
    if (before->len == len && before->device_ms == device_ms &&
        memcmp(before->words, words, len) == 0)
        return true;
    before->device_ms = device_ms;
    before->len = len;
    memcpy(before->words, words, len);
    return false;
}

void timed_reading_doubt(struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (samples[i].quality == QUALITY_GOOD) {
            samples[i].quality = QUALITY_UNCERTAIN;
            samples[i].cause = CAUSE_CLOCK;
        }
}
