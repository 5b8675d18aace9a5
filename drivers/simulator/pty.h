/*
 * A pseudo-terminal that stands for a serial port: programs open a symbolic link to its slave side
 * as they would open /dev/ttyUSB0. Raw, silent (no echo), and as fast as memory: speed and parity
 * that a client sets mean nothing. Plain data, one thread.
 *
 * The slave side is kept open here too: with none open, the master would tell EIO between two
 * clients. Thus what is written while no client listens waits for the next one (4 KiB at most),
 * which should flush its input when it opens, as for any serial port.
 */
#ifndef DRIVERS_SIMULATOR_PTY_H
#define DRIVERS_SIMULATOR_PTY_H

#include "base/attributes.h"
#include "base/error.h"
#include "base/files.h"

#define PTY_DEVICE_SIZE 64

struct pty {
    int master; /* non-blocking; ours to read and write */
    int slave;
    char device[PTY_DEVICE_SIZE]; /* "/dev/pts/7" */
    char path[FILE_PATH_SIZE];    /* of the link */
};

/* Makes it and its link. A link that leads nowhere, or to a pseudo-terminal that no pty_open holds,
 * is an old one of ours and is replaced; ERR_CONFLICT where anything else lies. */
MUST_CHECK int pty_open(const char *path, struct pty *ret_pty, struct message *message);

/* Lets the next client set the port up as it likes; to be called when something has been read. A
 * pseudo-terminal refuses parity, and tcsetattr makes an error of that (EINVAL) where nothing else
 * changed: who opens it with the settings that a killed client left would fail for ever. */
void pty_refresh(const struct pty *pty);

/* Removes the link, if it is still ours. */
void pty_close(struct pty *pty);

#endif
