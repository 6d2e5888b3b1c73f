/* A list of sleeping requests under one lock; their shares keep it short. Each has a place among
 * the watchers, which ends it when its time is over, its token is deleted or its client leaves.
 * What waits belongs to the watch from then on: whoever answers only takes the request out. */
#include "controller/instance/console.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/access/tokens.h"
#include "controller/request/request.h"
#include "controller/wait/watch.h"
#include "controller/world.h"

/* A page that told of a request may have been lost with its connection. */
enum { TELL_AGAIN_MS = 3000 };

struct pending {
    struct console *console;
    struct pending *next;
    struct request *request; /* NULL: it was answered */
    struct watch_sake sake;
    char id[ID_TEXT_MAX];
    char instance[ID_TEXT_MAX];
    int64_t node_key, bytes;
    int64_t told_ms; /* 0: the agent does not know of it yet */
    int64_t due_ms;
};

struct console {
    struct app *app;
    pthread_mutex_t lock;
    struct pending *first;
    bool stopped;
};

struct console *console_new(struct app *app)
{
    struct console *console = xcalloc(1, sizeof(*console));
    console->app = app;
    pthread_mutex_init(&console->lock, NULL);
    return console;
}

void console_free(struct console *console)
{
    if (!console)
        return;
    pthread_mutex_destroy(&console->lock);
    free(console);
}

static const char stopping_text[] = "the controller is stopping; try again soon";

static void fail(struct request *r, enum err_code code, const char *why)
{
    struct err auto_err err = {0};
    err_set(&err, code, "%s", why);
    request_fail(r, &err);
}

/* ---- waiting ---- */

/* With the lock held. */
static void unlist(struct console *console, const struct pending *pending)
{
    for (struct pending **at = &console->first; *at; at = &(*at)->next) {
        if (*at != pending)
            continue;
        *at = pending->next;
        return;
    }
}

static void over(void *ctx, bool expired);

/* With the lock held. */
static bool wait_on(struct pending *pending, int64_t revision)
{
    return watch_add_for(pending->console->app->watch, &pending->sake, WATCH_CONSOLE, 0, revision,
                         pending->due_ms - clock_boottime_ms(), over, pending);
}

static void say_why(struct request *r, const struct pending *pending, bool stopped)
{
    struct err auto_err err = {0};
    if (request_alive(r, &err) != 0)
        request_fail(r, &err);
    else if (stopped)
        fail(r, ERR_UNAVAILABLE, stopping_text);
    else if (clock_boottime_ms() < pending->due_ms)
        fail(r, ERR_HOST_TIMEOUT,
             "the client closed its side before the instance's node sent the console log");
    else
        fail(r, ERR_HOST_TIMEOUT,
             "the instance's node did not send the console log in time; see its state with "
             "GET /v1/nodes");
}

/* On the waker's thread. A wake without an end is one without cause. */
static void over(void *ctx, bool expired)
{
    struct pending *pending = ctx;
    struct console *console = pending->console;
    int64_t revision = watch_revision(console->app->watch);
    bool ended = expired || !tokens_alive(console->app->tokens, pending->sake.token_key);
    pthread_mutex_lock(&console->lock);
    struct request *r = pending->request;
    if (r && !ended && wait_on(pending, revision)) {
        pthread_mutex_unlock(&console->lock);
        return;
    }
    unlist(console, pending);
    bool stopped = console->stopped;
    pthread_mutex_unlock(&console->lock);
    if (r)
        say_why(r, pending, stopped);
    free(pending);
}

/* As http_handlers.left. */
static void left(struct request *r)
{
    struct console *console = r->app->console;
    pthread_mutex_lock(&console->lock);
    for (struct pending *at = console->first; at; at = at->next) {
        if (at->request == r)
            watch_left(console->app->watch, &at->sake);
    }
    pthread_mutex_unlock(&console->lock);
}

