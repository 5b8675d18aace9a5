#include "store/line_target.h"

#include "base/crypto.h"
#include "base/numbers.h"
#include "base/text.h"
#include "model/line_protocol.h"

#include <stdio.h>
#include <string.h>

#define STATE_MAX_REPLY (1024 * 1024)
#define WORDS_MAX       200 /* of an answer, in a message */

/* What is different between the kinds. */
struct kind {
    const char *write_path, *start_path;
    bool with_text;
    const char *no_database, *silence, *busy;
};

static const struct kind kinds[] = {
    [STORE_INFLUXDB] =
        {"/write?precision=ms&db=", "/debug/vars", true,
         "make the database, or give the user the right to make it (GRANT ALL)",
         "if it does not get beyond \"Open store (start)\" after a power cut, its series file is "
         "damaged: stop it, move data/DATABASE/_series aside, keep that copy, start it again",
         "its own log says why: a full disk, a limit of its own (max-concurrent-write-limit, "
         "cache-max-memory-size), or too little of a machine"},
    [STORE_VICTORIAMETRICS] =
        {"/write?precision=ms", "/metrics", false,
         "is the url that of VictoriaMetrics itself, without a path?",
         "is it running? its own log says why it does not start; a full disk or a damaged part "
         "under its storage folder is named there: stop it, move that part aside, start it again",
         "its own log says why: a full disk (-storage.minFreeDiskSpaceBytes), too many series, or "
         "too little of a machine"},
    [STORE_INFLUXDB2] = {"/api/v2/write?precision=ms&org=", NULL, true,
                         "make the bucket, or correct `org` and `bucket` in central.yaml",
                         "is it running, and is the url right?",
                         "its own log says why; a hosted one may limit how much is written"},
};

static const struct kind *kind_of(const struct line_target *target)
{
    return &kinds[target->config->kind];
}

/* Appends to a text of `size` bytes what a query's value may hold, the rest as %XX. */
static int append_escaped(char *text, size_t size, const char *value)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = strlen(text);
    for (; *value; value++) {
        unsigned char byte = (unsigned char)*value;
        if (len + 4 > size)
            return ERR_RANGE;
        if ((byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
            (byte >= 'a' && byte <= 'z') || strchr("-_.~", byte)) {
            text[len++] = *value;
        } else {
            text[len++] = '%';
            text[len++] = digits[byte >> 4];
            text[len++] = digits[byte & 15];
        }
    }
    text[len] = '\0';
    return 0;
}

int line_target_init(struct line_target *target, const struct store_config *config,
                     struct message *message)
{
    const struct kind *kind = &kinds[config->kind];
    int err = 0;
    *target = (struct line_target){
        .config = config,
        .with_text = kind->with_text,
        .write_headers = {"Content-Type: text/plain; charset=utf-8", NULL, NULL}};
    snprintf(target->write_url, sizeof(target->write_url), "%s%s", config->url, kind->write_path);
    if (config->kind == STORE_INFLUXDB)
        err = append_escaped(target->write_url, sizeof(target->write_url), config->database);
    if (config->kind == STORE_INFLUXDB2) {
        size_t size = sizeof(target->write_url);
        err = append_escaped(target->write_url, size, config->org);
        if (!err && strlen(target->write_url) + sizeof("&bucket=") <= size)
            memcpy(target->write_url + strlen(target->write_url), "&bucket=", sizeof("&bucket="));
        if (!err)
            err = append_escaped(target->write_url, size, config->bucket);
    }
    if (kind->start_path)
        snprintf(target->start_url, sizeof(target->start_url), "%s%s", config->url,
                 kind->start_path);
    snprintf(target->create_url, sizeof(target->create_url), "%s/query", config->url);
    snprintf(target->create_body, sizeof(target->create_body), "q=CREATE+DATABASE+%%22%s%%22",
             config->database);
    return err ? message_set(message, err, "store %s: its address is too long", config->name) : 0;
}

