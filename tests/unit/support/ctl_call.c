#include "tests/unit/support/ctl_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 16

void ctl_call_run(struct ctl_call *call, const char *words)
{
    char text[1024], name[] = "chengmai", *argv[WORDS_MAX + 1] = {name};
    int argc = 1;
    assert_true(strlen(words) < sizeof(text));
    memcpy(text, words, strlen(words) + 1);
    for (char *at = text; *at && argc < WORDS_MAX;) {
        argv[argc++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    *call = (struct ctl_call){0};
    FILE *out = open_memstream(&call->out, &call->out_len);
    FILE *err = open_memstream(&call->err, &call->err_len);
    assert_non_null(out);
    assert_non_null(err);
    call->code = ctl_run(argc, argv, out, err);
    fclose(out);
    fclose(err);
}

void ctl_call_release(struct ctl_call *call)
{
    free(call->out);
    free(call->err);
}
