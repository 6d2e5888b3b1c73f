/* One open stream holds no thread and no request: only its place in the log, and a place
 * among the watchers. It ends when the client leaves or is too slow, when its token is
 * deleted, and when the controller stops; `id:` lets a client come back where it was. */
#include "controller/event_stream.h"

#include "api/mem.h"
#include "controller/app.h"
#include "controller/db.h"
#include "controller/feed.h"
#include "controller/request.h"
#include "controller/shares.h"
#include "controller/tokens.h"
#include "controller/watch.h"

enum { KEEP_ALIVE_MS = 15000, STREAM_PAGE = 500 };

struct event_stream {
    struct app *app;
    struct http_stream *out;
    struct feed_question question;
    int64_t token_key;
    int64_t share; /* that it holds among its token's watchers */
};

static void stream_close(struct event_stream *stream)
{
    http_stream_end(stream->out);
    shares_give(stream->app->shares, stream->share);
    free(stream);
}

static void stream_wake(void *ctx, bool expired);

static void stream_sleep(struct event_stream *stream, int64_t revision)
{
    if (!watch_add(stream->app->watch, WATCH_EVENTS, stream->question.project_key, revision,
                   KEEP_ALIVE_MS, stream_wake, stream))
        stream_close(stream);
}

/* Writes what is new. false: end the stream. */
static bool stream_write(struct event_stream *stream, int64_t revision, bool *ret_any)
{
    struct feed_shared found;
    auto_err struct err err = {0};
    do {
        if (feed_share(stream->app->feed, app_reader(stream->app), &stream->question, revision,
                       &found, &err) != 0)
            return false;
        stream->question.after = found.page->last;
        *ret_any |= found.page->count > 0;
        if (found.page->count > 0 &&
            !http_stream_write(stream->out, found.page->text.data, found.page->text.len))
            return false;
    } while (found.page->more);
    return true;
}

static void stream_wake(void *ctx, bool expired)
{
    static const char keep_alive[] = ": keep-alive\n\n";
    struct event_stream *stream = ctx;
    bool any = false;
    int64_t revision = watch_revision(stream->app->watch);
    bool alive = stream_write(stream, revision, &any);
    if (alive && expired && !any)
        alive = tokens_alive(stream->app->tokens, stream->token_key) &&
                http_stream_write(stream->out, keep_alive, sizeof(keep_alive) - 1);
    if (alive)
        stream_sleep(stream, revision);
    else
        stream_close(stream);
}

/* A question that cannot be answered is refused before the stream is open. */
static int check(struct request *r, const struct feed_question *question, struct err *err)
{
    struct feed_page page;
    struct feed_question first = *question;
    first.limit = 1;
    if (feed_read(request_reader(r), &first, &page, err) != 0)
        return -1;
    feed_page_release(&page);
    return 0;
}

void event_stream_open(struct request *r, const struct feed_question *question)
{
    auto_err struct err err = {0};
    int64_t share;
    if (check(r, question, &err) != 0 ||
        shares_take(r->app->shares, &r->caller, &share, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    struct event_stream *stream = xcalloc(1, sizeof(*stream));
    stream->app = r->app;
    stream->question = *question;
    stream->question.limit = STREAM_PAGE;
    stream->token_key = r->caller.token_key;
    stream->share = share;
    struct http_reply reply = {.status = 200,
                               .content_type = "text/event-stream",
                               .extra_name = "Cache-Control",
                               .extra_value = "no-cache"};
    stream->out = http_reply_stream(r->http, &reply);
    /* A comment at once, so that the client knows that it is connected. The pages are
     * rendered on the waker's thread, which an older revision wakes at once. */
    if (http_stream_write(stream->out, ": open\n\n", 8))
        stream_sleep(stream, -1);
    else
        stream_close(stream);
}
