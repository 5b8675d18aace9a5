/* chengmai books --central DIR JOURNAL…: does all that was read stand in the stores, or on the
 * ledger? */
#ifndef CTL_CMD_BOOKS_H
#define CTL_CMD_BOOKS_H

#include "ctl/ctl.h"

extern const struct ctl_command cmd_books;

#endif
