/*
 * One request beside the schedule, for a person who wants to know now. It goes as soon as the line
 * is free, before what is due, and changes nothing of what the driver thinks of the unit.
 *
 *     none → wanted → sent → over, and stays so until another is wanted
 *
 * A part of the driver that owns the line, on its thread. Pure but for the link.
 */
#ifndef DRIVERS_MODBUS_SIDE_READ_H
#define DRIVERS_MODBUS_SIDE_READ_H

#include "base/attributes.h"
#include "drivers/modbus/outcome.h"

enum side_read_state { SIDE_READ_NONE, SIDE_READ_WANTED, SIDE_READ_SENT, SIDE_READ_OVER };

struct side_read {
    enum side_read_state state;
    int64_t until_us; /* wanted: given up then */
    int64_t sent_us;
    struct modbus_outcome outcome;
};

/* Functions 1 to 4. ERR_AGAIN while another is under way, ERR_RANGE for one that cannot be. */
MUST_CHECK int side_read_want(struct side_read *side, const struct modbus_request *request,
                              struct now now);

/* Sends it on a ready link. False when the connection broke: it is over. */
bool side_read_send(struct side_read *side, struct modbus_link *link, struct now now);

/* What the link's step heard. True when that ended the request. */
bool side_read_hear(struct side_read *side, enum modbus_event event,
                    const struct modbus_answer *answer, const struct modbus_link *link,
                    struct now now);

/* If it waits to be sent, it waits in vain: `trouble` says why. */
void side_read_give_up(struct side_read *side, const struct message *trouble, struct now now);

/* ERR_AGAIN until it is over, ERR_NOT_FOUND when none was wanted. */
MUST_CHECK int side_read_outcome(struct side_read *side, struct now now,
                                 struct modbus_outcome *ret_outcome);

#endif
