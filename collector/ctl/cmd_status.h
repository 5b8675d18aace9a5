/* chengmai status: what the edge on this machine knows. */
#ifndef CTL_CMD_STATUS_H
#define CTL_CMD_STATUS_H

#include "ctl/ctl.h"

extern const struct ctl_command cmd_status;

#endif
