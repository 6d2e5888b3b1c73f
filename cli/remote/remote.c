/* Calls to the controller. */
#include "cli/remote/remote.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/id.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/session.h"

enum { PAGE = 500 };

int remote_path(struct cli *cli, const struct noun *noun, const char *ref, const char *suffix,
                struct buf *out, struct err *err)
{
    if (cli_connect(cli, err) != 0)
        return -1;
    buf_printf(out, "/v1/%s", noun->plural);
    if (ref) {
        buf_putc(out, '/');
        http_encode(out, ref);
    }
    if (suffix)
        buf_printf(out, "/%s", suffix);
    /* An id needs no project. */
    if (noun->scoped && cli->settings.project && !(ref && id_valid(ref)))
        remote_query(out, "project", cli->settings.project);
    return 0;
}

void remote_query(struct buf *path, const char *name, const char *value)
{
    buf_putc(path, strchr(path->data, '?') ? '&' : '?');
    buf_printf(path, "%s=", name);
    http_encode(path, value);
}

void remote_query_i64(struct buf *path, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    remote_query(path, name, text);
}

static void put_time(int64_t wall_ms, struct buf *out)
{
    char text[CLOCK_TEXT_MAX];
    clock_format(wall_ms, text);
    buf_puts(out, text);
}

/* All values of an option, joined. */
static void joined_values(const struct args *args, const struct option *option, struct buf *out)
{
    for (size_t i = 0; i < args->given_count; i++) {
        const struct given *given = &args->given[i];
        if (given->option != option)
            continue;
        if (option->type == OPTION_LIST && out->len)
            buf_putc(out, ',');
        else
            buf_reset(out);
        if (option->type == OPTION_SECONDS)
            buf_i64(out, given->number);
        else if (option->type == OPTION_TIME)
            put_time(given->number, out);
        else
            buf_puts(out, given->text ? given->text : "true");
    }
}

void remote_query_options(struct buf *path, const struct args *args)
{
    const struct option *option;
    for (size_t i = 0; (option = verb_option_at(args->verb, i)); i++) {
        auto_buf struct buf value = {0};
        if (option->place != PLACE_QUERY)
            continue;
        joined_values(args, option, &value);
        if (value.len)
            remote_query(path, option->member ? option->member : option->name, value.data);
    }
}

static int send_call(struct cli *cli, struct http_call *call, struct http_answer *ret_answer,
                     struct err *err)
{
    call->cancel = cli->interrupted;
    if (http_client_call(cli->client, call, ret_answer, err) != 0)
        return -1;
    return http_answer_err(ret_answer, err);
}

int remote_raw(struct cli *cli, struct http_call *call, struct http_answer *ret_answer,
               struct err *err)
{
    if (cli_connect(cli, err) != 0)
        return -1;
    return send_call(cli, call, ret_answer, err);
}

static int parse_reply(const struct http_answer *answer, struct json **ret_json, struct err *err)
{
    *ret_json = NULL;
    if (answer->body.len == 0)
        return 0;
    if (json_parse(answer->body.data, answer->body.len, ret_json, err) == 0)
        return 0;
    err->code = ERR_INTERNAL;
    return err_context(err, "the controller's reply is no JSON");
}

int remote_call(struct cli *cli, const struct remote_call *call, struct json **ret_json,
                char **ret_etag, struct err *err)
{
    if (cli_connect(cli, err) != 0)
        return -1;
    char key[ID_TEXT_MAX];
    id_new(key);
    bool post = strcmp(call->method, "POST") == 0;
    struct http_call http = {
        .method = call->method,
        .path = call->path,
        .body = call->body ? call->body->data : NULL,
        .body_len = call->body ? call->body->len : 0,
        .if_match = call->if_match,
        .idempotency_key = post ? key : NULL,
        .timeout_ms = call->timeout_ms,
    };
    auto_answer struct http_answer answer = {0};
    int rc = send_call(cli, &http, &answer, err);
    bool repeatable = post || strcmp(call->method, "GET") == 0;
    if (rc != 0 && err->code == ERR_CONNECT && repeatable && !*cli->interrupted) {
        http_answer_release(&answer);
        answer = (struct http_answer){0};
        rc = send_call(cli, &http, &answer, err);
    }
    if (rc != 0)
        return -1;
    if (ret_etag)
        *ret_etag = xstrdup(answer.etag);
    return parse_reply(&answer, ret_json, err);
}

int remote_get(struct cli *cli, const char *path, struct json **ret_json, struct err *err)
{
    struct remote_call call = {.method = "GET", .path = path};
    if (remote_call(cli, &call, ret_json, NULL, err) != 0)
        return -1;
    return *ret_json ? 0 : err_set(err, ERR_INTERNAL, "the controller's reply is empty");
}

struct json *remote_object(struct json *reply, const struct noun *noun)
{
    struct json *inner = reply ? json_get(reply, noun->name) : NULL;
    return inner && json_type(inner) == JSON_OBJECT ? inner : reply;
}

static void add_page(struct remote_list *list, struct json *page, const struct noun *noun,
                     int64_t limit)
{
    list->pages = xrealloc(list->pages, (list->page_count + 1) * sizeof(*list->pages));
    list->pages[list->page_count++] = page;
    json_i64(json_get(page, "revision"), &list->revision);
    struct json *items = json_get(page, noun->plural);
    size_t more = items ? json_count(items) : 0;
    list->items = xrealloc(list->items, (list->count + more + 1) * sizeof(*list->items));
    for (struct json *item = items ? json_first(items) : NULL; item; item = json_next(item)) {
        if (!limit || list->count < (size_t)limit)
            list->items[list->count++] = item;
    }
}

int remote_list(struct cli *cli, const struct noun *noun, const char *path, int64_t limit,
                struct remote_list *ret_list, struct err *err)
{
    return remote_pages(cli, noun, path, PAGE, limit, ret_list, err);
}

int remote_pages(struct cli *cli, const struct noun *noun, const char *path, int64_t page_size,
                 int64_t limit, struct remote_list *ret_list, struct err *err)
{
    *ret_list = (struct remote_list){0};
    autofree char *cursor = NULL;
    do {
        auto_buf struct buf page_path = {0};
        buf_puts(&page_path, path);
        int64_t left = limit ? limit - (int64_t)ret_list->count : page_size;
        remote_query_i64(&page_path, "limit", left < page_size ? left : page_size);
        if (cursor)
            remote_query(&page_path, "cursor", cursor);
        struct json *page = NULL;
        if (remote_get(cli, page_path.data, &page, err) != 0) {
            remote_list_release(ret_list);
            return -1;
        }
        add_page(ret_list, page, noun, limit);
        free(cursor);
        cursor = xstrdup(json_str(json_get(page, "next")));
    } while (cursor && (!limit || ret_list->count < (size_t)limit));
    return 0;
}

void remote_list_release(struct remote_list *list)
{
    for (size_t i = 0; i < list->page_count; i++)
        json_free(list->pages[i]);
    free(list->pages);
    free(list->items);
    *list = (struct remote_list){0};
}
