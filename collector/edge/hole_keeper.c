#include "edge/hole_keeper.h"

#include "base/files.h"

void hole_keeper_open(struct hole_keeper *keeper, const char *journal)
{
    char path[FILE_PATH_SIZE];
    struct message message = {"its path is too long"};
    *keeper = (struct hole_keeper){.holes = NULL};
    if (learned_holes_path(journal, path, sizeof(path)) ||
        learned_holes_open(path, &keeper->holes, &message))
        log_warn("link", "what was learned of the instruments is not known: %s", message.text);
    else if (learned_holes_unreadable(keeper->holes))
        log_warn("link", "%s: %zu lines could not be read; the instruments will teach it again",
                 path, learned_holes_unreadable(keeper->holes));
}

void hole_keeper_close(struct hole_keeper *keeper)
{
    learned_holes_free(keeper->holes);
    keeper->holes = NULL;
}

static void tell_full(struct hole_keeper *keeper)
{
    if (keeper->full_told || !learned_holes_no_room(keeper->holes))
        return;
    keeper->full_told = true;
    log_warn(
        "link",
        "the instruments refuse more than is remembered (%d holes): the rest is learned anew at "
        "every start; name what they refuse under 'forbidden'",
        LEARNED_HOLES_MAX);
}

void hole_keeper_save(struct hole_keeper *keeper, struct now now)
{
    struct message message = {""};
    if (!keeper->holes)
        return;
    tell_full(keeper);
    if (learned_holes_save(keeper->holes, &message))
        complaint_raise(&keeper->complaint, now.mono_us, "link",
                        "what was learned of the instruments is not kept: %s", message.text);
    else
        complaint_clear(&keeper->complaint, now.mono_us, "link",
                        "what was learned of the instruments is kept again");
}
