#include "ctl/daemon.h"

int daemon_open(const char *socket_path, struct daemon *ret_daemon, struct message *message)
{
    struct daemon daemon = {.answer = NULL};
    int err = control_client_open(socket_path, &daemon.client, message);
    if (err)
        return err;
    buffer_init(&daemon.reply, JSON_MAX_BYTES);
    *ret_daemon = daemon;
    return 0;
}

void daemon_close(struct daemon *daemon)
{
    control_client_close(&daemon->client);
    buffer_release(&daemon->reply);
    json_free(daemon->answer);
    daemon->answer = NULL;
}

int daemon_ask(struct daemon *daemon, const char *request, int64_t timeout_ms,
               const struct json **ret_answer, struct message *message)
{
    json_free(daemon->answer);
    daemon->answer = NULL;
    int err = control_client_ask(&daemon->client, request, timeout_ms, &daemon->reply, message);
    if (!err)
        err = json_parse(buffer_text(&daemon->reply), daemon->reply.len, &daemon->answer, message);
    if (err)
        return err;
    const struct json *root = json_root(daemon->answer);
    const char *error = json_get_text(json_member(root, "error"));
    if (error)
        return message_set(message, ERR_DENIED, "%s", error);
    *ret_answer = root;
    return 0;
}

const char *daemon_text(const struct json *object, const char *name)
{
    const char *text = json_get_text(json_member(object, name));
    return text ? text : "-";
}
