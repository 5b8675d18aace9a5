/*
 * Design notes.
 *
 * libmodbus opens the port and sets it up, and restores it when it closes; it is not asked to read
 * or write, since it would wait (link.c says more). It takes a speed that it does not know for
 * 9600 without a word. So the speed is read back, and where it is another one set as a plain
 * number, which the kernel takes whatever it is. Where the hardware cannot do it, that is an error,
 * not a line on which nobody ever answers.
 */
#include "drivers/modbus/serial_port.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <modbus/modbus.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DATA_BITS 8

/* How far the hardware's speed may be off: 1 in so many. More, and characters break. */
#define SPEED_TOLERANCE 40

struct serial_port {
    modbus_t *context;
    int lock_fd; /* holds the lock; never read or written */
};

/* Before anything is set: it may be another's port. */
static int lock(struct serial_port *port, const char *device, struct message *message)
{
    port->lock_fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (port->lock_fd < 0)
        return message_errno(message, ERR_IO, "%s", device);
    if (flock(port->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return message_set(message, ERR_CONFLICT, "%s is in use by another program", device);
    return 0;
}

static int set_terminal(int fd, const struct link_url *url, struct message *message)
{
    struct termios2 terminal;
    if (ioctl(fd, TCGETS2, &terminal) != 0)
        return message_errno(message, ERR_IO, "%s is no serial port", url->device);
    if (terminal.c_ospeed != url->baud) {
        terminal.c_cflag &= ~((tcflag_t)CBAUD | (tcflag_t)CBAUD << IBSHIFT);
        terminal.c_cflag |= (tcflag_t)BOTHER | (tcflag_t)BOTHER << IBSHIFT;
        terminal.c_ispeed = terminal.c_ospeed = url->baud;
    }
    /* Nothing there is EAGAIN then, as for a socket, and not the 0 of a port that is gone. */
    terminal.c_cc[VMIN] = 1;
    if (ioctl(fd, TCSETS2, &terminal) != 0 || ioctl(fd, TCGETS2, &terminal) != 0)
        return message_errno(message, ERR_IO, "%s: cannot be set to %u baud", url->device,
                             url->baud);
    unsigned speed = terminal.c_ospeed;
    unsigned off = speed > url->baud ? speed - url->baud : url->baud - speed;
    if (off > url->baud / SPEED_TOLERANCE)
        return message_set(message, ERR_INVALID,
                           "%s: its hardware makes %u baud of %u; choose another speed",
                           url->device, speed, url->baud);
    return 0;
}

static int set_rs485(modbus_t *context, const struct link_url *url, struct message *message)
{
    if (!url->rs485 || modbus_rtu_set_serial_mode(context, MODBUS_RTU_RS485) == 0)
        return 0;
    return message_errno(message, ERR_INVALID,
                         "%s: its driver has no RS-485 mode; leave rs485 out where the adapter "
                         "switches direction by itself",
                         url->device);
}

static int set_up(modbus_t *context, const struct link_url *url, struct message *message)
{
    if (modbus_connect(context) != 0)
        return message_errno(message, ERR_IO, "%s", url->device);
    int fd = modbus_get_socket(context);
    int err = set_terminal(fd, url, message);
    if (err == 0)
        err = set_rs485(context, url, message);
    if (err == 0 && ioctl(fd, TCFLSH, TCIOFLUSH) != 0)
        err = message_errno(message, ERR_IO, "%s", url->device);
    return err;
}

int serial_port_open(const struct link_url *url, struct serial_port **ret_port,
                     struct message *message)
{
    struct serial_port *port = calloc(1, sizeof(*port));
    if (port == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    int err = lock(port, url->device, message);
    if (err == 0) {
        port->context =
            modbus_new_rtu(url->device, (int)url->baud, url->parity, DATA_BITS, (int)url->stop);
        err = port->context != NULL ? set_up(port->context, url, message)
                                    : message_set(message, ERR_NO_MEMORY, "out of memory");
    }
    if (err != 0) {
        serial_port_close(port);
        return err;
    }
    *ret_port = port;
    return 0;
}

void serial_port_close(struct serial_port *port)
{
    if (port == NULL)
        return;
    if (port->context != NULL && modbus_get_socket(port->context) >= 0) {
        /* A port that cannot send would keep close waiting for half a minute. */
        (void)!ioctl(modbus_get_socket(port->context), TCFLSH, TCIOFLUSH);
        modbus_close(port->context);
    }
    modbus_free(port->context);
    if (port->lock_fd >= 0)
        close(port->lock_fd);
    free(port);
}

int serial_port_fd(const struct serial_port *port)
{
    return modbus_get_socket(port->context);
}
