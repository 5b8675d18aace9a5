/*
 * A serial port, opened and set up for Modbus RTU: speed, parity, stop bits, and the kernel's
 * RS-485 mode where asked. From then on its descriptor is read and written as any other, without
 * ever blocking. Closing gives the port back as it was. One thread.
 *
 * One port has one owner: a second program that locks it too (flock, as serial clients do) is
 * refused.
 */
#ifndef DRIVERS_MODBUS_SERIAL_PORT_H
#define DRIVERS_MODBUS_SERIAL_PORT_H

#include "base/attributes.h"
#include "base/error.h"
#include "model/link_url.h"

struct serial_port;

/* Opens `url->device`. ERR_IO where it is not there or no serial port, ERR_CONFLICT where another
 * program has it, ERR_INVALID where it cannot be set so. */
MUST_CHECK int serial_port_open(const struct link_url *url, struct serial_port **ret_port,
                                struct message *message);

/* NULL is fine. Waits for nothing: what was not sent is thrown away. */
void serial_port_close(struct serial_port *port);

int serial_port_fd(const struct serial_port *port);

#endif
