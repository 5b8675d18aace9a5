#include "service/reading.h"

#include "base/json_fields.h"
#include "base/numbers.h"
#include "model/value_json.h"

#include <stdio.h>

void reading_hex(const uint8_t *bytes, size_t len, char ret_text[READING_HEX_SIZE])
{
    char *at = ret_text;
    *at = '\0';
    for (size_t i = 0; i < len && i < OUTCOME_DATA_MAX; i += 2) {
        if (i)
            *at++ = ' ';
        size_t part = len - i < 2 ? 1 : 2;
        print_hex(bytes + i, part, at);
        at += 2 * part;
    }
}

static void write_place(struct json_writer *json, const struct modbus_request *request)
{
    char text[80];
    snprintf(text, sizeof(text), "unit %u, function %u, %s %u", (unsigned)request->unit,
             (unsigned)request->function, request->function <= 2 ? "bit" : "register",
             (unsigned)request->start);
    json_field_text(json, "address", text);
}

static void write_wire(struct json_writer *json, const struct modbus_outcome *outcome)
{
    char hex[READING_HEX_SIZE];
    reading_hex(outcome->data, outcome->len, hex);
    json_key(json, "raw");
    if (outcome->event == MODBUS_REPLY)
        json_text(json, hex);
    else
        json_null(json);
    write_place(json, &outcome->request);
    json_field_double(json, "took_ms", (double)outcome->took_us / US_PER_MS);
    if (outcome->event != MODBUS_REPLY) {
        json_field_text(json, "trouble", outcome->trouble.text);
    }
}

void reading_write(const char *point, const struct map_register *reg,
                   const struct modbus_outcome *outcome, struct buffer *out)
{
    struct json_writer json;
    struct sample sample = {0};
    char time[TIME_TEXT_SIZE];
    modbus_outcome_sample(outcome, reg, &sample);
    time_format_utc(sample.t_ms, time);
    json_writer_init(&json, out);
    json_begin_object(&json);
    json_field_text(&json, "point", point);
    json_field_text(&json, "unit", reg->unit);
    json_field_text(&json, "time", time);
    json_field_text(&json, "quality", quality_name(sample.quality));
    json_field_text(&json, "cause", cause_name(sample.cause));
    json_key(&json, "value");
    value_write_json(&json, &sample.value);
    if (reg->running)
        json_field_text(
            &json, "note",
            "the meter's count; the edge makes the running total of it 表计读数，非累计");
    write_wire(&json, outcome);
    json_end_object(&json);
}