void line_target_release(struct line_target *target)
{
    secret_wipe(target->secret, sizeof(target->secret));
    secret_wipe(target->authorization, sizeof(target->authorization));
}

int line_target_set_secret(struct line_target *target, const char *secret, struct message *message)
{
    for (const char *at = secret; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return message_set(message, ERR_INVALID,
                               "a password or token is one line without control characters");
    if (text_copy(target->secret, sizeof(target->secret), secret))
        return message_set(message, ERR_RANGE, "a password or token has less than %d bytes",
                           LINE_SECRET_MAX);
    bool token = target->config->kind == STORE_INFLUXDB2 && secret[0];
    snprintf(target->authorization, sizeof(target->authorization), "Authorization: Token %s",
             target->secret);
    target->write_headers[1] = token ? target->authorization : NULL;
    return 0;
}

/* ---- requests ---- */

static struct line_request with_user(const struct line_target *target, struct line_request request)
{
    if (target->config->user[0]) {
        request.user = target->config->user;
        request.password = target->secret;
    }
    return request;
}

struct line_request line_target_write_request(const struct line_target *target, const void *lines,
                                              size_t len)
{
    return with_user(target, (struct line_request){.method = "POST",
                                                   .url = target->write_url,
                                                   .headers = target->write_headers,
                                                   .body = lines,
                                                   .len = len});
}

bool line_target_can_create(const struct line_target *target)
{
    return target->config->kind == STORE_INFLUXDB;
}

struct line_request line_target_create_request(const struct line_target *target)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    return with_user(target, (struct line_request){.method = "POST",
                                                   .url = target->create_url,
                                                   .headers = headers,
                                                   .body = target->create_body,
                                                   .len = strlen(target->create_body)});
}

bool line_target_tells_start(const struct line_target *target)
{
    return target->start_url[0];
}

struct line_request line_target_start_request(const struct line_target *target)
{
    return with_user(target, (struct line_request){.method = "GET",
                                                   .url = target->start_url,
                                                   .max_reply = STATE_MAX_REPLY});
}

/* ---- answers ---- */

/* The first line of an answer, for a person. */
static void tell(const struct line_reply *reply, struct message *why)
{
    int len = (int)strcspn(reply->body, "\r\n");
    message_set(why, 0, "it answered %d%s%.*s", reply->status, len ? ": " : "",
                len < WORDS_MAX ? len : WORDS_MAX, reply->body);
}

/* "partial write: points beyond retention policy dropped=3": the others are stored, else it would
 * have named the error that kept it from storing them. */
static bool is_too_old(const char *body, uint64_t *ret_count)
{
    const char *dropped = strstr(body, "dropped=");
    char digits[NUMBER_TEXT_SIZE] = "";
    if ((!strstr(body, "beyond retention policy") && !strstr(body, "outside retention policy")) ||
        !dropped)
        return false;
    dropped += strlen("dropped=");
    size_t len = strspn(dropped, "0123456789");
    memcpy(digits, dropped, len < sizeof(digits) ? len : 0);
    return !parse_u64(digits, 1, UINT32_MAX, ret_count);
}

enum line_verdict line_target_judge(const struct line_target *target, int err,
                                    const struct line_reply *reply, uint64_t *ret_too_old,
                                    struct message *why)
{
    if (err == ERR_INVALID || err == ERR_RANGE)
        return LINE_STRANGE;
    if (err)
        return LINE_SILENT;
    tell(reply, why);
    switch (reply->status) {
    case 200:
    case 204:
        return LINE_TAKEN;
    case 400:
    case 422: /* InfluxDB 2: of the form, and still not to be stored */
        return is_too_old(reply->body, ret_too_old) ? LINE_TOO_OLD : LINE_REFUSED;
    case 401:
    case 403:
        return LINE_DENIED;
    case 404:
        return target->config->kind == STORE_VICTORIAMETRICS ? LINE_STRANGE : LINE_NO_DATABASE;
    case 413:
        return LINE_TOO_LARGE;
    case 408:
    case 429:
        return LINE_BUSY;
    default:
        return reply->status >= 500 ? LINE_BUSY : LINE_STRANGE;
    }
}

