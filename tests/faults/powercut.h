/* The power cuts at the controller: a recorded life, and what must hold wherever it is cut.
 *
 * Marks in the trace carry what was promised:
 *   sent <object> <state>            a request for it left
 *   ack <object> <state> [<detail>]  a 2xx for it came
 *   reply <key>\n<path>\n<request body>\n<status>\n<answer>   of a POST with Idempotency-Key
 *   seen <epoch> <revision>          someone was shown this revision
 *   guest <id> <generation> <run> <running> <absent> <disk>   what the host holds
 *   host <token>                     the node's own
 * An object is "<kind>/<name>"; after a cut its state is that of its last ack, or of any
 * request sent after that. */
#ifndef MINICLOUD_TESTS_POWERCUT_H
#define MINICLOUD_TESTS_POWERCUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct cloud;
struct replay;

struct recording {
    struct cloud *cloud;
    char *root;  /* watched: cloud->dir/w */
    char *trace; /* beside it */
};

/* First start, and a life of requests, up to a SIGKILL. */
struct recording powercut_record(void);
/* The environment that loads the shim; owned strings, ended by NULL. */
void powercut_env(const struct cloud *cloud, const char *root, const char *trace, char *env[4]);
void recording_release(struct recording *recording);

/* The folder as of one cut, in the place where a controller looks: `cloud->dir`/data. */
void powercut_restore(const struct replay *replay, int keep, uint64_t seed, struct cloud *cloud);
/* Starts the controller on it and checks all that was promised before record `end`. NULL:
 * everything holds; otherwise what does not, owned by the caller. `deep`: the host comes
 * back too, and every operation must end. */
char *powercut_check(const struct replay *replay, size_t end, struct cloud *cloud, bool deep);

/* Of a stopped or running controller's database: NULL or what is half-made. */
char *powercut_check_rows(const char *data_dir);

#endif
