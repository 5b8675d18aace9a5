#include "tests/unit/support/comma_locale.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* There only in a program built with the leak sanitizer. */
__attribute__((weak)) void __lsan_disable(void);
__attribute__((weak)) void __lsan_enable(void);

/* glibc never frees what it splits LOCPATH into: its leak, not ours. */
static locale_t load(const char *folder)
{
    locale_t made;

    if (__lsan_disable != NULL)
        __lsan_disable();
    setenv("LOCPATH", folder, 1);
    made = newlocale(LC_NUMERIC_MASK, "comma", (locale_t)0);
    unsetenv("LOCPATH");
    if (__lsan_enable != NULL)
        __lsan_enable();
    return made;
}

locale_t comma_locale_new(void)
{
    static const char source[] = "comment_char %\nescape_char /\n"
                                 "LC_CTYPE\ncopy \"POSIX\"\nEND LC_CTYPE\n"
                                 "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \"\"\n"
                                 "grouping -1\nEND LC_NUMERIC\n";
    char folder[] = "/tmp/comma.XXXXXX";
    char command[256];
    locale_t made = (locale_t)0;
    FILE *file;

    if (mkdtemp(folder) == NULL)
        return made;
    snprintf(command, sizeof(command), "%s/source", folder);
    file = fopen(command, "w");
    if (file != NULL) {
        fputs(source, file);
        fclose(file);
        /* It warns of the categories left out, and makes the locale all the same. */
        snprintf(command, sizeof(command),
                 "localedef -c -f ANSI_X3.4-1968 -i %s/source %s/comma >%s/log 2>&1", folder,
                 folder, folder);
        (void)!system(command);
        made = load(folder);
    }
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    (void)!system(command);
    return made;
}
