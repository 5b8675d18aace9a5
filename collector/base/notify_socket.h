/* systemd's notify protocol (sd_notify(3)): readiness and watchdog. Without NOTIFY_SOCKET in the
 * environment every call does nothing. */
#ifndef BASE_NOTIFY_SOCKET_H
#define BASE_NOTIFY_SOCKET_H

/* Sends `state`, as in "READY=1", "WATCHDOG=1", "STOPPING=1\nSTATUS=draining". */
void notify_socket_send(const char *state);

#endif
