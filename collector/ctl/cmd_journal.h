/* chengmai journal ls|dump|verify DIR: what is in a journal that nobody has open? */
#ifndef CTL_CMD_JOURNAL_H
#define CTL_CMD_JOURNAL_H

#include "ctl/ctl.h"

extern const struct ctl_command cmd_journal;

#endif
