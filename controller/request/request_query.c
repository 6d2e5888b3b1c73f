/* Query parameters: strict reading, pages, and the row or project that a request names. */
#include <errno.h>
#include <stdlib.h>

#include "api/base/base64.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/request/request.h"
#include "controller/wait/watch.h"
#include "controller/world.h"

/* Digits only, no sign, no blanks. *ret_end: where they end. */
static int parse_number(const char *text, int64_t *ret_value, const char **ret_end)
{
    if (*text < '0' || *text > '9')
        return -1;
    char *end;
    errno = 0;
    *ret_value = strtoll(text, &end, 10);
    *ret_end = end;
    return errno ? -1 : 0;
}

int request_query_i64(struct request *r, const char *name, int64_t fallback, int64_t min,
                      int64_t max, int64_t *ret_value, struct err *err)
{
    const char *text = http_query(r->http, name), *end;
    *ret_value = fallback;
    if (!text)
        return 0;
    int64_t value;
    if (parse_number(text, &value, &end) != 0 || *end || value < min || value > max)
        return err_field(err, name, "%s must be a whole number from %lld to %lld", name,
                         (long long)min, (long long)max);
    *ret_value = value;
    return 0;
}

int request_wait(struct request *r, int64_t *ret_ms, struct err *err)
{
    const char *text = http_query(r->http, "wait"), *unit = "";
    int64_t value = 0;
    *ret_ms = 0;
    if (!text)
        return 0;
    int rc = parse_number(text, &value, &unit);
    bool in_ms = rc == 0 && strcmp(unit, "ms") == 0;
    if (rc != 0 || !(in_ms || !*unit || strcmp(unit, "s") == 0) ||
        value > LIMIT_WAIT_SECONDS * 1000LL || (!in_ms && value > LIMIT_WAIT_SECONDS))
        return err_field(err, "wait", "wait must be like 30s or 500ms, at most %ds",
                         LIMIT_WAIT_SECONDS);
    *ret_ms = in_ms ? value : value * 1000;
    return 0;
}

int request_only(struct request *r, const char *const *allowed, struct err *err)
{
    const char *name, *value;
    for (size_t i = 0; http_query_at(r->http, i, &name, &value); i++) {
        if (name_index(allowed, name) >= 0)
            continue;
        struct buf known = {0};
        for (size_t k = 0; allowed[k]; k++)
            buf_printf(&known, "%s%s", k ? ", " : "", allowed[k]);
        autofree char *list = buf_take(&known);
        if (!*list)
            return err_field(err, name, "%s is no parameter here: this path takes none", name);
        return err_field(err, name, "%s is no parameter here; known are %s", name, list);
    }
    return 0;
}

/* ---- pages ---- */

/* The cursor hides the key it is made of, so that nobody builds on it. */
static void cursor_text(int64_t key, struct buf *out)
{
    struct buf plain = {0};
    buf_putc(&plain, 'k');
    buf_i64(&plain, key);
    base64_encode(plain.data, plain.len, out);
    buf_release(&plain);
}

static int cursor_key(const char *text, int64_t *ret_key, struct err *err)
{
    auto_buf struct buf plain = {0};
    const char *end = "";
    if (base64_decode("cursor", text, &plain, err) == 0 && plain.len > 1 && plain.data[0] == 'k' &&
        strlen(plain.data) == plain.len && parse_number(plain.data + 1, ret_key, &end) == 0 &&
        !*end)
        return 0;
    return err_field(err, "cursor", "cursor must be what an earlier page gave as `next`");
}

int request_page(struct request *r, struct page *ret_page, struct err *err)
{
    const char *cursor = http_query(r->http, "cursor");
    *ret_page = (struct page){0};
    if (cursor && cursor_key(cursor, &ret_page->after_key, err) != 0)
        return -1;
    return request_query_i64(r, "limit", LIMIT_PAGE_DEFAULT, 1, LIMIT_PAGE, &ret_page->limit, err);
}

void page_open(struct json_writer *w, const char *plural)
{
    json_open(w, NULL, '{');
    json_open(w, plural, '[');
}

void page_close(struct json_writer *w, bool more, int64_t last_key, int64_t revision)
{
    auto_buf struct buf cursor = {0};
    if (more)
        cursor_text(last_key, &cursor);
    json_close(w, ']');
    json_put_str(w, "next", more ? cursor.data : NULL);
    json_put_i64(w, "revision", revision);
    json_close(w, '}');
}

/* ---- what a request names ---- */

int request_project(struct request *r, struct db *db, int64_t *ret_key, struct err *err)
{
    return access_project(db, &r->caller, http_query(r->http, "project"), ret_key, err);
}

int request_scope(struct request *r, struct db *db, int64_t *ret_key, struct err *err)
{
    if (r->caller.project_key == 0 && !http_query(r->http, "project")) {
        *ret_key = 0;
        return 0;
    }
    return request_project(r, db, ret_key, err);
}

int request_row(struct request *r, struct db *db, enum access_verb verb, enum access_kind kind,
                int64_t *ret_key, struct err *err)
{
    int64_t project_key = r->caller.project_key;
    if (http_query(r->http, "project") && request_project(r, db, &project_key, err) != 0)
        return -1;
    return access_row(db, &r->caller, verb, kind, project_key, r->args[0], ret_key, err);
}
