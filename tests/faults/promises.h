/* What a trace's marks promise up to a cut. */
#ifndef MINICLOUD_TESTS_PROMISES_H
#define MINICLOUD_TESTS_PROMISES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replay;
struct fake_host;

enum { PROMISE_MAYBE = 4 };

struct promise {
    char *kind, *name;
    char *acked; /* NULL: nothing yet */
    char *id;    /* of the first ack that gave one */
    char *detail;
    char *maybe[PROMISE_MAYBE]; /* states asked for since */
    int maybe_count;
};

struct posted {
    char *key, *path, *body;
    int status;  /* 0: no answer came */
    char *reply; /* "": not compared (a secret) */
};

struct promises {
    struct promise *items;
    size_t count;
    struct posted *posts;
    size_t post_count;
    char epoch[40];
    int64_t revision; /* highest that anyone was shown */
    char *host_token;
};

struct promises promises_read(const struct replay *replay, size_t end);
void promises_release(struct promises *promises);
/* Whether `state` may be found after the cut. */
bool promise_allows(const struct promise *promise, const char *state);
/* Of `kind` and `name`; NULL. */
const struct promise *promises_find(const struct promises *promises, const char *kind,
                                    const char *name);
/* What the host held, from its marks. */
void promises_fill_host(const struct replay *replay, size_t end, struct fake_host *host);

#endif
