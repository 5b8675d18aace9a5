/*
 * A serial server on a simulated serial line: its bytes over TCP. It listens (rtu+tcp) for one
 * client at a time, the latest, or it is a DTU that calls (dtu), says who it is, and says a
 * heartbeat now and then. It knows nothing of Modbus. Who is not connected hears nothing of the
 * line. Nothing here blocks. One thread.
 */
#ifndef DRIVERS_SIMULATOR_SERIAL_BRIDGE_H
#define DRIVERS_SIMULATOR_SERIAL_BRIDGE_H

#include "base/attributes.h"
#include "base/error.h"
#include "model/link_url.h"

#include <stdint.h>

struct serial_bridge;

/* Opens the line's device and listens or begins to call. `url` is LINK_RTU_TCP or LINK_DTU. */
MUST_CHECK int serial_bridge_open(const char *device, const struct link_url *url,
                                  int64_t heartbeat_ms, struct serial_bridge **ret_bridge,
                                  struct message *message);

/* NULL is fine. */
void serial_bridge_close(struct serial_bridge *bridge);

/* An epoll descriptor, readable when a step has something to do. */
int serial_bridge_fd(const struct serial_bridge *bridge);

/* When it has something to do whatever comes: monotonic µs. NEVER for nothing. */
int64_t serial_bridge_due(const struct serial_bridge *bridge);

void serial_bridge_step(struct serial_bridge *bridge, int64_t now_us);

/* The port it listens on; 0 for one that calls. */
uint16_t serial_bridge_port(const struct serial_bridge *bridge);

#endif
