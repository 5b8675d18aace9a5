/*
 * Journal records: the JSON that edges send and journals keep, verbatim (INTERFACES 3).
 *
 * Writing: record_write_* appends one record's JSON to a buffer; the caller has set `head`, whose
 * sequence is the one the journal will give. Reading: record_parse checks everything and fills a
 * struct record, which owns what it points to until record_release. Pure; any thread, one record
 * per thread at a time. record.c writes, record_parse.c reads.
 *
 * Members may come in any order, and unknown ones are passed over: later versions add some. What
 * is read is checked to the last byte all the same (model/pull.h). A cause that a later version
 * has added is read as CAUSE_NONE, its quality kept; a birth whose list of causes contradicts ours
 * is refused. A sample without a value is never better than bad, whatever its `q` says.
 *
 * Bounds: RECORD_MAX_BYTES, RECORD_MAX_VALUES; a birth names at most RECORD_MAX_POINTS points
 * (an edge with more has several births). The edge closes records at RECORD_CLOSE_BYTES: above it
 * a message over TLS waits 44 ms for a delayed acknowledgement.
 */
#ifndef MODEL_RECORD_H
#define MODEL_RECORD_H

#include "base/buffer.h"
#include "base/error.h"
#include "model/sample.h"
#include "model/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_MAX_BYTES   (64 * 1024)
#define RECORD_MAX_VALUES  3000
#define RECORD_MAX_POINTS  200
#define RECORD_CLOSE_BYTES 16000
#define RECORD_MAX_HELD    1000000 /* of one sample; so a record's readings fit into 32 bits */

/* Sequences, totals, counts: what a JSON number holds exactly. */
#define RECORD_MAX_NUMBER (UINT64_C(1) << 53)

/* Times in records are those that can be printed: years 0000 to 9999. */
#define RECORD_MIN_TIME (-INT64_C(62167219200000))
#define RECORD_MAX_TIME INT64_C(253402300799999)

enum record_kind {
    RECORD_BIRTH,
    RECORD_DATA,
    RECORD_LOSS,
    RECORD_ACTION,  /* a person did something: ack … */
    RECORD_VERDICT, /* a provider's answer to a notification */
    RECORD_START,   /* the centre began: silence before it was ours */
    RECORD_TICK,    /* time passes: nothing else came */
    RECORD_KIND_COUNT,
};

const char *record_kind_name(enum record_kind kind);

#define EPOCH_SIZE 33 /* 32 hex digits */
#define BIRTH_SIZE 17 /* 16 hex digits: the start of SHA-256 of the birth's payload */

/* What every record begins with. */
struct record_head {
    enum record_kind kind;
    char epoch[EPOCH_SIZE];
    enum stream stream;
    uint64_t seq; /* from 1 */
    char boot[33];
    int64_t mono_us;
    bool sync;
    int64_t t0_ms; /* UTC; of data: what `dt` counts from */
};

/* Of a record that was recorded anew when its epoch ended: what it was there. */
struct record_was {
    char epoch[EPOCH_SIZE]; /* "": this is where it was recorded first */
    uint64_t seq;           /* in the same stream */
    bool other; /* another record may have borne that number as well (a restored disk) */
};

struct record_loss {
    enum stream of;
    uint64_t first, last;   /* sequences */
    int64_t from_ms, to_ms; /* source times, as far as known */
    uint64_t points;        /* readings that were in them, held ones counted */
    char cause[32];         /* space, restart, damage, epoch */
    char epoch[EPOCH_SIZE]; /* whose sequences they are; "": the record's own */
    bool other;             /* other records may have borne those numbers as well: they tell nothing
                               of what the centre has under them */
};

struct record_action {
    char user[65], role[16], action[32], target[128], note[256];
    uint64_t occurrence; /* 0: the current one */
};

struct record_verdict {
    char key[96]; /* of the notification */
    char channel[32], verdict[64];
    int64_t attempt;
};