int line_target_created(int err, const struct line_reply *reply, struct message *why)
{
    if (err)
        return err;
    if (reply->status == 200 && !strstr(reply->body, "\"error\""))
        return 0;
    tell(reply, why);
    return ERR_DENIED;
}

/* The text behind `begin` up to `end`, copied. */
static int copy_between(const char *body, const char *begin, const char *end, char *ret,
                        size_t size)
{
    const char *at = strstr(body, begin);
    if (!at)
        return ERR_NOT_FOUND;
    at += strlen(begin);
    size_t len = strcspn(at, end);
    if (!len || len >= size)
        return ERR_NOT_FOUND;
    memcpy(ret, at, len);
    ret[len] = '\0';
    return 0;
}

/* Adds up a metric over its labels: lines of NAME{…} NUMBER. */
static uint64_t sum_metric(const char *body, const char *name)
{
    uint64_t sum = 0, number;
    char digits[NUMBER_TEXT_SIZE];
    for (const char *at = body; (at = strstr(at, name)); at += strlen(name))
        if ((at == body || at[-1] == '\n') &&
            !copy_between(at, "} ", "\r\n", digits, sizeof(digits)) &&
            !parse_u64(digits, 0, UINT64_MAX / 2, &number))
            sum += number;
    return sum;
}

int line_target_read_state(const struct line_target *target, int err,
                           const struct line_reply *reply, struct line_store_state *ret_state,
                           struct message *why)
{
    struct line_store_state state = {.thrown_away = 0};
    if (err)
        return err == ERR_AGAIN || err == ERR_NOT_FOUND ? ERR_IO : err;
    tell(reply, why);
    if (reply->status != 200)
        return reply->status >= 500 || reply->status == 429 ? ERR_AGAIN : ERR_NOT_FOUND;
    if (target->config->kind == STORE_INFLUXDB)
        err =
            copy_between(reply->body, "\"started\":\"", "\"", state.started, sizeof(state.started));
    else
        err = copy_between(reply->body, "\nvm_app_start_timestamp ", "\r\n", state.started,
                           sizeof(state.started));
    if (err)
        return message_set(why, err, "its answer does not tell when it was started");
    if (target->config->kind == STORE_VICTORIAMETRICS)
        state.thrown_away = sum_metric(reply->body, "vm_rows_ignored_total{") +
                            sum_metric(reply->body, "vm_rows_invalid_total{");
    *ret_state = state;
    return 0;
}

/* ---- for people ---- */

const char *line_target_remedy(const struct line_target *target, enum line_verdict verdict)
{
    const struct store_config *config = target->config;
    switch (verdict) {
    case LINE_DENIED:
        if (config->token_file[0])
            return "put a token that may write there into `token_file`; it is read again";
        if (config->user[0])
            return "correct the password in `password_file` (it is read again), or the user's "
                   "rights there";
        return "it wants a user: give `user` and `password_file`, or `token_file`, in central.yaml";
    case LINE_NO_DATABASE:
        return kind_of(target)->no_database;
    case LINE_REFUSED:
        return "it takes none of them, so it is not their fault: compare the types of the fields "
               "of `" LINE_MEASUREMENT "` there (SHOW FIELD KEYS) and look at its own log";
    case LINE_STRANGE:
        return "is the url in central.yaml that of the store?";
    case LINE_UNKEPT:
        return "make room on the disk of `data`, or correct its rights";
    case LINE_TAKEN:
    case LINE_TOO_OLD:
    case LINE_TOO_LARGE:
    case LINE_SILENT:
    case LINE_BUSY:
        break;
    }
    return "";
}

const char *line_target_silence_remedy(const struct line_target *target)
{
    return kind_of(target)->silence;
}

const char *line_target_busy_remedy(const struct line_target *target)
{
    return kind_of(target)->busy;
}
