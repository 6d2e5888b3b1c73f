/* A list of sleeping requests under one lock; it is short. */
#include "controller/console.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/clock.h"
#include "api/limits.h"
#include "api/mem.h"
#include "controller/app.h"
#include "controller/reconcile.h"
#include "controller/request.h"
#include "controller/watch.h"

/* A page that told of a request may have been lost with its connection. */
enum { TELL_AGAIN_MS = 3000 };

struct pending {
    struct pending *next;
    struct request *request;
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

static void fail(struct pending *pending, enum err_code code, const char *why)
{
    struct err auto_err err = {0};
    err_set(&err, code, "%s", why);
    request_fail(pending->request, &err);
    free(pending);
}

void console_ask(struct console *console, struct request *r, int64_t node_key,
                 const char *instance_id, int64_t bytes)
{
    struct pending *pending = xcalloc(1, sizeof(*pending));
    *pending = (struct pending){.request = r,
                                .node_key = node_key,
                                .bytes = bytes,
                                .due_ms = clock_boottime_ms() + CONSOLE_WAIT_SECONDS * 1000};
    id_new(pending->id);
    snprintf(pending->instance, sizeof(pending->instance), "%s", instance_id);
    int64_t due_ms = pending->due_ms;
    http_suspend(r->http);
    pthread_mutex_lock(&console->lock);
    bool stopped = console->stopped;
    if (!stopped) {
        pending->next = console->first;
        console->first = pending;
    }
    pthread_mutex_unlock(&console->lock);
    /* From here on the request may be answered, and gone, at any moment. */
    if (stopped) {
        fail(pending, ERR_UNAVAILABLE, "the controller is stopping; try again soon");
        return;
    }
    reconcile_wake_at(console->app->reconcile, due_ms);
    watch_poke(console->app->watch, WATCH_NODE, node_key);
}

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

/* Takes out the first that `wanted` accepts. */
static struct pending *take_out(struct console *console,
                                bool (*wanted)(const struct pending *, const void *),
                                const void *ctx)
{
    struct pending *found = NULL;
    pthread_mutex_lock(&console->lock);
    for (struct pending **at = &console->first; *at; at = &(*at)->next) {
        if (!wanted(*at, ctx))
            continue;
        found = *at;
        *at = found->next;
        break;
    }
    pthread_mutex_unlock(&console->lock);
    return found;
}

struct answer_to {
    int64_t node_key;
    const char *id;
};

static bool is_answer_to(const struct pending *pending, const void *ctx)
{
    const struct answer_to *to = ctx;
    return pending->node_key == to->node_key && strcmp(pending->id, to->id) == 0;
}

bool console_answer(struct console *console, int64_t node_key, const char *id, const char *data,
                    size_t len)
{
    struct answer_to to = {.node_key = node_key, .id = id};
    struct pending *pending = take_out(console, is_answer_to, &to);
    if (!pending)
        return false;
    struct request *r = pending->request;
    r->status = 200;
    r->content_type = "text/plain; charset=utf-8";
    buf_reset(&r->reply);
    buf_add(&r->reply, data, len);
    free(pending);
    request_reply(r);
    return true;
}

static bool is_due(const struct pending *pending, const void *ctx)
{
    const int64_t *now = ctx;
    return pending->due_ms <= *now;
}

int64_t console_expire(struct console *console)
{
    int64_t now = clock_boottime_ms(), next = INT64_MAX;
    struct pending *pending;
    while ((pending = take_out(console, is_due, &now)))
        fail(pending, ERR_HOST_TIMEOUT,
             "the instance's node did not send the console log in time; see its state with "
             "GET /v1/nodes");
    pthread_mutex_lock(&console->lock);
    for (const struct pending *at = console->first; at; at = at->next)
        next = at->due_ms < next ? at->due_ms : next;
    pthread_mutex_unlock(&console->lock);
    return next;
}

static bool is_any(const struct pending *pending, const void *ctx)
{
    (void)pending;
    (void)ctx;
    return true;
}

void console_stop(struct console *console)
{
    pthread_mutex_lock(&console->lock);
    console->stopped = true;
    pthread_mutex_unlock(&console->lock);
    struct pending *pending;
    while ((pending = take_out(console, is_any, NULL)))
        fail(pending, ERR_UNAVAILABLE, "the controller is stopping; try again soon");
}
