#include "central/office.h"

#include "base/crypto.h"
#include "base/numbers.h"
#include "base/text.h"
#include "store/office_db.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define HASHES_AT_ONCE 2
#define HASH_WAIT_S    5
#define SESSION_MS     (12 * 3600 * (int64_t)MS_PER_S)
#define IDLE_MS        (30 * 60 * (int64_t)MS_PER_S)
#define TOUCH_MS       (60 * (int64_t)MS_PER_S)
#define FREE_FAILURES  5
#define DELAY_MAX_MS   (60 * (int64_t)MS_PER_S)
#define ACCOUNTS_TRIED 64

/* Failed logins of one account: each beyond the first few makes the next wait longer. */
struct tried {
    char user[65];
    unsigned failures;
    int64_t next_us;
};

struct office {
    struct office_db *db;
    char boot[33];
    char dummy_hash[PASSWORD_HASH_SIZE]; /* for users that do not exist */
    pthread_mutex_t lock;                /* guards db and tried */
    sem_t hashes;
    struct tried tried[ACCOUNTS_TRIED];
    size_t tried_next;
};

int office_open(const char *path, const char *boot, struct office **ret_office,
                struct message *message)
{
    struct office *office = calloc(1, sizeof(*office));
    if (!office)
        return message_set(message, ERR_NO_MEMORY, "office: out of memory");
    pthread_mutex_init(&office->lock, NULL);
    sem_init(&office->hashes, 0, HASHES_AT_ONCE);
    (void)!text_copy(office->boot, sizeof(office->boot), boot);
    struct db_options options = {.path = path, .mode = DB_WRITER};
    int err = office_db_open(&options, &office->db, NULL, message);
    if (!err && password_hash("", office->dummy_hash))
        err = message_set(message, ERR_NO_MEMORY, "office: not enough memory to hash passwords");
    if (err) {
        office_close(office);
        return err;
    }
    *ret_office = office;
    return 0;
}

void office_close(struct office *office)
{
    if (!office)
        return;
    office_db_close(office->db);
    sem_destroy(&office->hashes);
    pthread_mutex_destroy(&office->lock);
    free(office);
}

/* Ends a transaction by its result. */
static int end(struct office *office, int err, struct message *message)
{
    if (!err)
        return office_db_commit(office->db, message);
    office_db_rollback(office->db);
    return err;
}

int office_set_operator(struct office *office, struct now now, const char *user,
                        const char *password, struct message *message)
{
    struct office_account account = {.role = "operator", .sites = "*"};
    pthread_mutex_lock(&office->lock);
    int err = office_db_account(office->db, user, &account, message);
    bool same = !err && password_verify(account.password, password);
    if (err == ERR_NOT_FOUND)
        err = text_copy(account.user, sizeof(account.user), user);
    if (!err && !same) {
        account.created_ms = account.created_ms ? account.created_ms : now.wall_ms;
        account.changed_ms = now.wall_ms;
        err = password_hash(password, account.password);
        if (!err)
            err = office_db_begin(office->db, message);
        if (!err)
            err = end(office, office_db_put_account(office->db, &account, message), message);
    }
    pthread_mutex_unlock(&office->lock);
    return err;
}

/* ---- logging in ---- */

static struct tried *find_tried(struct office *office, const char *user)
{
    for (size_t i = 0; i < ACCOUNTS_TRIED; i++)
        if (strcmp(office->tried[i].user, user) == 0)
            return &office->tried[i];
    return NULL;
}

static bool may_try(struct office *office, struct now now, const char *user)
{
    pthread_mutex_lock(&office->lock);
    const struct tried *tried = find_tried(office, user);
    bool may = !tried || now.mono_us >= tried->next_us;
    pthread_mutex_unlock(&office->lock);
    return may;
}

/* Grows the delay, with no lock-out that an attacker could use against a person. */
static void note_failure(struct office *office, struct now now, const char *user)
{
    pthread_mutex_lock(&office->lock);
    struct tried *tried = find_tried(office, user);
    if (!tried) {
        tried = &office->tried[office->tried_next++ % ACCOUNTS_TRIED];
        *tried = (struct tried){0};
        (void)!text_copy(tried->user, sizeof(tried->user), user);
    }
    tried->failures++;
    if (tried->failures > FREE_FAILURES) {
        unsigned doublings = tried->failures - FREE_FAILURES;
        int64_t delay_ms = doublings > 6 ? DELAY_MAX_MS : (int64_t)MS_PER_S << (doublings - 1);
        tried->next_us = now.mono_us + delay_ms * US_PER_MS;
    }
    pthread_mutex_unlock(&office->lock);
}

static void note_success(struct office *office, const char *user)
{
    struct tried *tried = find_tried(office, user);
    if (tried)
        *tried = (struct tried){0};
}

static void hash_token(const char *token, uint8_t ret_hash[SHA256_SIZE])
{
    sha256(token, strlen(token), ret_hash);
}

