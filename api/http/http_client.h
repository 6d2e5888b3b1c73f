/* The HTTP client: the only code that includes <curl/curl.h>. One client keeps
 * its connections and is used by one thread at a time. */
#ifndef MINICLOUD_API_HTTP_HTTP_CLIENT_H
#define MINICLOUD_API_HTTP_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/buf.h"

struct err;
struct http_client;

struct http_client_settings {
    const char *url;   /* "http://127.0.0.1:8080" or "unix:/run/minicloud/api.sock" */
    const char *token; /* bearer; NULL: none */
    const char *user_agent;
    int connect_timeout_ms; /* 0: 5 s */
};

struct http_call {
    const char *method;
    const char *path; /* with query, already encoded (http_encode) */
    const void *body; /* JSON; NULL: none */
    size_t body_len;
    const char *idempotency_key; /* NULL: none */
    const char *if_match;        /* NULL: none */
    int timeout_ms;              /* whole call; 0: 30 s; -1: none but 60 s without a byte */
    const volatile bool *cancel; /* checked at least each second; NULL: none */
    /* Upload: body read from a descriptor instead of `body`; -1 in `upload_fd` is refused,
     * so zero-initialised calls set `upload` to use it. */
    bool upload;
    int upload_fd;
    int64_t upload_size; /* -1: unknown, chunked */
    /* Download: bytes of a 2xx reply go here instead of `reply->body`. Return -1 to stop. */
    int (*sink)(void *ctx, const void *data, size_t len, struct err *err);
    void *sink_ctx;
    void (*progress)(void *ctx, int64_t done, int64_t total);
    void *progress_ctx;
};

struct http_answer {
    int status;
    struct buf body;
    char *etag;     /* unquoted, NULL: none */
    char *location; /* NULL: none */
    char *content_type;
};

int http_client_new(const struct http_client_settings *settings, struct http_client **ret_client,
                    struct err *err);
void http_client_free(struct http_client *client);
/* Sends. ERR_CONNECT when no reply came (whether the request was carried out is not
 * known). A reply of any status is a success; http_answer_err turns problems into errors. */
int http_client_call(struct http_client *client, const struct http_call *call,
                     struct http_answer *ret_answer, struct err *err);
/* 0 for 2xx; else -1 and `err` from the problem document (code, field, detail). */
int http_answer_err(const struct http_answer *answer, struct err *err);
void http_answer_release(struct http_answer *answer);
#define auto_answer __attribute__((cleanup(http_answer_release)))

/* Percent-encodes for a path segment or a query value. */
void http_encode(struct buf *out, const char *text);

#endif
