/* Any bytes as the answer to a request: the link ends the exchange, never waits, and takes for a
 * reply only what has just the bytes that were asked for. */
#include "drivers/modbus/link.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wait_for(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    if (poll(&wait, 1, 10000) != 1)
        abort();
}

/* Connects; returns the server's end, which resets when closed, so that no port lingers. */
static int begin(struct modbus_link *link, int listener, struct driver_want *want)
{
    struct linger reset = {.l_onoff = 1};
    if (modbus_link_connect(link, 0) != 0 || !modbus_link_want(link, want))
        abort();
    wait_for(want->fd, POLLOUT);
    wait_for(listener, POLLIN);
    int server = accept(listener, NULL, NULL);
    setsockopt(server, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return server;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct link_url url = {.endpoint = {.host = "127.0.0.1"}};
    static int listener = -1;
    uint8_t first = size > 0 ? data[0] : 0;
    struct modbus_request request = {1, first % 4u + 1, 0, first / 4u + 1};
    size_t wanted = request.function <= 2 ? (request.count + 7u) / 8 : 2u * request.count;
    struct modbus_link *link = NULL;
    struct modbus_answer answer = {0};
    struct driver_want want = {.fd = -1};

    if ((listener < 0 &&
         socket_listen(&url.endpoint, 8, &listener, &url.endpoint.port, NULL) != 0) ||
        modbus_link_open(&url, NULL, 500, &link, NULL) != 0)
        abort();
    int server = begin(link, listener, &want);
    if (modbus_link_step(link, 0, &answer) != MODBUS_CONNECTED ||
        modbus_link_send(link, &request, 0) != 0)
        abort();
    if (size > 1 && send(server, data + 1, size - 1 < 4096 ? size - 1 : 4096, MSG_NOSIGNAL) > 0)
        wait_for(want.fd, POLLIN);
    enum modbus_event event = modbus_link_step(link, 0, &answer);
    if ((event == MODBUS_NOTHING && modbus_link_step(link, NEVER - 1, &answer) == MODBUS_NOTHING) ||
        (event == MODBUS_REPLY && answer.len != wanted))
        abort();
    close(server);
    modbus_link_close(link);
    return 0;
}
