/* Equal reads on the pool; see flights.h. */
#include "controller/request/flights.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/mem.h"
#include "controller/request/request.h"
#include "controller/tx/readers.h"
#include "controller/wait/pool.h"
#include "controller/world.h"

struct flight {
    struct flight *next;
    struct flights *flights;
    char *key; /* NULL: nobody joins */
    struct request *first, **end;
};

struct flights {
    pthread_mutex_t lock;
    struct flight *waiting; /* those with a key that have not begun */
    size_t shared;
};

struct flights *flights_new(void)
{
    struct flights *flights = xcalloc(1, sizeof(*flights));
    pthread_mutex_init(&flights->lock, NULL);
    return flights;
}

void flights_free(struct flights *flights)
{
    if (!flights)
        return;
    pthread_mutex_destroy(&flights->lock);
    free(flights);
}

size_t flights_shared(struct flights *flights)
{
    pthread_mutex_lock(&flights->lock);
    size_t shared = flights->shared;
    pthread_mutex_unlock(&flights->lock);
    return shared;
}

long long request_lane(const struct request *r)
{
    return r->caller.project_key ? r->caller.project_key : -r->caller.token_key;
}

/* ---- what is equal ---- */

static void put_text(struct buf *out, const char *text)
{
    if (text)
        buf_printf(out, "%zu:%s,", strlen(text), text);
    else
        buf_puts(out, "-,");
}

/* The route, what the path and the query name, and all that the answer may depend on of who asks.
 * NULL: it stands alone, since it has a body or conditions of its own. */
static char *key_of(struct request *r)
{
    struct buf key = {0};
    const char *name, *value;
    if (r->input || strcmp(r->route->method, "GET") != 0 || http_header(r->http, "If-None-Match"))
        return NULL;
    buf_printf(&key, "%s,%lld,%lld,%d,", r->route->action, (long long)r->caller.project_key,
               (long long)r->caller.node_key, (int)r->caller.role);
    put_text(&key, r->args[0]);
    put_text(&key, r->args[1]);
    for (size_t i = 0; http_query_at(r->http, i, &name, &value); i++) {
        put_text(&key, name);
        put_text(&key, value);
    }
    return buf_take(&key);
}

static struct flight *find(struct flights *flights, const char *key)
{
    struct flight *flight = key ? flights->waiting : NULL;
    while (flight && strcmp(flight->key, key) != 0)
        flight = flight->next;
    return flight;
}

/* ---- the read ---- */

/* Nobody joins any more. */
static void begin(struct flight *flight)
{
    struct flights *flights = flight->flights;
    pthread_mutex_lock(&flights->lock);
    struct flight **at = &flights->waiting;
    while (*at && *at != flight)
        at = &(*at)->next;
    if (*at)
        *at = flight->next;
    pthread_mutex_unlock(&flights->lock);
}

static void forget_reply(struct request *r)
{
    buf_reset(&r->reply);
    free(take(r->etag));
    free(take(r->location));
    r->content_type = NULL;
}

/* One that had to let go in its midst is tried again, behind the turn that it stood in the way
 * of. */
static int read_it(struct request *r, struct err *err)
{
    enum { TIMES = 3 };
    int rc = -1;
    for (int i = 0; i < TIMES && rc != 0 && (i == 0 || err->code == ERR_UNAVAILABLE); i++) {
        err_clear(err);
        forget_reply(r);
        app_snapshot_begin_long();
        rc = r->read(request_reader(r), r, err);
        app_snapshot_end();
    }
    return rc;
}

/* Nothing is told to who may no longer ask. */
static bool refuse_dead(struct request *r)
{
    auto_err struct err err = {0};
    if (request_alive(r, &err) == 0)
        return false;
    request_fail(r, &err);
    return true;
}

/* Each request may be gone once it is answered. */
static void answer_all(struct request *first)
{
    struct http_reply reply = {.status = first->status, .content_type = first->content_type};
    struct http_shared *shared = http_shared_new(&reply, &first->reply);
    for (struct request *r = first, *next; r; r = next) {
        next = r->follower;
        if (!refuse_dead(r))
            http_reply_shared(r->http, shared);
    }
    http_shared_unref(shared);
}

static void fail_all(struct request *first, const struct err *err)
{
    for (struct request *r = first, *next; r; r = next) {
        next = r->follower;
        request_fail(r, err);
    }
}

static void run(void *ctx)
{
    struct flight *flight = ctx;
    auto_err struct err err = {0};
    begin(flight);
    struct request *first = flight->first;
    int rc = read_it(first, &err);
    if (rc != 0)
        fail_all(first, &err);
    else if (first->follower)
        answer_all(first);
    else if (!refuse_dead(first))
        request_reply(first);
    free(flight->key);
    free(flight);
}

/* ---- in line ---- */

static enum pool_answer lead(struct flights *flights, struct pool *pool, struct request *r,
                             char *key)
{
    struct flight *flight = xcalloc(1, sizeof(*flight));
    *flight = (struct flight){.flights = flights, .key = key, .first = r, .end = &r->follower};
    enum pool_answer answer = pool_submit_lane(pool, request_lane(r), run, flight);
    if (answer != POOL_TAKEN) {
        free(flight->key);
        free(flight);
    } else if (key) {
        flight->next = flights->waiting;
        flights->waiting = flight;
    }
    return answer;
}

void flights_take(struct flights *flights, struct pool *pool, struct request *r)
{
    enum pool_answer answer = POOL_TAKEN;
    char *key = key_of(r);
    http_suspend(r->http);
    pthread_mutex_lock(&flights->lock);
    struct flight *flight = find(flights, key);
    if (flight) {
        *flight->end = r;
        flight->end = &r->follower;
        flights->shared++;
    } else {
        answer = lead(flights, pool, r, take(key));
    }
    pthread_mutex_unlock(&flights->lock);
    free(key);
    if (answer != POOL_TAKEN)
        request_refuse_read(r, answer == POOL_LANE_FULL);
}