static struct pending *pending_new(struct console *console, struct request *r, int64_t node_key,
                                   const char *instance_id, int64_t bytes)
{
    struct pending *pending = xcalloc(1, sizeof(*pending));
    *pending = (struct pending){.console = console,
                                .request = r,
                                .sake = {.token_key = r->caller.token_key},
                                .node_key = node_key,
                                .bytes = bytes,
                                .due_ms = clock_boottime_ms() + CONSOLE_WAIT_SECONDS * 1000};
    id_new(pending->id);
    snprintf(pending->instance, sizeof(pending->instance), "%s", instance_id);
    return pending;
}

void console_ask(struct console *console, struct request *r, int64_t node_key,
                 const char *instance_id, int64_t bytes)
{
    struct err auto_err err = {0};
    int64_t revision = watch_revision(console->app->watch);
    if (request_alive(r, &err) != 0 || request_share(r, SHARE_CONSOLE, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    struct pending *pending = pending_new(console, r, node_key, instance_id, bytes);
    r->left = left;
    http_suspend(r->http);
    pthread_mutex_lock(&console->lock);
    bool waits = !console->stopped && wait_on(pending, revision);
    if (waits) {
        pending->next = console->first;
        console->first = pending;
    }
    pthread_mutex_unlock(&console->lock);
    /* From here on the request may be answered, and gone, at any moment. */
    if (waits) {
        watch_poke(console->app->watch, WATCH_NODE, node_key);
        return;
    }
    free(pending);
    fail(r, ERR_UNAVAILABLE, stopping_text);
}

/* ---- the agent ---- */

static bool is_news(const struct pending *pending, int64_t node_key, int64_t now)
{
    return pending->node_key == node_key &&
           (!pending->told_ms || now - pending->told_ms >= TELL_AGAIN_MS);
}

int console_put(struct console *console, int64_t node_key, struct json_writer *w, const char *key)
{
    int count = 0;
    int64_t now = clock_boottime_ms();
    json_open(w, key, '[');
    pthread_mutex_lock(&console->lock);
    for (struct pending *at = console->first; at; at = at->next) {
        if (!is_news(at, node_key, now))
            continue;
        at->told_ms = now;
        count++;
        json_open(w, NULL, '{');
        json_put_str(w, "id", at->id);
        json_put_str(w, "instance", at->instance);
        json_put_i64(w, "bytes", at->bytes);
        json_close(w, '}');
    }
    pthread_mutex_unlock(&console->lock);
    json_close(w, ']');
    return count;
}

bool console_waiting(struct console *console, int64_t node_key)
{
    bool waiting = false;
    int64_t now = clock_boottime_ms();
    pthread_mutex_lock(&console->lock);
    for (struct pending *at = console->first; at && !waiting; at = at->next)
        waiting = is_news(at, node_key, now);
    pthread_mutex_unlock(&console->lock);
    return waiting;
}

/* The request that waits for this answer; NULL: none. Its wait is over. */
static struct request *take_out(struct console *console, int64_t node_key, const char *id)
{
    struct request *found = NULL;
    pthread_mutex_lock(&console->lock);
    for (struct pending *at = console->first; at && !found; at = at->next) {
        if (at->node_key != node_key || strcmp(at->id, id) != 0)
            continue;
        found = take(at->request);
        unlist(console, at);
        watch_left(console->app->watch, &at->sake);
        break;
    }
    pthread_mutex_unlock(&console->lock);
    return found;
}

bool console_answer(struct console *console, int64_t node_key, const char *id, const char *data,
                    size_t len)
{
    struct request *r = take_out(console, node_key, id);
    if (!r)
        return false;
    r->status = 200;
    r->content_type = "text/plain; charset=utf-8";
    buf_reset(&r->reply);
    buf_add(&r->reply, data, len);
    request_reply(r);
    return true;
}

void console_stop(struct console *console)
{
    pthread_mutex_lock(&console->lock);
    console->stopped = true;
    pthread_mutex_unlock(&console->lock);
}
