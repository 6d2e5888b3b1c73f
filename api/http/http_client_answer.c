/* What a client makes of an answer: problem documents into errors, whatever the
 * server (or something in front of it) sent. Knows no libcurl. */
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "api/json/json.h"

enum { QUOTED_BYTES = 200 }; /* of a reply that is no problem document */

void http_answer_release(struct http_answer *answer)
{
    buf_release(&answer->body);
    free(answer->etag);
    free(answer->location);
    free(answer->content_type);
    *answer = (struct http_answer){0};
}

/* ---- problems ---- */

static enum err_code code_from_status(int status)
{
    for (enum err_code code = ERR_NONE + 1; code < ERR_CODES; code++)
        if (err_info(code)->status == status)
            return code;
    return status >= 400 && status < 500 ? ERR_INVALID : ERR_INTERNAL;
}

static int explain_foreign(const struct http_answer *answer, struct err *err)
{
    char text[QUOTED_BYTES + 1];
    size_t len = 0;
    for (size_t i = 0; i < answer->body.len && len < QUOTED_BYTES; i++) {
        unsigned char c = (unsigned char)answer->body.data[i];
        text[len++] = (char)(c > ' ' && c < 0x7F ? c : ' ');
    }
    text[len] = '\0';
    return err_set(
        err, code_from_status(answer->status),
        "The server answered with status %d and no explanation that can be read: \"%s\".",
        answer->status, text);
}

static bool is_standard(const char *name)
{
    static const char *const names[] = {"type",   "title", "status",    "code",
                                        "detail", "field", "request_id"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* The problem's own members, as an object; NULL when it has none. */
static char *extra_members(const struct json *problem)
{
    auto_buf struct buf out = {0};
    struct json_writer w = JSON_WRITER(&out);
    bool any = false;
    json_open(&w, NULL, '{');
    for (const struct json *at = json_first(problem); at; at = json_next(at)) {
        if (is_standard(json_name(at)))
            continue;
        auto_buf struct buf value = {0};
        json_print(at, false, &value);
        json_put_key(&w, json_name(at));
        json_put_raw(&w, NULL, value.data, value.len);
        any = true;
    }
    json_close(&w, '}');
    return any ? buf_take(&out) : NULL;
}

int http_answer_err(const struct http_answer *answer, struct err *err)
{
    if (answer->status >= 200 && answer->status < 300)
        return 0;
    auto_json struct json *problem = NULL;
    auto_err struct err ignored = {0};
    if (answer->body.len == 0 ||
        json_parse(answer->body.data, answer->body.len, &problem, &ignored))
        return explain_foreign(answer, err);
    const char *name = json_str(json_get(problem, "code"));
    const char *detail = json_str(json_get(problem, "detail"));
    const char *field = json_str(json_get(problem, "field"));
    if (!name || !detail)
        return explain_foreign(answer, err);
    enum err_code code = err_code_from_name(name);
    if (code == ERR_INTERNAL)
        code = code_from_status(answer->status); /* a newer server's code */
    err_field(err, field ? field : "", "%s", detail);
    err->code = code;
    err->more = extra_members(problem);
    return -1;
}

void http_encode(struct buf *out, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     strchr("-._~", c);
        if (plain) {
            buf_putc(out, (char)c);
            continue;
        }
        const char escape[] = {'%', hex[c >> 4], hex[c & 15]};
        buf_add(out, escape, sizeof(escape));
    }
}
