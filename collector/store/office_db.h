/*
 * The office's file: accounts, sessions, and the outbox through which its changes become records.
 *
 * Written by the office thread alone: a change writes its own row and an entry of the outbox in
 * one transaction. Read by read-only handles, one thread each: sessions and accounts by the HTTP
 * threads, the outbox by ingest. Passwords are kept as argon2id hashes, sessions under the SHA-256
 * of their token: who reads the file can enter with neither.
 */
#ifndef STORE_OFFICE_DB_H
#define STORE_OFFICE_DB_H

#include "base/attributes.h"
#include "base/crypto.h"
#include "base/error.h"
#include "store/db.h"
#include "store/outbox.h"

#define OFFICE_MAX_ACCOUNTS 10000
#define OFFICE_MAX_SESSIONS 64 /* of one user; beyond, the one seen longest ago ends */

struct office_db;

struct office_account {
    char user[65];
    char role[16];
    char sites[512]; /* names with commas between; "*": all, "": none */
    char password[PASSWORD_HASH_SIZE];
    bool disabled;
    int64_t created_ms;
    int64_t changed_ms;
};

struct office_session {
    uint8_t token[SHA256_SIZE]; /* SHA-256 of the token */
    char user[65];
    int64_t created_ms;
    int64_t seen_ms;
    int64_t expires_ms;
};

/* As db_open, whose failures it has. `ret_report` may be NULL. */
MUST_CHECK int office_db_open(const struct db_options *options, struct office_db **ret_office,
                              struct db_report *ret_report, struct message *message);
void office_db_close(struct office_db *office);
const struct db *office_db_file(const struct office_db *office);

/* To append in the office's transactions, or to read. Lives as long as the handle. */
struct outbox *office_db_outbox(struct office_db *office);

/* ---- writing: between begin and commit; after a failure only rollback ---- */

MUST_CHECK int office_db_begin(struct office_db *office, struct message *message);
MUST_CHECK int office_db_commit(struct office_db *office, struct message *message);
void office_db_rollback(struct office_db *office);

/* Makes the account or changes it (its `created_ms` stays). ERR_INVALID: no name. ERR_FULL. */
MUST_CHECK int office_db_put_account(struct office_db *office, const struct office_account *account,
                                     struct message *message);

/* With its sessions. ERR_NOT_FOUND. */
MUST_CHECK int office_db_delete_account(struct office_db *office, const char *user,
                                        struct message *message);

/* ERR_NOT_FOUND: no such account. ERR_CONFLICT: the token is in use. */
MUST_CHECK int office_db_add_session(struct office_db *office, const struct office_session *session,
                                     struct message *message);

/* Changes `seen_ms`. A session that is gone stays gone. */
MUST_CHECK int office_db_touch_session(struct office_db *office, const uint8_t token[SHA256_SIZE],
                                       int64_t seen_ms, struct message *message);

/* Ends one, all of a user, those that expired at or before `now_ms` or were last seen at or before
 * `idle_ms`. None to end is no failure. */
MUST_CHECK int office_db_end_session(struct office_db *office, const uint8_t token[SHA256_SIZE],
                                     struct message *message);
MUST_CHECK int office_db_end_sessions(struct office_db *office, const char *user,
                                      struct message *message);
MUST_CHECK int office_db_expire_sessions(struct office_db *office, int64_t now_ms, int64_t idle_ms,
                                         struct message *message);

/* ---- reading: either handle ---- */

/* ERR_NOT_FOUND. */
MUST_CHECK int office_db_account(struct office_db *office, const char *user,
                                 struct office_account *ret_account, struct message *message);

/* Those whose name comes behind `after` ("": all), in order. */
MUST_CHECK int office_db_accounts(struct office_db *office, const char *after,
                                  struct office_account *ret_accounts, size_t capacity,
                                  size_t *ret_count, struct message *message);

/* ERR_NOT_FOUND. Whether it is still good is the caller's to judge. */
MUST_CHECK int office_db_session(struct office_db *office, const uint8_t token[SHA256_SIZE],
                                 struct office_session *ret_session, struct message *message);

#endif
