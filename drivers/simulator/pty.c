#include "drivers/simulator/pty.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static const char devices[] = "/dev/pts/";

/*
 * Who lives holds a lock on its slave side; the kernel takes it away with the process. Not flock,
 * which serial clients use among themselves.
 */
static bool is_held(const char *device)
{
    int fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool held = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(fd);
    return held;
}

static bool hold(int slave)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(slave, F_OFD_SETLK, &lock) == 0;
}

/* Where the link leads, "" when it is none. */
static void read_link(const char *path, char ret_target[PTY_DEVICE_SIZE])
{
    ssize_t len = readlink(path, ret_target, PTY_DEVICE_SIZE - 1);
    ret_target[len > 0 ? len : 0] = '\0';
}

/* Removes an old link of ours; refuses whatever else lies there. */
static int clear_path(const char *path, const char *own, struct message *message)
{
    struct stat status;
    if (lstat(path, &status))
        return errno == ENOENT ? 0 : message_errno(message, ERR_IO, "%s", path);
    char target[PTY_DEVICE_SIZE];
    read_link(path, target);
    bool dangling = S_ISLNK(status.st_mode) && stat(path, &status) && errno == ENOENT;
    bool terminal = strncmp(target, devices, sizeof(devices) - 1) == 0;
    if (!dangling && !terminal)
        return message_set(message, ERR_CONFLICT,
                           "%s is there already and is no link to a pseudo-terminal; remove it or "
                           "choose another path",
                           path);
    if (!dangling && strcmp(target, own) != 0 && is_held(target))
        return message_set(message, ERR_CONFLICT,
                           "%s leads to %s, which another simulator serves; stop that one or "
                           "choose another path",
                           path, target);
    return unlink(path) && errno != ENOENT ? message_errno(message, ERR_IO, "%s", path) : 0;
}

static int set_raw(struct pty *pty)
{
    struct termios terminal;
    if (tcgetattr(pty->slave, &terminal))
        return ERR_IO;
    cfmakeraw(&terminal);
    bool set = tcsetattr(pty->slave, TCSANOW, &terminal) == 0 &&
               fcntl(pty->master, F_SETFL, O_NONBLOCK) == 0 &&
               fcntl(pty->master, F_SETFD, FD_CLOEXEC) == 0 &&
               fcntl(pty->slave, F_SETFD, FD_CLOEXEC) == 0;
    return set ? 0 : ERR_IO;
}

int pty_open(const char *path, struct pty *ret_pty, struct message *message)
{
    struct pty pty;
    int err = text_copy(pty.path, sizeof(pty.path), path);
    if (err)
        return message_set(message, err, "%s: the path is too long", path);
    if (openpty(&pty.master, &pty.slave, NULL, NULL, NULL))
        return message_errno(message, ERR_IO, "%s: no pseudo-terminal", path);
    if (ttyname_r(pty.slave, pty.device, sizeof(pty.device)) || set_raw(&pty) || !hold(pty.slave))
        err = message_errno(message, ERR_IO, "%s: the pseudo-terminal", path);
    if (!err)
        err = clear_path(path, pty.device, message);
    if (!err && symlink(pty.device, path))
        err = message_errno(message, ERR_IO, "%s: no link to %s", path, pty.device);
    if (err) {
        close(pty.master);
        close(pty.slave);
        return err;
    }
    *ret_pty = pty;
    return 0;
}

/* Every client sets CLOCAL (no modem here), which means nothing to a pseudo-terminal. */
void pty_refresh(const struct pty *pty)
{
    struct termios terminal;
    if (tcgetattr(pty->slave, &terminal) || !(terminal.c_cflag & CLOCAL))
        return;
    terminal.c_cflag &= ~(tcflag_t)CLOCAL;
    /* Should it fail, the line still works for who is on it. */
    (void)!tcsetattr(pty->slave, TCSANOW, &terminal);
}

void pty_close(struct pty *pty)
{
    char target[PTY_DEVICE_SIZE];
    read_link(pty->path, target);
    if (strcmp(target, pty->device) == 0)
        unlink(pty->path);
    close(pty->master);
    close(pty->slave);
}
