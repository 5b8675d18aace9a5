#include "drivers/modbus/side_read.h"

#include "drivers/modbus/plan.h"

/* A line that is never free for so long has other troubles; its statistics tell them. */
#define WAIT_US (10 * (int64_t)US_PER_S)

int side_read_want(struct side_read *side, const struct modbus_request *request, struct now now)
{
    unsigned most = request->function <= 2 ? PLAN_MAX_BITS : PLAN_MAX_REGISTERS;

    if (side->state == SIDE_READ_WANTED || side->state == SIDE_READ_SENT)
        return ERR_AGAIN;
    if (request->function < 1 || request->function > 4 || request->count == 0 ||
        request->count > most)
        return ERR_RANGE;
    *side = (struct side_read){.state = SIDE_READ_WANTED,
                               .until_us = now.mono_us + WAIT_US,
                               .outcome = {.request = *request}};
    return 0;
}

static void end(struct side_read *side, enum modbus_event event, struct now now)
{
    side->state = SIDE_READ_OVER;
    side->outcome.event = event;
    side->outcome.t_ms = now.wall_ms;
}

bool side_read_send(struct side_read *side, struct modbus_link *link, struct now now)
{
    side->sent_us = now.mono_us;
    if (modbus_link_send(link, &side->outcome.request, now.mono_us) == 0) {
        side->state = SIDE_READ_SENT;
        return true;
    }
    side->outcome.trouble = *modbus_link_trouble(link);
    end(side, MODBUS_LOST, now);
    return false;
}

bool side_read_hear(struct side_read *side, enum modbus_event event,
                    const struct modbus_answer *answer, const struct modbus_link *link,
                    struct now now)
{
    if (side->state != SIDE_READ_SENT || !modbus_event_ends(event))
        return false;
    modbus_outcome_set(&side->outcome, event, answer, link, side->sent_us, now);
    side->state = SIDE_READ_OVER;
    return true;
}

void side_read_give_up(struct side_read *side, const struct message *trouble, struct now now)
{
    if (side->state != SIDE_READ_WANTED)
        return;
    side->outcome.trouble = *trouble;
    end(side, MODBUS_REFUSED, now);
}

int side_read_outcome(struct side_read *side, struct now now, struct modbus_outcome *ret_outcome)
{
    if (side->state == SIDE_READ_NONE)
        return ERR_NOT_FOUND;
    if (side->state == SIDE_READ_WANTED && now.mono_us >= side->until_us) {
        struct message trouble;
        message_set(&trouble, 0, "the line was not free, or not connected, within %d s",
                    (int)(WAIT_US / US_PER_S));
        side_read_give_up(side, &trouble, now);
    }
    if (side->state != SIDE_READ_OVER)
        return ERR_AGAIN;
    *ret_outcome = side->outcome;
    return 0;
}
