/*
 * The office: accounts, sessions, and what people do. An action is a row and an outbox entry in one
 * transaction; ingest carries it into the journal.
 *
 * A monitor over office.db: any thread may call, one at a time has the file. Password hashing, slow
 * by design, happens outside the lock, at most two at once.
 */
#ifndef CENTRAL_OFFICE_H
#define CENTRAL_OFFICE_H

#include "base/attributes.h"
#include "base/clock.h"
#include "base/error.h"
#include "model/record.h"

#define SESSION_TOKEN_SIZE 65 /* 64 hex digits */

struct office;

struct office_user {
    char user[65];
    char role[16];
};

MUST_CHECK int office_open(const char *path, const char *boot, struct office **ret_office,
                           struct message *message);
void office_close(struct office *office);

/* Makes the operator's account, or gives it this password where it has another. */
MUST_CHECK int office_set_operator(struct office *office, struct now now, const char *user,
                                   const char *password, struct message *message);

/* ERR_DENIED: no such account, or another password; the same answer after the same time. ERR_AGAIN:
 * too many at once, or this account was tried too often just now. */
MUST_CHECK int office_login(struct office *office, struct now now, const char *user,
                            const char *password, char ret_token[SESSION_TOKEN_SIZE],
                            struct office_user *ret_user, struct message *message);

/* Who the token belongs to. ERR_DENIED: nobody, or no longer. */
MUST_CHECK int office_session(struct office *office, struct now now, const char *token,
                              struct office_user *ret_user);
void office_logout(struct office *office, const char *token);

/* Keeps what a person does, durably, on its way into the journal. */
MUST_CHECK int office_act(struct office *office, struct now now, const struct record_action *action,
                          struct message *message);

/* Ingest has the outbox's entries up to `id` durably. */
MUST_CHECK int office_journaled(struct office *office, uint64_t id);

#endif
