/* Tells a supervisor that the program is ready, or is stopping: the datagram protocol of
 * sd_notify(3), without libsystemd. Nothing happens when NOTIFY_SOCKET is not set. */
#ifndef MINICLOUD_API_BASE_NOTIFY_H
#define MINICLOUD_API_BASE_NOTIFY_H

/* `state`: "READY=1", "STOPPING=1", "STATUS=...". Failures are ignored: nobody depends on it
 * but the supervisor, which has a time-out of its own. */
void notify_supervisor(const char *state);

#endif
