/* The problem document, written from the error table's row and the error itself. */
#include "api/http/problem.h"

#include <stdio.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/json/json.h"

/* The members of `more`, without its braces. */
static void put_more(struct json_writer *w, const char *more)
{
    const char *first = strchr(more, '{');
    const char *last = strrchr(more, '}');
    if (!first || !last)
        return;
    first++;
    first += strspn(first, " \t\r\n");
    if (first < last)
        json_put_raw(w, NULL, first, (size_t)(last - first));
}

void err_problem(const struct err *err, const char *request_id, struct buf *out)
{
    const struct err_info *info = err_info(err->code);
    char type[96];
    snprintf(type, sizeof(type), "urn:minicloud:problem:%s", info->name);
    struct json_writer w = JSON_WRITER(out);
    json_open(&w, NULL, '{');
    json_put_str(&w, "type", type);
    json_put_str(&w, "title", info->title);
    json_put_i64(&w, "status", info->status);
    json_put_str(&w, "code", info->name);
    json_put_str(&w, "detail", err->msg);
    if (err->field[0])
        json_put_str(&w, "field", err->field);
    if (request_id)
        json_put_str(&w, "request_id", request_id);
    if (err->more)
        put_more(&w, err->more);
    json_close(&w, '}');
}
