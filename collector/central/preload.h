/* After a start the page shows what was last known, with its age, not nothing. */
#ifndef CENTRAL_PRELOAD_H
#define CENTRAL_PRELOAD_H

#include "base/attributes.h"
#include "base/error.h"
#include "central/live.h"

/* Puts the store's points and their newest samples, as received now, into `live`. The main thread,
 * before others. */
MUST_CHECK int preload(struct live *live, const char *history_path, int64_t now_ms,
                       struct message *message);

#endif
