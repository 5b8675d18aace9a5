/* chengmai check FILE…: is a configuration, a rule file or a register map good? */
#ifndef CTL_CMD_CHECK_H
#define CTL_CMD_CHECK_H

#include "ctl/ctl.h"

extern const struct ctl_command cmd_check;

#endif
