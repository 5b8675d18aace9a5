/*
 * The marks that operators keep in a file (`marks_file`): looked at now and then, and taken when
 * the file has changed. A file with mistakes changes nothing: the marks before it stay, and it is
 * said what is wrong. Without the file there are none.
 *
 * Plain data, owned by the main thread; it borrows everything else.
 */
#ifndef EDGE_OPERATOR_MARKS_H
#define EDGE_OPERATOR_MARKS_H

#include "base/clock.h"
#include "base/log.h"
#include "edge/intake.h"
#include "model/edge_config.h"
#include "service/points.h"

#include <stdbool.h>
#include <stdint.h>

struct operator_marks {
    const struct edge_config *config;
    const struct edge_points *points;
    struct intake *intake;
    /* The file as it was when it was last looked at; all 0: it was not there. */
    int64_t changed_ns, size;
    uint64_t inode;
    struct complaint complaint;
};

/* Once before the first sample, then every second or so. Logs. */
void operator_marks_look(struct operator_marks *marks, struct now now);

#endif
