/* A controller that answers cloudctl from a script, in order. */
#ifndef MINICLOUD_TESTS_CLI_SCRIPT_H
#define MINICLOUD_TESTS_CLI_SCRIPT_H

#include "tests/unit/cli_harness.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/http/http_server.h"

struct step {
    const char *request; /* "GET /v1/instances?limit=500" */
    int status;
    const char *reply;
    bool interrupts; /* behaves as if Ctrl-C came while it answers */
    int slow_ms;     /* answers only after that */
};

struct script {
    const struct step *steps;
    size_t at;
    struct buf log;   /* what came, a line each: method, path, query, body */
    struct buf wrong; /* what came unexpected */
    struct http_server *server;
    pthread_t person; /* who runs cloudctl and may press Ctrl-C */
};

static void script_begin(void *ctx, struct http_request *req)
{
    (void)ctx;
    http_accept_body(req, 1 << 20);
}

static void put_request(struct http_request *req, struct buf *out)
{
    const char *name, *value;
    buf_printf(out, "%s %s", http_method(req), http_path(req));
    for (size_t i = 0; http_query_at(req, i, &name, &value); i++)
        buf_printf(out, "%c%s=%s", i ? '&' : '?', name, value);
}

/* A long poll is left out by a client whose time was up before it came to ask. */
static const struct step *next_step(struct script *script, const char *request)
{
    const struct step *step = &script->steps[script->at];
    if (step->slow_ms && strcmp(step->request, request) != 0)
        step = &script->steps[++script->at];
    return step;
}

static void script_handle(void *ctx, struct http_request *req)
{
    struct script *script = ctx;
    auto_buf struct buf text = {0}, body = {0};
    size_t len;
    put_request(req, &text);
    const struct step *step = next_step(script, text.data);
    const char *sent = http_body(req, &len);
    buf_printf(&script->log, "%s %.*s\n", text.data, (int)len, sent);
    struct http_reply reply = {.status = 599};
    if (step->request && strcmp(step->request, text.data) == 0) {
        script->at++;
        reply.status = step->status;
        reply.content_type = step->status >= 400 ? "application/problem+json" : NULL;
        if (step->interrupts)
            pthread_kill(script->person, SIGINT);
        usleep((useconds_t)step->slow_ms * 1000);
        buf_puts(&body, step->reply ? step->reply : "");
    } else {
        buf_printf(&script->wrong, "%s; ", text.data);
    }
    http_reply(req, &reply, &body);
}

static void script_end(void *ctx, struct http_request *req, int status, int64_t elapsed_ns)
{
    (void)ctx, (void)req, (void)status, (void)elapsed_ns;
}

static void script_start(struct script *script, const struct step *steps)
{
    auto_err struct err err = {0};
    *script = (struct script){.steps = steps, .person = pthread_self()};
    struct http_settings settings = {.listen = "127.0.0.1:0"};
    struct http_handlers handlers = {
        .ctx = script, .begin = script_begin, .handle = script_handle, .end = script_end};
    if (http_server_start(&settings, &handlers, &script->server, &err) != 0)
        fail_msg("%s", err.msg);
    autofree char *url = xasprintf("http://127.0.0.1:%d", http_server_port(script->server));
    setenv("CLOUDCTL_URL", url, 1);
    setenv("CLOUDCTL_TOKEN", "mc_test", 1);
}

/* Stops the server; fails the test when the script was not followed to its end. */
static void script_stop(struct script *script)
{
    http_server_stop(script->server);
    if (script->wrong.len || script->steps[script->at].request)
        fail_msg("unexpected: %s missing: %s", script->wrong.len ? script->wrong.data : "",
                 script->steps[script->at].request ? script->steps[script->at].request : "");
    buf_release(&script->log);
    buf_release(&script->wrong);
}

#define PROBLEM(status, code, detail)                                        \
    "{\"type\":\"x\",\"title\":\"t\",\"status\":" status ",\"code\":\"" code \
    "\",\"detail\":\"" detail "\"}"

#endif