static int begin_session(struct office *office, struct now now, const char *user,
                         char ret_token[SESSION_TOKEN_SIZE], struct message *message)
{
    uint8_t random[32];
    struct office_session session = {
        .created_ms = now.wall_ms, .seen_ms = now.wall_ms, .expires_ms = now.wall_ms + SESSION_MS};
    random_bytes(random, sizeof(random));
    print_hex(random, sizeof(random), ret_token);
    hash_token(ret_token, session.token);
    int err = text_copy(session.user, sizeof(session.user), user);
    if (!err)
        err = office_db_begin(office->db, message);
    if (err)
        return err;
    err = office_db_expire_sessions(office->db, now.wall_ms, now.wall_ms - IDLE_MS, message);
    if (!err)
        err = office_db_add_session(office->db, &session, message);
    return end(office, err, message);
}

int office_login(struct office *office, struct now now, const char *user, const char *password,
                 char ret_token[SESSION_TOKEN_SIZE], struct office_user *ret_user,
                 struct message *message)
{
    struct office_account account = {0};
    struct timespec until;
    if (!may_try(office, now, user))
        return message_set(message, ERR_AGAIN, "tried too often; wait a minute");
    pthread_mutex_lock(&office->lock);
    int err = office_db_account(office->db, user, &account, message);
    pthread_mutex_unlock(&office->lock);
    bool known = !err && !account.disabled;
    if (err && err != ERR_NOT_FOUND)
        return err;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HASH_WAIT_S;
    if (sem_timedwait(&office->hashes, &until))
        return message_set(message, ERR_AGAIN, "too many logins at once; try again");
    bool right = password_verify(known ? account.password : office->dummy_hash, password);
    sem_post(&office->hashes);
    if (!known || !right) {
        note_failure(office, now, user);
        return message_set(message, ERR_DENIED, "no such account, or another password");
    }
    pthread_mutex_lock(&office->lock);
    note_success(office, user);
    err = begin_session(office, now, user, ret_token, message);
    pthread_mutex_unlock(&office->lock);
    if (err)
        return err;
    memcpy(ret_user->user, account.user, sizeof(ret_user->user));
    memcpy(ret_user->role, account.role, sizeof(ret_user->role));
    return 0;
}

static void touch(struct office *office, struct now now, const struct office_session *session)
{
    /* Where it fails the session ends early: an inconvenience, not a danger. */
    if (now.wall_ms - session->seen_ms < TOUCH_MS || office_db_begin(office->db, NULL))
        return;
    (void)!end(office, office_db_touch_session(office->db, session->token, now.wall_ms, NULL),
               NULL);
}

int office_session(struct office *office, struct now now, const char *token,
                   struct office_user *ret_user)
{
    uint8_t hash[SHA256_SIZE];
    struct office_session session;
    struct office_account account;
    if (strlen(token) != SESSION_TOKEN_SIZE - 1)
        return ERR_DENIED;
    hash_token(token, hash);
    pthread_mutex_lock(&office->lock);
    int err = office_db_session(office->db, hash, &session, NULL);
    if (!err && (session.expires_ms <= now.wall_ms || session.seen_ms + IDLE_MS <= now.wall_ms))
        err = ERR_DENIED;
    if (!err)
        err = office_db_account(office->db, session.user, &account, NULL);
    if (!err && account.disabled)
        err = ERR_DENIED;
    if (!err)
        touch(office, now, &session);
    pthread_mutex_unlock(&office->lock);
    if (err)
        return ERR_DENIED;
    memcpy(ret_user->user, account.user, sizeof(ret_user->user));
    memcpy(ret_user->role, account.role, sizeof(ret_user->role));
    return 0;
}

void office_logout(struct office *office, const char *token)
{
    uint8_t hash[SHA256_SIZE];
    hash_token(token, hash);
    pthread_mutex_lock(&office->lock);
    if (!office_db_begin(office->db, NULL))
        (void)!end(office, office_db_end_session(office->db, hash, NULL), NULL);
    pthread_mutex_unlock(&office->lock);
}

/* ---- acting ---- */

static int append_action(struct office *office, struct now now, const struct record_action *action,
                         struct message *message)
{
    struct outbox *outbox = office_db_outbox(office->db);
    struct outbox_entry entry;
    int err = outbox_next(outbox, &entry, message);
    if (err)
        return err;
    struct record_head head = {.kind = RECORD_ACTION,
                               .stream = STREAM_A,
                               .seq = entry.seq,
                               .mono_us = now.mono_us,
                               .sync = now.sync,
                               .t0_ms = now.wall_ms};
    memcpy(head.epoch, entry.epoch, sizeof(head.epoch));
    memcpy(head.boot, office->boot, sizeof(head.boot));
    struct buffer payload;
    buffer_init(&payload, OUTBOX_MAX_PAYLOAD);
    record_write_action(&payload, &head, action);
    err = buffer_error(&payload);
    if (!err)
        err = outbox_append(outbox, payload.data, payload.len, message);
    buffer_release(&payload);
    return err;
}

int office_act(struct office *office, struct now now, const struct record_action *action,
               struct message *message)
{
    pthread_mutex_lock(&office->lock);
    int err = office_db_begin(office->db, message);
    if (!err)
        err = end(office, append_action(office, now, action, message), message);
    pthread_mutex_unlock(&office->lock);
    return err;
}

int office_journaled(struct office *office, uint64_t id)
{
    pthread_mutex_lock(&office->lock);
    int err = office_db_begin(office->db, NULL);
    if (!err)
        err = end(office, outbox_delete(office_db_outbox(office->db), id, NULL), NULL);
    pthread_mutex_unlock(&office->lock);
    return err;
}
