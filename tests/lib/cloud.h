/* A whole cloud for a test: controller, and when asked for a host in namespaces with its
 * agent, all in one folder, all undone when the test ends in whatever way.
 *
 * The programs come from the folder in MINICLOUD_BIN, or from where the test itself was
 * built (build/<variant>), so that a sanitizer's tests drive a sanitizer's programs. */
#ifndef MINICLOUD_TESTS_CLOUD_H
#define MINICLOUD_TESTS_CLOUD_H

#include <stdbool.h>
#include <stdint.h>

#include "api/json/json.h"
#include "tests/lib/proc.h"

struct http_client;

struct cloud {
    char *dir;   /* traversable by any user */
    char *host;  /* name of the namespaced host; NULL: none */
    char *bin;   /* folder of the programs */
    char *url;   /* "unix:<dir>/data/api.sock" */
    char *token; /* the admin's */
    struct proc controller;
    struct proc agent;
    struct http_client *client;
    /* Put before the program when it is started (a tracer); ended by NULL, may be NULL. */
    const char *const *controller_wrap, *const *agent_wrap;
};

/* Makes the folder; starts nothing. */
struct cloud *cloud_new(const char *name);
/* Stops everything, flushes the guard, frees. */
void cloud_free(struct cloud *cloud);

/* Starts the controller and waits until it says READY (or fails the test). `env` as in
 * proc_start; `flags` more command-line flags ended by NULL; both may be NULL. */
void cloud_start_controller(struct cloud *cloud, const char *const env[],
                            const char *const flags[]);
/* As above, but returns -1 when it ended before it was ready (armed failpoints do that). */
int cloud_try_controller(struct cloud *cloud, const char *const env[], const char *const flags[]);
/* Brings the host up (once) and keeps it for the rest of the test. */
void cloud_host_up(struct cloud *cloud);
void cloud_start_agent(struct cloud *cloud, const char *const env[], const char *const flags[]);
int cloud_try_agent(struct cloud *cloud, const char *const env[], const char *const flags[]);
/* Runs a program inside the host; its exit status. */
int cloud_on_host(struct cloud *cloud, const char *const argv[], int timeout_ms);
char *cloud_host_output(struct cloud *cloud, const char *const argv[], int *ret_status);

/* What host-ns can do to the host's libvirtd: "kill-libvirtd", "start-libvirtd". */
void cloud_libvirtd(struct cloud *cloud, const char *verb);
/* A path within the sources, owned by the caller. */
char *cloud_source(const struct cloud *cloud, const char *path);

/* The tiny guest image, built once into build/images/ (or MINICLOUD_IMAGES). Owned by the
 * caller. `stubborn` ignores the power button. */
char *cloud_tiny_image(bool stubborn);

/* ---- requests ---- */

struct answer {
    int status;
    struct json *json; /* NULL when the body is no JSON */
    char *text;
    char *etag;
};

/* Sends with the admin's token. `body` is a printf format, NULL: none. A controller that
 * does not answer gives status 0. */
struct answer cloud_call(struct cloud *cloud, const char *method, const char *path,
                         const char *body, ...) __attribute__((format(printf, 4, 5)));
/* With a token of one's own and an Idempotency-Key (either may be NULL: the admin's, none). */
struct answer cloud_call_as(struct cloud *cloud, const char *token, const char *key,
                            const char *method, const char *path, const char *body);
/* Uploads a file as the image's content. */
struct answer cloud_upload(struct cloud *cloud, const char *path, const char *file);
void answer_release(struct answer *answer);
#define auto_answer_json __attribute__((cleanup(answer_release)))

/* Follows a dotted path ("operation.id", "addresses.0.address"): borrowed text of a string, or
 * NULL. Integers by answer_i64 (-1 when missing). */
const char *answer_str(const struct answer *answer, const char *path);
int64_t answer_i64(const struct answer *answer, const char *path);
struct json *answer_at(const struct answer *answer, const char *path);

/* Waits for an operation through ?wait= and returns its last answer. */
struct answer cloud_operation(struct cloud *cloud, const char *id, int timeout_ms);
/* Posts, expects 202, waits for the operation, expects done. Fails the test otherwise. */
void cloud_done(struct cloud *cloud, const char *method, const char *path, const char *body, ...)
    __attribute__((format(printf, 4, 5)));
/* Waits, by the event log, until `path` of GET `resource` is `value`. Fails the test after
 * timeout_ms. Returns the milliseconds it took. */
int64_t cloud_await(struct cloud *cloud, const char *resource, const char *path, const char *value,
                    int timeout_ms);
/* Creates the image `name` from a file and waits until it is ready. */
void cloud_add_image(struct cloud *cloud, const char *name, const char *file, const char *format);

/* Fails the running cmocka test (or ends a bench) with a message. */
void cloud_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
