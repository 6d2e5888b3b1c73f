/* A server for the tests of api/http_server: its routes do what each test needs. Included by
 * the test files of the HTTP layer only. */
#ifndef MINICLOUD_TESTS_HTTP_SITE_H
#define MINICLOUD_TESTS_HTTP_SITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/http/http_server.h"
#include "tests/lib/raw_http.h"

enum { SITE_BODY_LIMIT = 100 * 1000 };

struct site {
    struct http_server *server;
    int port;
    void (*handle)(struct site *site, struct http_request *req);
    void (*begin)(struct site *site, struct http_request *req); /* NULL: take any body */
    bool unproved; /* its requests come without a token */
    atomic_int begun, ended, last_status;
    atomic_int left; /* clients that went while they were asleep */
    /* One request at a time can be handed to a test's thread. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct http_request *waiting;
    void *extra;
};

static void site_begin(void *ctx, struct http_request *req)
{
    struct site *site = ctx;
    atomic_fetch_add(&site->begun, 1);
    if (!site->unproved)
        http_prove(req, 0);
    if (site->begin)
        site->begin(site, req);
    else
        http_accept_body(req, SITE_BODY_LIMIT);
}

static void site_handle(void *ctx, struct http_request *req)
{
    struct site *site = ctx;
    site->handle(site, req);
}

static void site_end(void *ctx, struct http_request *req, int status, int64_t elapsed_ns)
{
    (void)req;
    struct site *site = ctx;
    assert_true(elapsed_ns >= 0);
    atomic_store(&site->last_status, status);
    pthread_mutex_lock(&site->lock);
    atomic_fetch_add(&site->ended, 1);
    pthread_cond_broadcast(&site->changed);
    pthread_mutex_unlock(&site->lock);
}

static void site_left(void *ctx, struct http_request *req)
{
    (void)req;
    struct site *site = ctx;
    pthread_mutex_lock(&site->lock);
    atomic_fetch_add(&site->left, 1);
    pthread_cond_broadcast(&site->changed);
    pthread_mutex_unlock(&site->lock);
}

/* Replies with what the server understood: "METHOD path name=value;...|body". */
__attribute__((unused)) static void site_echo(struct site *site, struct http_request *req)
{
    (void)site;
    struct buf body = {0};
    const char *name, *value;
    size_t len;
    buf_printf(&body, "%s %s ", http_method(req), http_path(req));
    for (size_t i = 0; http_query_at(req, i, &name, &value); i++)
        buf_printf(&body, "%s=%s;", name, value);
    const char *text = http_body(req, &len);
    buf_puts(&body, "|");
    buf_add(&body, text, len);
    http_reply(req, &(struct http_reply){.status = 200, .content_type = "text/plain"}, &body);
}

__attribute__((unused)) static void site_reply(struct http_request *req, const char *text)
{
    struct buf body = {0};
    buf_puts(&body, text);
    http_reply(req, &(struct http_reply){.status = 200, .content_type = "text/plain"}, &body);
}

/* Suspends the request and leaves it to the test's thread. */
__attribute__((unused)) static void site_park(struct site *site, struct http_request *req)
{
    http_suspend(req);
    pthread_mutex_lock(&site->lock);
    site->waiting = req;
    pthread_cond_broadcast(&site->changed);
    pthread_mutex_unlock(&site->lock);
}

__attribute__((unused)) static struct http_request *site_take(struct site *site)
{
    pthread_mutex_lock(&site->lock);
    while (!site->waiting)
        pthread_cond_wait(&site->changed, &site->lock);
    struct http_request *req = take(site->waiting);
    pthread_mutex_unlock(&site->lock);
    return req;
}

__attribute__((unused)) static void site_wait_ended(struct site *site, int count)
{
    pthread_mutex_lock(&site->lock);
    while (atomic_load(&site->ended) < count)
        pthread_cond_wait(&site->changed, &site->lock);
    pthread_mutex_unlock(&site->lock);
}

/* Waits until so many have left; false: patience was over first. */
__attribute__((unused)) static bool site_wait_left(struct site *site, int count)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&site->lock);
    while (atomic_load(&site->left) < count &&
           pthread_cond_timedwait(&site->changed, &site->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&site->lock);
    return atomic_load(&site->left) >= count;
}

/* A request and its reply on a connection of its own, for a handler that answers "/turn": what
 * the server's threads were at is done, and what had come to them before is seen. */
__attribute__((unused)) static void site_turn(struct site *site)
{
    auto_raw struct raw raw = raw_open(site->port);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, "GET /turn HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read(&raw, &reply);
    assert_int_equal(reply.status, 200);
}

/* To be called first by such a handler. */
__attribute__((unused)) static bool site_turned(struct http_request *req)
{
    bool is = strcmp(http_path(req), "/turn") == 0;
    if (is)
        site_reply(req, "turned");
    return is;
}

static void site_open_with(struct site *site, struct http_settings settings)
{
    auto_err struct err err = {0};
    pthread_mutex_init(&site->lock, NULL);
    pthread_cond_init(&site->changed, NULL);
    if (!settings.listen && !settings.unix_path)
        settings.listen = "127.0.0.1:0";
    const struct http_handlers handlers = {.ctx = site,
                                           .begin = site_begin,
                                           .handle = site_handle,
                                           .left = site_left,
                                           .end = site_end};
    if (http_server_start(&settings, &handlers, &site->server, &err))
        fail_msg("%s", err.msg);
    site->port = http_server_port(site->server);
}

__attribute__((unused)) static void site_open(struct site *site)
{
    site_open_with(site, (struct http_settings){0});
}

/* Every `begin` has had its `end`. */
__attribute__((unused)) static void site_close(struct site *site)
{
    http_server_stop(site->server);
    assert_int_equal(atomic_load(&site->begun), atomic_load(&site->ended));
    pthread_cond_destroy(&site->changed);
    pthread_mutex_destroy(&site->lock);
}

#endif
