/* chengmai plan EDGE.yaml: which reads will be made, and can their links do it? */
#ifndef CTL_CMD_PLAN_H
#define CTL_CMD_PLAN_H

#include "ctl/ctl.h"

extern const struct ctl_command cmd_plan;

#endif
