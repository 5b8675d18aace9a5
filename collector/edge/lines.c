#include "edge/lines.h"

#include "drivers/modbus/dial_in.h"

#include <string.h>

struct ports {
    struct dial_in *list[LINES_PORTS_MAX];
    const struct endpoint *endpoints[LINES_PORTS_MAX];
    size_t count;
};

static int find_port(struct ports *ports, const struct endpoint *endpoint,
                     struct dial_in **ret_port, struct message *message)
{
    size_t i = 0;
    while (i < ports->count && (ports->endpoints[i]->port != endpoint->port ||
                                strcmp(ports->endpoints[i]->host, endpoint->host) != 0))
        i++;
    if (i == LINES_PORTS_MAX)
        return message_set(message, ERR_FULL, "DTUs call at more than %d ports", LINES_PORTS_MAX);
    if (i == ports->count) {
        int err = dial_in_open(endpoint, &ports->list[i], message);
        if (err)
            return err;
        ports->endpoints[i] = endpoint;
        ports->count++;
    }
    *ret_port = ports->list[i];
    return 0;
}

static int open_link(struct ports *ports, const struct modbus_link_options *from, driver_sink *sink,
                     void *sink_self, struct driver **ret_driver, struct message *message)
{
    struct modbus_link_options options = *from;
    struct dial_in *port = NULL;
    int err = 0;
    if (options.url.kind == LINK_DTU) {
        err = find_port(ports, &from->url.endpoint, &port, message);
        if (!err)
            err = dial_in_expect(port, &options.url.registration, &options.line, message);
    }
    return err ? err
               : modbus_driver_open(&options, sink, sink_self, clock_read(clock_real()), ret_driver,
                                    message);
}

int lines_open(const struct edge_config *config, const struct edge_points *points,
               driver_sink *sink, void *sink_self, struct poller *poller, struct message *message)
{
    struct ports ports = {.count = 0};
    int err = 0;
    for (size_t i = 0; !err && i < points->link_count; i++) {
        struct driver *driver = NULL;
        err = open_link(&ports, &points->links[i], sink, sink_self, &driver, message);
        if (!err)
            err = poller_add(poller, driver, config->links[i].name);
    }
    /* Links borrow lines of the ports, and the poller closes in this order. There is room: so many
     * links and ports there may be. */
    for (size_t i = 0; i < ports.count; i++)
        (void)!poller_add(poller, dial_in_driver(ports.list[i]), dial_in_name(ports.list[i]));
    return err;
}
