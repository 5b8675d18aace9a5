/*
 * Small messages between centre and edge beside records: receipts ("durable through N"),
 * requests, presence of either side. JSON as in INTERFACES 3. Pure, plain data.
 *
 * Readers are as strict as record_parse: ERR_INVALID or ERR_RANGE, the message names the member;
 * unknown members and letters of streams are passed over. Writers fail only by `out`.
 */
#ifndef MODEL_RECEIPT_H
#define MODEL_RECEIPT_H

#include "base/buffer.h"
#include "base/error.h"
#include "model/intervals.h"
#include "model/record.h"
#include "model/stream.h"

#define RECEIPT_MAX_ALSO 32
#define NONCE_SIZE       33

struct receipt_stream {
    bool present;
    uint64_t through;
    struct interval also[RECEIPT_MAX_ALSO]; /* above `through`, rising */
    size_t also_count;
    /* The greatest record held and the CRC32C of its payload, by which an edge finds out that the
     * centre knows its numbers with other contents (its disk was restored). 0: not said. */
    uint64_t tip, tip_sum;
};

struct receipt {
    char centre[65];
    char nonce[NONCE_SIZE]; /* of the centre's run: a new one means "resend what is unreceived" */
    char instance[NONCE_SIZE]; /* of the edge's run whose state was the last to come; "": unknown.
                                  What an earlier run sent had come before that state */
    char epoch[EPOCH_SIZE];
    struct receipt_stream streams[STREAM_COUNT];
    uint64_t credit; /* bytes of backlog the edge may have under way */
};

MUST_CHECK int receipt_parse(const char *text, size_t len, struct receipt *ret_receipt,
                             struct message *message);
void receipt_write(struct buffer *out, const struct receipt *receipt);

/* Fills one stream of a receipt from what has been received. Of more ranges than fit the lowest are
 * told, which free the most, and the newest, where the live records are. */
void receipt_set(struct receipt_stream *stream, const struct intervals *received);

/* The edge's presence, {edge}/state: retained, and its will with up=false. */
struct edge_state {
    char edge[65], site[65];
    char instance[NONCE_SIZE]; /* of this run */
    char epoch[EPOCH_SIZE];
    bool up;
    uint64_t last[STREAM_COUNT]; /* greatest durable sequence */
    uint64_t total;              /* samples appended in this epoch */
    int64_t t_ms;
};

MUST_CHECK int edge_state_parse(const char *text, size_t len, struct edge_state *ret_state,
                                struct message *message);
void edge_state_write(struct buffer *out, const struct edge_state *state);

/* The centre's presence, central/{centre}/state: retained, a heartbeat each 10 s, and its will. */
struct centre_state {
    char centre[65];
    char nonce[NONCE_SIZE];
    bool up;
    int64_t t_ms;
    bool zstd; /* it reads payloads that are packed so ("accepts": ["zstd"]) */
};

MUST_CHECK int centre_state_parse(const char *text, size_t len, struct centre_state *ret_state,
                                  struct message *message);
void centre_state_write(struct buffer *out, const struct centre_state *state);

/* {edge}/request: send that birth again. */
struct birth_request {
    char birth[BIRTH_SIZE];
};

MUST_CHECK int birth_request_parse(const char *text, size_t len, struct birth_request *ret_request,
                                   struct message *message);
void birth_request_write(struct buffer *out, const struct birth_request *request);

#endif
