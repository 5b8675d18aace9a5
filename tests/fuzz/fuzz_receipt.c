/*
 * What the readers of small messages take, base/json takes too; and what was read, written again,
 * is read as the same.
 */
#include "base/json.h"
#include "model/receipt.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int holds)
{
    if (!holds)
        abort();
}

static void check_receipt(const struct receipt *receipt)
{
    struct receipt again;
    struct buffer out;

    buffer_init(&out, 64 * 1024);
    receipt_write(&out, receipt);
    expect(receipt_parse(out.data, out.len, &again, NULL) == 0);
    for (int i = 0; i < STREAM_COUNT; i++)
        expect(again.streams[i].through == receipt->streams[i].through &&
               again.streams[i].also_count == receipt->streams[i].also_count);
    expect(strcmp(again.nonce, receipt->nonce) == 0 && again.credit == receipt->credit);
    buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct json_document *document = NULL;
    struct receipt receipt;
    struct edge_state edge;
    struct centre_state centre;
    struct birth_request request;
    int taken = 0;

    if (receipt_parse(text, size, &receipt, NULL) == 0) {
        taken++;
        check_receipt(&receipt);
    }
    taken += edge_state_parse(text, size, &edge, NULL) == 0;
    taken += centre_state_parse(text, size, &centre, NULL) == 0;
    taken += birth_request_parse(text, size, &request, NULL) == 0;
    if (taken > 0)
        expect(json_parse(text, size, &document, NULL) == 0);
    json_free(document);
    return 0;
}
