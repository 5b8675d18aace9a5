/*
 * What instruments taught us about themselves: where a unit refuses to be read across. A small text
 * file beside the journal, replaced in one step, one hole a line:
 *
 *     chengmai holes 1
 *     LINK UNIT MAP FUNCTION BELOW FROM
 *
 * A hole holds for one unit of one link and one version of its register map (register_map.h): with
 * another map it is forgotten. Who changes the device and not the map deletes the file; it is
 * learned anew. Lines that cannot be read are passed over and counted: they cost a few requests.
 *
 * The poller's thread notes, the main thread saves: one lock.
 */
#ifndef SERVICE_LEARNED_HOLES_H
#define SERVICE_LEARNED_HOLES_H

#include "base/error.h"
#include "drivers/modbus/plan.h"

#include <stdbool.h>
#include <stddef.h>

#define LEARNED_HOLES_MAX 10000

struct learned_holes;

/* Where the holes of the edge with this journal are. ERR_FULL when too long. */
MUST_CHECK int learned_holes_path(const char *journal, char *ret_path, size_t size);

/* Reads the file; none is fine. ERR_IO, ERR_FULL, ERR_NO_MEMORY with words. */
MUST_CHECK int learned_holes_open(const char *path, struct learned_holes **ret_holes,
                                  struct message *message);
void learned_holes_free(struct learned_holes *holes);

/* Lines of the file that could not be read. */
size_t learned_holes_unreadable(const struct learned_holes *holes);

/* The cuts of one unit, into room for `most`: how many. They are marked as in use: what is not, is
 * not written again. */
size_t learned_holes_of(struct learned_holes *holes, const char *link, int unit, const char *map,
                        struct plan_cut *ret_cuts, size_t most);

/* Any thread. False where it is known, or there is no room, which is counted. */
bool learned_holes_note(struct learned_holes *holes, const char *link, int unit, const char *map,
                        const struct plan_cut *cut);

/* How many were noted and not kept, because there are LEARNED_HOLES_MAX or no memory. Any thread.
 */
size_t learned_holes_no_room(struct learned_holes *holes);

/* Writes the file if anything was noted since; 0 too where there was nothing to write. After a
 * failure the next call tries again. */
MUST_CHECK int learned_holes_save(struct learned_holes *holes, struct message *message);

#endif
