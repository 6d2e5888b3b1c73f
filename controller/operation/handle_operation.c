/* /v1/operations: what a person waits on. */
#include "api/base/clock.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/operation/operation.h"
#include "controller/request/handlers.h"
#include "controller/tx/readers.h"
#include "controller/world.h"

static const char *const list_params[] = {"limit", "cursor",  "instance", "state",
                                          "kind",  "project", NULL};
static const char *const show_params[] = {"wait", NULL};

/* ---- the list ---- */

static int read_filter(struct request *r, struct db *db, struct operation_filter *filter,
                       struct err *err)
{
    const char *state = http_query(r->http, "state"), *instance = http_query(r->http, "instance");
    if (request_only(r, list_params, err) != 0 ||
        request_scope(r, db, &filter->project_key, err) != 0)
        return -1;
    filter->kind = http_query(r->http, "kind");
    filter->state = state ? name_index(operation_state_names, state) + 1 : 0;
    if (state && filter->state == 0)
        return err_field(err, "state", "state must be running, done or failed");
    if (!instance)
        return 0;
    return access_row(db, &r->caller, ACCESS_SEE, ACCESS_INSTANCE, filter->project_key, instance,
                      &filter->instance_key, err);
}

static int list(struct db *db, struct request *r, struct err *err)
{
    struct page page;
    struct operation_filter filter = {0};
    if (request_page(r, &page, err) != 0 || read_filter(r, db, &filter, err) != 0)
        return -1;
    int64_t revision = app_revision(r->app);
    struct window window = {.after_key = page.after_key, .limit = page.limit};
    struct json_writer w = request_json(r, 200);
    page_open(&w, "operations");
    if (operation_list_rows(db, &filter, &w, &window, err) != 0)
        return -1;
    page_close(&w, window.more, window.last_key, revision);
    return 0;
}

/* Operations are many, and a filter may pass over most of them. */
void handle_operation_list(struct request *r)
{
    request_pool(r, list);
}

/* ---- one, and waiting for its end ---- */

struct waiting {
    int64_t key;
    int64_t until_ms; /* CLOCK_BOOTTIME; 0: do not wait */
};

static int show(struct request *r, const struct waiting *waiting, struct err *err)
{
    struct operation_status status;
    struct db *db = request_reader(r);
    struct json_writer w = request_json(r, 200);
    if (operation_status(db, waiting->key, &status, err) != 0 ||
        operation_put(db, waiting->key, &w, NULL, err) != 0)
        return -1;
    r->etag = etag_of(status.revision);
    return 0;
}

static void answer(struct request *r)
{
    auto_err struct err err = {0};
    if (show(r, r->input, &err) == 0)
        request_reply(r);
    else
        request_fail(r, &err);
}

static void look_again(void *ctx, bool expired);

/* 1: it waits; 0: answer now; -1: refused. The revision is taken before the look, so that an
 * end in between, of the operation or of the token, is news to the watch. */
static int wait_more(struct request *r, const struct waiting *waiting, bool asleep, struct err *err)
{
    struct operation_status status;
    int64_t revision = app_revision(r->app);
    int64_t left_ms = waiting->until_ms - clock_boottime_ms();
    if (request_alive(r, err) != 0)
        return -1;
    if (left_ms <= 0)
        return 0;
    if (operation_status(request_reader(r), waiting->key, &status, err) != 0)
        return -1;
    if (!status.running)
        return 0;
    if (request_share(r, SHARE_OPERATION, err) != 0)
        return -1;
    if (!asleep)
        http_suspend(r->http);
    if (!request_watch(r, WATCH_OPERATION, waiting->key, revision, left_ms, look_again))
        answer(r);
    return 1;
}

static void wait_or_answer(struct request *r, bool asleep)
{
    auto_err struct err err = {0};
    int rc = wait_more(r, r->input, asleep, &err);
    if (rc < 0)
        request_fail(r, &err);
    else if (rc == 0)
        answer(r);
}

static void look_again(void *ctx, bool expired)
{
    struct request *r = ctx;
    struct waiting *waiting = r->input;
    if (expired)
        waiting->until_ms = 0;
    wait_or_answer(r, true);
}

static int prepare(struct request *r, struct waiting *waiting, struct err *err)
{
    int64_t wait_ms;
    if (request_only(r, show_params, err) != 0 || request_wait(r, &wait_ms, err) != 0 ||
        access_row(request_reader(r), &r->caller, ACCESS_SEE, ACCESS_OPERATION, 0, r->args[0],
                   &waiting->key, err) != 0)
        return -1;
    waiting->until_ms = wait_ms ? clock_boottime_ms() + wait_ms : 0;
    return 0;
}

void handle_operation_show(struct request *r)
{
    auto_err struct err err = {0};
    struct waiting *waiting = xcalloc(1, sizeof(*waiting));
    r->input = waiting;
    r->input_release = free;
    if (prepare(r, waiting, &err) != 0)
        request_fail(r, &err);
    else
        wait_or_answer(r, false);
}
