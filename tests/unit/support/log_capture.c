#include "tests/unit/support/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void log_capture_begin(struct log_capture *capture)
{
    capture->file = memfd_create("log", MFD_CLOEXEC);
    capture->saved = dup(STDERR_FILENO);
    assert_true(capture->file >= 0 && capture->saved >= 0);
    assert_true(dup2(capture->file, STDERR_FILENO) >= 0);
}

int log_capture_count(const struct log_capture *capture, const char *text)
{
    struct stat status;
    int count = 0;
    assert_int_equal(fstat(capture->file, &status), 0);
    char *all = calloc(1, (size_t)status.st_size + 1);
    assert_non_null(all);
    assert_int_equal(pread(capture->file, all, (size_t)status.st_size, 0), status.st_size);
    for (const char *at = all; (at = strstr(at, text)); at += strlen(text))
        count++;
    free(all);
    return count;
}

void log_capture_end(struct log_capture *capture)
{
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    close(capture->file);
}
