/* A register map from anywhere, then its registers over any bytes: no crash, nothing beyond its
 * bounds, no good value that is none, and no running total that falls. */
#include "drivers/modbus/decode.h"
#include "drivers/modbus/register_map.h"
#include "drivers/modbus/totaliser.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Over every word of the bytes, as if they were read one after the other. */
static void check_total(const struct map_register *reg, const uint8_t *data, size_t size)
{
    struct totaliser totaliser = {.known = false};
    double last = -HUGE_VAL;

    for (size_t at = 0; at + 2u * reg->words <= size; at += 2) {
        struct sample sample = {.point = 1};
        decode_registers(reg, data + at, &sample);
        totaliser_take(&totaliser, reg, &sample);
        if (!reg->running || sample.value.kind == VALUE_NONE || sample.value.kind == VALUE_TEXT)
            continue;
        if (sample.value.number < last)
            abort();
        last = sample.value.number;
    }
}

static void check_register(const struct map_register *reg, const uint8_t *data, size_t size)
{
    uint8_t wire[2 * 20] = {0};
    struct sample sample = {.point = 1};

    if (!text_is_name(reg->name) || reg->words < 1 || 2u * reg->words > sizeof wire ||
        reg->address + reg->words > 65536 || reg->function < 1 || reg->function > 4 ||
        (reg->type != REGISTER_BIT) != (reg->function > 2))
        abort();
    memcpy(wire, data + size - (size < sizeof wire ? size : sizeof wire),
           size < sizeof wire ? size : sizeof wire);
    if (reg->type == REGISTER_BIT)
        decode_bit(reg, wire[0] & 1, &sample);
    else
        decode_registers(reg, wire, &sample);
    if (!isfinite(sample.value.number) ||
        (sample.quality == QUALITY_GOOD) != (sample.cause == CAUSE_NONE) ||
        (sample.quality == QUALITY_GOOD && sample.value.kind == VALUE_NONE) ||
        !text_is_utf8(sample.value.text, strlen(sample.value.text)))
        abort();
    if (reg->modulus > 0)
        check_total(reg, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_errors errors = {.count = 0};
    struct register_map *map = NULL;

    buffer_init(&errors.text, 1 << 20);
    if (register_map_parse("map.csv", data, size, &map, &errors) != 0) {
        if (errors.count == 0 || map != NULL)
            abort();
    } else {
        for (size_t i = 0; i < register_map_count(map); i++) {
            check_register(register_map_at(map, i), data, size);
            if (register_map_find(map, register_map_at(map, i)->name) != (int)i)
                abort();
        }
    }
    register_map_free(map);
    buffer_release(&errors.text);
    return 0;
}
