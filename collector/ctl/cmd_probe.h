/* chengmai probe URL: which units are there, and what do their registers mean? */
#ifndef CTL_CMD_PROBE_H
#define CTL_CMD_PROBE_H

#include "ctl/ctl.h"

extern const struct ctl_command cmd_probe;

#endif
