/*
 * What record_parse takes, base/json takes too and means the same; its head is the head read alone;
 * and data that was read can be written and read again.
 */
#include "base/json.h"
#include "base/numbers.h"
#include "model/record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int holds)
{
    if (!holds)
        abort();
}

static void write_and_read_again(struct record *record)
{
    struct record_data *data = record_data_new(RECORD_MAX_BYTES);
    struct record again;
    struct buffer out;
    size_t count = 0;

    buffer_init(&out, RECORD_MAX_BYTES);
    while (count < record->sample_count &&
           record_data_add(data, record->samples[count].point, &record->samples[count]) == 0)
        count++;
    record_data_write(data, &out, &record->head, record->birth, record->total);
    expect(record_parse(out.data, out.len, &again, NULL) == 0);
    expect(again.sample_count == count && again.total == record->total);
    for (size_t i = 0; i < count; i++)
        expect(again.samples[i].t_ms == record->samples[i].t_ms &&
               again.samples[i].held == record->samples[i].held &&
               again.samples[i].raw_count == record->samples[i].raw_count &&
               double_same(again.samples[i].value.number, record->samples[i].value.number));
    record_release(&again);
    buffer_release(&out);
    record_data_free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_document *document = NULL;
    struct record_head head;
    struct record record;
    double seq;

    if (record_parse((const char *)data, size, &record, NULL) != 0)
        return 0;
    expect(json_parse((const char *)data, size, &document, NULL) == 0);
    expect(json_get_double(json_member(json_root(document), "seq"), &seq) == 0);
    expect(double_same(seq, (double)record.head.seq));
    expect(record_parse_head((const char *)data, size, &head, NULL) == 0);
    expect(head.seq == record.head.seq && head.t0_ms == record.head.t0_ms);
    if (record.head.kind == RECORD_DATA)
        write_and_read_again(&record);
    record_release(&record);
    json_free(document);
    return 0;
}
