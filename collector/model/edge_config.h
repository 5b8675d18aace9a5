/*
 * An edge's configuration, edge.yaml (INTERFACES 2). Immutable after loading; owns its arrays.
 *
 * Which points a unit has is settled when its register map is read, by whoever may see drivers:
 * here stand the names as they were written, and none means all of the map's.
 */
#ifndef MODEL_EDGE_CONFIG_H
#define MODEL_EDGE_CONFIG_H

#include "base/attributes.h"
#include "base/files.h"
#include "model/address_ranges.h"
#include "model/broker_config.h"
#include "model/config_yaml.h"
#include "model/link_url.h"
#include "model/signal_config.h"
#include "model/stream.h"

#include <stddef.h>
#include <stdint.h>

#define EDGE_LINKS_MAX  900
#define EDGE_UNITS_MAX  247 /* of one link */
#define EDGE_POINTS_MAX 50000
#define EDGE_URL_SIZE   320
#define EDGE_POINT_ID   127 /* bytes of site.unit.point, as they travel */

enum point_class { CLASS_SAFETY, CLASS_COMPLIANCE, CLASS_TREND };

/* "safety", "compliance", "trend". */
const char *point_class_name(enum point_class class_);
/* The stream that keeps its points. */
enum stream point_class_stream(enum point_class class_);

/* To which slots polls keep: their own, or the wall clock's full minutes (hours, days). */
enum align { ALIGN_NONE, ALIGN_MINUTE };

enum edge_compress { COMPRESS_NONE, COMPRESS_ZSTD };

struct edge_point {
    char name[65];
    int64_t interval_ms; /* the unit's unless it says otherwise */
    enum align align;    /* likewise */
    enum point_class class_;
    size_t line, column; /* for mistakes found later */
};

struct edge_unit {
    int unit; /* 1..247 */
    char name[65];
    char map[FILE_PATH_SIZE];
    int64_t interval_ms;
    enum align align;
    int64_t latency_ms;                  /* from request to reply; 0: to be measured */
    int64_t max_registers, max_bits;     /* of one read; 0: the protocol's bounds */
    char forbidden[ADDRESS_RANGES_TEXT]; /* ranges that no read may touch */
    enum point_class class_;
    bool raw;                  /* its samples carry the register words too */
    struct edge_point *points; /* NULL: all of the map's */
    size_t point_count;
    size_t line, column;
};

struct edge_link {
    char name[65];
    char url[EDGE_URL_SIZE];
    struct link_url at; /* what the url says */
    int64_t timeout_ms;
    struct edge_unit *units;
    size_t unit_count;
    size_t line, column;
};

struct edge_config {
    char file[FILE_PATH_SIZE];
    char edge[65], site[65], centre[65];
    char journal_path[FILE_PATH_SIZE];
    uint64_t journal_size;
    char control_path[FILE_PATH_SIZE]; /* of the control socket */
    struct broker_config broker;
    int64_t drain_ms, stats_ms;
    uint64_t daily_budget; /* bytes towards the centre in any 24 h; 0: no limit */
    int compress;          /* enum edge_compress */
    struct signal_config signals;
    char marks_file[FILE_PATH_SIZE]; /* "": none */
    struct edge_link *links;
    size_t link_count;
};

MUST_CHECK int edge_config_load(const char *path, struct edge_config **ret_config,
                                struct config_errors *errors);
void edge_config_free(struct edge_config *config);

/* What was understood, as YAML. */
void edge_config_print(const struct edge_config *config, struct buffer *out);

#endif
