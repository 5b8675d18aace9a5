/* chengmai read EDGE.yaml POINT…: one reading now, through the running edge if one runs. */
#ifndef CTL_CMD_READ_H
#define CTL_CMD_READ_H

#include "ctl/ctl.h"

extern const struct ctl_command cmd_read;

#endif