struct record {
    struct record_head head;
    struct record_was was; /* of birth, data and loss */
    /* birth */
    char edge[65], site[65];
    struct point_info *points;
    size_t point_count;
    /* data: `point` of a sample is its number in the birth */
    char birth[BIRTH_SIZE];
    struct sample *samples;
    size_t sample_count;
    uint64_t held;  /* of all samples: readings that they stand for beside themselves */
    uint64_t total; /* readings, held ones counted, in this epoch up to and with this record */
    /* others */
    struct record_loss loss;
    struct record_action action;
    struct record_verdict verdict;
};

/* ERR_INVALID or ERR_RANGE (or ERR_NO_MEMORY), with what and where in the message. */
MUST_CHECK int record_parse(const char *payload, size_t len, struct record *ret_record,
                            struct message *message);
void record_release(struct record *record);

/* Only the head, with the same checks of it. What comes behind its last member is not looked at. */
MUST_CHECK int record_parse_head(const char *payload, size_t len, struct record_head *ret_head,
                                 struct message *message);

/* The name of a birth: from its verbatim payload. */
void record_birth_id(const void *payload, size_t len, char ret_birth[BIRTH_SIZE]);

/* Writers fail only by `out` (buffer_error); text in the structs is UTF-8. A birth of long names
 * may pass RECORD_MAX_BYTES before RECORD_MAX_POINTS: give `out` that limit. */
void record_write_birth(struct buffer *out, const struct record_head *head, const char *edge,
                        const char *site, const struct point_info *points, size_t count);
void record_write_loss(struct buffer *out, const struct record_head *head,
                       const struct record_loss *loss);
void record_write_action(struct buffer *out, const struct record_head *head,
                         const struct record_action *action);
void record_write_verdict(struct buffer *out, const struct record_head *head,
                          const struct record_verdict *verdict);
/* A birth, data or loss once more, in another epoch: what it says stays to the byte, also what this
 * version does not know; head, birth and total (of data) are new ones, `was` is told, and the
 * sequences of a loss are said to be of the epoch `was`, and whether others bore them (`of_other`).
 * ERR_INVALID or ERR_RANGE, with words, when it cannot be read; `out` is appended to. */
MUST_CHECK int record_write_again(struct buffer *out, const char *payload, size_t len,
                                  const struct record_head *head, const char birth[BIRTH_SIZE],
                                  uint64_t total, const struct record_was *was, bool of_other,
                                  struct message *message);
/* start and tick: the head says it all. */
void record_write_mark(struct buffer *out, const struct record_head *head);

/*
 * A data record under construction: samples of one birth are added until it is full; writing it
 * out empties it. Source times may go in any order.
 */
struct record_data;

struct record_data *record_data_new(size_t max_bytes);
void record_data_free(struct record_data *data);
/* `id`: the point's number in the birth; sample->point is not looked at. ERR_FULL when it would
 * pass max_bytes (at least 1024 are taken) or RECORD_MAX_VALUES: write the record out, then add
 * again, and it fits. ERR_INVALID: no record can hold it (an id beyond the birth's, a number that
 * is not finite, text that is not UTF-8, a time beyond the bounds). ERR_NO_MEMORY. */
MUST_CHECK int record_data_add(struct record_data *data, uint32_t id, const struct sample *sample);
size_t record_data_count(const struct record_data *data);
/* Samples and the readings held back before them: what the record accounts for in the books. */
uint64_t record_data_readings(const struct record_data *data);
/* The bytes that writing it out now would take, a few less at the head. */
size_t record_data_bytes(const struct record_data *data);
/* The source time of the first sample added; undefined while empty. It becomes t0. */
int64_t record_data_t0(const struct record_data *data);
/* Sets the head's kind and t0, appends the record, empties `data`. */
void record_data_write(struct record_data *data, struct buffer *out, struct record_head *head,
                       const char birth[BIRTH_SIZE], uint64_t total);

#endif
