/* The API as verbs see it: paths of nouns, JSON in and out, pages joined to lists,
 * one retry where repeating is safe. */
#ifndef MINICLOUD_CLI_REMOTE_REMOTE_H
#define MINICLOUD_CLI_REMOTE_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/buf.h"
#include "cli/line/command.h"

struct cli;
struct err;
struct http_answer;
struct http_call;
struct json;

/* "/v1/instances", "/v1/instances/web1", "/v1/instances/web1/start" (`ref` and `suffix` may
 * be NULL), with the project in use as a query where the noun belongs to one. */
int remote_path(struct cli *cli, const struct noun *noun, const char *ref, const char *suffix,
                struct buf *out, struct err *err);
/* Adds "?name=value" or "&name=value", encoded. */
void remote_query(struct buf *path, const char *name, const char *value);
void remote_query_i64(struct buf *path, const char *name, int64_t value);
/* The verb's options that belong into the query; several values are joined by commas. */
void remote_query_options(struct buf *path, const struct args *args);

struct remote_call {
    const char *method;
    const char *path;
    const struct buf *body; /* NULL: none */
    const char *if_match;   /* NULL: none */
    int timeout_ms;         /* 0: the client's default */
};

/* `ret_json` gets NULL when the reply has no body; `ret_etag` may be NULL. A POST carries an
 * Idempotency-Key of its own; GET and POST are sent once more, with the same key, when no
 * reply came. */
int remote_call(struct cli *cli, const struct remote_call *call, struct json **ret_json,
                char **ret_etag, struct err *err);
int remote_get(struct cli *cli, const char *path, struct json **ret_json, struct err *err);
/* A call of another kind (upload, download), sent once; problems become errors. */
int remote_raw(struct cli *cli, struct http_call *call, struct http_answer *ret_answer,
               struct err *err);

/* The resource in a reply: under its noun, or the reply itself. */
struct json *remote_object(struct json *reply, const struct noun *noun);

/* Items of several pages; they live as long as the list. */
struct remote_list {
    struct json **pages;
    size_t page_count;
    struct json **items;
    size_t count;
    int64_t revision;
};

/* All that the filters let through; `limit` 0: no bound. `path` may have a query. */
int remote_list(struct cli *cli, const struct noun *noun, const char *path, int64_t limit,
                struct remote_list *ret_list, struct err *err);
/* The same by pages of `page_size`, where each page costs the controller much. */
int remote_pages(struct cli *cli, const struct noun *noun, const char *path, int64_t page_size,
                 int64_t limit, struct remote_list *ret_list, struct err *err);
void remote_list_release(struct remote_list *list);
#define auto_list __attribute__((cleanup(remote_list_release)))

#endif
