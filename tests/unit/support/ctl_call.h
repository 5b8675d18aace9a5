/* Calls of the operator's tool as people type them, for tests. */
#ifndef TESTS_UNIT_SUPPORT_CTL_CALL_H
#define TESTS_UNIT_SUPPORT_CTL_CALL_H

#include "ctl/ctl.h"

#include <stddef.h>

struct ctl_call {
    enum ctl_exit code;
    char *out, *err; /* what it wrote */
    size_t out_len, err_len;
};

/* Runs `chengmai WORD WORD …` (blanks divide; at most 15 words). */
void ctl_call_run(struct ctl_call *call, const char *words);
void ctl_call_release(struct ctl_call *call);

#endif
