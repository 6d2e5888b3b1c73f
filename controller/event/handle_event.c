/* /v1/events: the revision log as a page, as a long poll, and as server-sent events. */
#include <string.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/event/event_stream.h"
#include "controller/event/feed.h"
#include "controller/request/handlers.h"
#include "controller/tx/meta.h"
#include "controller/tx/readers.h"
#include "controller/world.h"

/* A gap this wide is read on the pool. */
enum { INLINE_REVISIONS = 2000 };

static const char *const params[] = {"after", "cursor", "limit",   "wait",
                                     "kind",  "id",     "project", NULL};

struct waiting {
    struct feed_question question;
    int64_t until_ms; /* CLOCK_BOOTTIME; 0: do not wait */
};

/* ---- what is asked ---- */

static bool wants_stream(const struct request *r)
{
    const char *accept = http_header(r->http, "Accept");
    return accept && strstr(accept, "text/event-stream");
}

static int copy_param(struct request *r, const char *name, char *out, size_t size, struct err *err)
{
    const char *text = http_query(r->http, name);
    if (text && strlen(text) >= size)
        return err_field(err, name, "%s has at most %zu characters", name, size - 1);
    snprintf(out, size, "%s", text ? text : "");
    return 0;
}

/* From where: `after`, `cursor` or, for a stream that comes back, Last-Event-ID. Without any
 * a page begins with the oldest event kept, a stream with the next one to come. */
static int read_after(struct request *r, struct db *db, struct feed_question *question,
                      const struct page *page, struct err *err)
{
    int64_t first, last;
    const char *last_id = http_header(r->http, "Last-Event-ID");
    if (question->form == FEED_STREAM && last_id && *last_id &&
        strspn(last_id, "0123456789") == strlen(last_id) && strlen(last_id) < 19) {
        question->after = strtoll(last_id, NULL, 10);
        return 0;
    }
    if (request_query_i64(r, "after", -1, 0, INT64_MAX - 1, &question->after, err) != 0)
        return -1;
    if (page->after_key)
        question->after = page->after_key;
    if (question->after >= 0)
        return 0;
    if (revision_range(db, &first, &last, err) != 0)
        return -1;
    question->after = question->form == FEED_STREAM ? last : first - 1;
    return 0;
}

static int read_question(struct request *r, struct waiting *waiting, struct err *err)
{
    struct feed_question *question = &waiting->question;
    struct db *db = request_reader(r);
    struct page page;
    int64_t wait_ms;
    question->form = wants_stream(r) ? FEED_STREAM : FEED_PAGE;
    if (request_only(r, params, err) != 0 || request_page(r, &page, err) != 0 ||
        request_wait(r, &wait_ms, err) != 0 ||
        request_scope(r, db, &question->project_key, err) != 0 ||
        copy_param(r, "kind", question->kind, sizeof(question->kind), err) != 0 ||
        copy_param(r, "id", question->id, sizeof(question->id), err) != 0)
        return -1;
    question->limit = page.limit;
    waiting->until_ms = wait_ms ? clock_boottime_ms() + wait_ms : 0;
    return read_after(r, db, question, &page, err);
}

/* ---- a page ---- */

/* 1: there is news, or nothing to wait for, and r->reply is it; 0: wait. */
static int look(struct db *db, struct request *r, struct err *err)
{
    struct waiting *waiting = r->input;
    struct feed_page page;
    if (feed_read(db, &waiting->question, &page, err) != 0)
        return -1;
    if (page.count == 0 && waiting->until_ms > clock_boottime_ms()) {
        feed_page_release(&page);
        return 0;
    }
    r->status = 200;
    r->reply = page.text;
    return 1;
}

static int look_on_pool(struct db *db, struct request *r, struct err *err)
{
    ((struct waiting *)r->input)->until_ms = 0;
    return look(db, r, err) < 0 ? -1 : 0;
}

/* ---- a long poll ---- */

static void look_shared(void *ctx, bool expired);

static bool sleep_until_news(struct request *r, int64_t revision)
{
    struct waiting *waiting = r->input;
    int64_t left_ms = waiting->until_ms - clock_boottime_ms();
    return left_ms > 0 && request_watch(r, WATCH_EVENTS, waiting->question.project_key, revision,
                                        left_ms, look_shared);
}

/* On the waker's thread: those who asked the same get the same bytes. The token is looked at
 * behind the reading, so that nothing is told that came after its end. */
static void look_shared(void *ctx, bool expired)
{
    struct request *r = ctx;
    struct waiting *waiting = r->input;
    struct feed_shared found;
    auto_err struct err err = {0};
    int64_t revision = app_revision(r->app);
    if (feed_share(r->app->feed, request_reader(r), &waiting->question, revision, &found, &err) !=
            0 ||
        request_alive(r, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    if (found.page->count == 0 && !expired && sleep_until_news(r, revision))
        return;
    http_reply_shared(r->http, found.shared);
}

static void look_and_wait(struct request *r)
{
    auto_err struct err err = {0};
    int64_t revision = app_revision(r->app);
    int rc = request_alive(r, &err) == 0 ? look(request_reader(r), r, &err) : -1;
    if (rc == 0)
        rc = request_share(r, SHARE_EVENTS, &err);
    if (rc < 0) {
        request_fail(r, &err);
    } else if (rc > 0) {
        request_reply(r);
    } else {
        http_suspend(r->http);
        if (!sleep_until_news(r, revision)) {
            err_set(&err, ERR_UNAVAILABLE, "the controller is stopping; try again soon");
            request_fail(r, &err);
        }
    }
}

void handle_event_list(struct request *r)
{
    auto_err struct err err = {0};
    struct waiting *waiting = xcalloc(1, sizeof(*waiting));
    r->input = waiting;
    r->input_release = free;
    if (read_question(r, waiting, &err) != 0)
        request_fail(r, &err);
    else if (waiting->question.form == FEED_STREAM)
        event_stream_open(r, &waiting->question);
    else if (app_revision(r->app) - waiting->question.after > INLINE_REVISIONS)
        request_pool(r, look_on_pool);
    else
        look_and_wait(r);
}
