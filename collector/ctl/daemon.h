/* Which daemon a subcommand asks, and the asking: an edge's configuration names its socket. */
#ifndef CTL_DAEMON_H
#define CTL_DAEMON_H

#include "base/attributes.h"
#include "base/json.h"
#include "service/control_client.h"

/* Where an installed edge has its configuration. */
#define DAEMON_CONFIG "/etc/chengmai/edge.yaml"

struct daemon {
    struct control_client client;
    struct buffer reply; /* of the last question, as it came */
    struct json_document *answer;
};

/* ERR_NOT_FOUND when none runs. */
MUST_CHECK int daemon_open(const char *socket_path, struct daemon *ret_daemon,
                           struct message *message);
void daemon_close(struct daemon *daemon);

/* Asks; *ret_answer is the daemon's until the next question. An answer {"error":…} is ERR_DENIED,
 * with its words; others as control_client_ask. */
MUST_CHECK int daemon_ask(struct daemon *daemon, const char *request, int64_t timeout_ms,
                          const struct json **ret_answer, struct message *message);

/* A member that is text, for people: "-" where there is none. */
const char *daemon_text(const struct json *object, const char *name);

#endif
