#include "edge/stats.h"

#include "base/json_fields.h"

#define LINKS_TOLD 50

static void write_link(const struct poller_status *status, struct json_writer *json)
{
    json_begin_object(json);
    json_field_text(json, "link", status->name);
    json_field_bool(json, "up", status->driver.up);
    json_field_u64(json, "units", status->driver.units);
    json_field_u64(json, "units_down", status->driver.units_down);
    json_field_u64(json, "samples", status->driver.samples);
    json_field_u64(json, "bad", status->driver.bad);
    json_field_u64(json, "repeated", status->driver.repeated);
    json_field_u64(json, "strays", status->driver.strays);
    json_field_u64(json, "skipped", status->driver.skipped);
    json_field_u64(json, "late", status->driver.late);
    json_field_text(json, "trouble", status->driver.trouble.text);
    json_end_object(json);
}

static void write_links(struct poller *poller, struct json_writer *json)
{
    json_key(json, "links");
    json_begin_array(json);
    for (size_t i = 0; i < poller_count(poller) && i < LINKS_TOLD; i++) {
        struct poller_status status;
        poller_get_status(poller, i, &status);
        write_link(&status, json);
    }
    json_end_array(json);
}

static void write_outgoing(const struct outgoing *outgoing, struct json_writer *json)
{
    json_field_u64(json, "bytes_sent", outgoing->bytes);
    json_field_u64(json, "bytes_packed_away", outgoing->plain_bytes - outgoing->bytes);
    json_field_bool(json, "budget_waits", outgoing_waiting_us(outgoing) > 0);
}

void edge_stats_write(const struct edge_stats_sources *from, struct buffer *out)
{
    struct recorder_status recorder;
    uint64_t bytes, received;
    recorder_get_status(from->recorder, &recorder);
    journal_bytes(from->journal, &bytes, &received);
    struct json_writer json;
    json_writer_init(&json, out);
    json_begin_object(&json);
    json_field_u64(&json, "journal_bytes", bytes);
    json_field_u64(&json, "journal_limit", from->config->journal_size);
    json_field_u64(&json, "samples_held", recorder.held);
    json_field_u64(&json, "samples_refused", recorder.refused);
    json_field_u64(&json, "samples_lost", recorder.lost);
    write_outgoing(from->outgoing, &json);
    write_links(from->poller, &json);
    json_end_object(&json);
}
