/* The common part of the small nouns' handlers. */
#include "controller/request/handle_noun.h"

#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/tx/readers.h"
#include "controller/tx/writer.h"
#include "controller/world.h"

/* The revision is read before the rows: who watches from it may hear something twice, and
 * misses nothing. */
static int list(struct request *r, const char *plural, struct noun_filter *filter,
                noun_lister *lister, struct err *err)
{
    struct page page;
    struct db *db = request_reader(r);
    if (request_page(r, &page, err) != 0 || request_scope(r, db, &filter->project_key, err) != 0)
        return -1;
    filter->name = http_query(r->http, "name");
    int64_t revision = app_revision(r->app);
    struct window window = {.after_key = page.after_key, .limit = page.limit};
    struct json_writer w = request_json(r, 200);
    page_open(&w, plural);
    if (lister(db, filter, &w, &window, err) != 0)
        return -1;
    page_close(&w, window.more, window.last_key, revision);
    return 0;
}

void noun_list(struct request *r, const char *plural, struct noun_filter *filter,
               noun_lister *lister)
{
    auto_err struct err err = {0};
    if (list(r, plural, filter, lister, &err) == 0)
        request_reply(r);
    else
        request_fail(r, &err);
}

static const char *const only_project[] = {"project", NULL};

static int show_one(struct request *r, enum access_kind kind, noun_shower *show, struct err *err)
{
    int64_t key, revision;
    struct db *db = request_reader(r);
    if (request_only(r, only_project, err) != 0 ||
        request_row(r, db, ACCESS_SEE, kind, &key, err) != 0)
        return -1;
    struct json_writer w = request_json(r, 200);
    if (show(db, key, &w, &revision, err) != 0)
        return -1;
    r->etag = etag_of(revision);
    return 0;
}

void noun_show(struct request *r, enum access_kind kind, noun_shower *show)
{
    auto_err struct err err = {0};
    if (show_one(r, kind, show, &err) == 0)
        request_reply(r);
    else
        request_fail(r, &err);
}

static int check_if_match(struct tx *tx, struct request *r, enum access_kind kind, int64_t key,
                          struct err *err)
{
    struct noun_row row;
    if (!http_header(r->http, "If-Match"))
        return 0;
    if (noun_row(tx->db, kind, key, &row, err) != 0)
        return -1;
    autofree char *etag = etag_of(row.revision);
    return request_if_match(r, etag, err);
}

int noun_target(struct tx *tx, struct request *r, enum access_kind kind, int64_t *ret_key,
                struct err *err)
{
    if (request_only(r, only_project, err) != 0 ||
        request_row(r, tx->db, ACCESS_CHANGE, kind, ret_key, err) != 0)
        return -1;
    return check_if_match(tx, r, kind, *ret_key, err);
}

int noun_answer(struct tx *tx, struct request *r, int status, int64_t key, noun_shower *show,
                struct err *err)
{
    int64_t revision;
    struct json_writer w = request_json(r, status);
    if (show(tx->db, key, &w, &revision, err) != 0)
        return -1;
    r->etag = etag_of(revision);
    return 0;
}

int noun_nothing(struct request *r)
{
    r->status = 204;
    return 0;
}

int noun_delete(struct tx *tx, struct request *r, enum access_kind kind, noun_remover *remover,
                struct err *err)
{
    int64_t key;
    if (noun_target(tx, r, kind, &key, err) != 0 || remover(tx, key, err) != 0)
        return -1;
    return noun_nothing(r);
}

char *noun_location(const char *plural, const char *id)
{
    return xasprintf("/v1/%s/%s", plural, id);
}
