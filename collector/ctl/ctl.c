#include "ctl/ctl.h"

#include "ctl/cmd_books.h"
#include "ctl/cmd_check.h"
#include "ctl/cmd_journal.h"
#include "ctl/cmd_plan.h"
#include "ctl/cmd_probe.h"
#include "ctl/cmd_read.h"
#include "ctl/cmd_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct ctl_command *const commands[] = {
    &cmd_check, &cmd_plan, &cmd_probe, &cmd_read, &cmd_status, &cmd_journal, &cmd_books,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void list_commands(FILE *to)
{
    fputs("usage: chengmai COMMAND [ARGUMENTS]\n\n", to);
    for (size_t i = 0; i < COUNT(commands); i++)
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n`chengmai COMMAND --help` tells more. Exit codes: 0 yes, 1 no (a check failed), "
          "2 usage or unreadable input.\n",
          to);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_help(argv[i]))
            return true;
    return false;
}

enum ctl_exit ctl_usage(const struct ctl_command *command, FILE *err, const char *what)
{
    fprintf(err, "chengmai %s: %s\nusage: chengmai %s %s\n", command->name, what, command->name,
            command->usage);
    return CTL_USAGE;
}

static enum ctl_exit run_command(const struct ctl_command *command, int argc, char **argv,
                                 FILE *out, FILE *err)
{
    if (asks_help(argc, argv)) {
        fprintf(out, "usage: chengmai %s %s\n%s\n", command->name, command->usage, command->help);
        return CTL_YES;
    }
    enum ctl_exit code = command->run(argc, argv, out, err);
    /* An answer that did not arrive is no answer: a full disk must not look like a yes. */
    if (fflush(out) || ferror(out)) {
        fprintf(err, "chengmai %s: the output cannot be written\n", command->name);
        return CTL_USAGE;
    }
    return code;
}

enum ctl_exit ctl_run(int argc, char **argv, FILE *out, FILE *err)
{
    if (argc < 2) {
        list_commands(err);
        return CTL_USAGE;
    }
    if (is_help(argv[1])) {
        list_commands(out);
        return CTL_YES;
    }
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i]->name, argv[1]) == 0)
            return run_command(commands[i], argc - 1, argv + 1, out, err);
    fprintf(err, "chengmai: no command '%s'\n", argv[1]);
    list_commands(err);
    return CTL_USAGE;
}
