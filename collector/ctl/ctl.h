/*
 * chengmai, the operator's tool: one table of subcommands, one file per subcommand.
 *
 * A subcommand writes what was asked for to `out` and what is wrong to `err`, and returns an
 * exit code. It is given its own arguments only (argv[0] is its name). One thread; nothing is kept
 * between calls, so that tests call ctl_run as people call the program.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdio.h>

enum ctl_exit {
    CTL_YES = 0,
    CTL_NO = 1,    /* a check failed: told */
    CTL_USAGE = 2, /* it cannot be asked so, or what it should read cannot be read */
};

struct ctl_command {
    const char *name;
    const char *usage;   /* the arguments */
    const char *summary; /* one line */
    const char *help;    /* more, for --help */
    enum ctl_exit (*run)(int argc, char **argv, FILE *out, FILE *err);
};

/* Finds the subcommand argv[1] and runs it; answers --help. */
enum ctl_exit ctl_run(int argc, char **argv, FILE *out, FILE *err);

/* Says how the command is used, after `what` was wrong with the way it was. */
enum ctl_exit ctl_usage(const struct ctl_command *command, FILE *err, const char *what);

#endif
