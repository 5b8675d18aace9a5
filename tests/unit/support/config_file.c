#include "tests/unit/support/config_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void config_file_make(struct config_file *file, const char *name, const char *text)
{
    snprintf(file->folder, sizeof(file->folder), "/tmp/chengmai-config-XXXXXX");
    assert_non_null(mkdtemp(file->folder));
    snprintf(file->path, sizeof(file->path), "%s/%s", file->folder, name);
    assert_int_equal(file_write(file->path, text, strlen(text), 0600, NULL), 0);
}

void config_file_remove(struct config_file *file)
{
    assert_int_equal(unlink(file->path), 0);
    assert_int_equal(rmdir(file->folder), 0);
}
