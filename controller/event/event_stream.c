/* One open stream holds no thread: only its place in the log, and one among the watchers. It
 * ends when the client leaves or is too slow, when its token is deleted, and when the
 * controller stops; `id:` lets a client come back where it was. */
#include "controller/event/event_stream.h"

#include <stdatomic.h>
#include <string.h>

#include "api/base/mem.h"
#include "controller/access/tokens.h"
#include "controller/db/db.h"
#include "controller/event/feed.h"
#include "controller/request/request.h"
#include "controller/tx/readers.h"
#include "controller/wait/watch.h"
#include "controller/world.h"

enum { KEEP_ALIVE_MS = 15000, STREAM_PAGE = 500 };

struct event_stream {
    atomic_uint refs; /* the waker's, and the request's, which ends with the connection */
    atomic_bool left; /* the request has ended: there is nobody to write to */
    struct app *app;
    struct http_stream *out;
    struct feed_question question;
    struct watch_sake sake;
};

static void stream_unref(struct event_stream *stream)
{
    if (atomic_fetch_sub_explicit(&stream->refs, 1, memory_order_acq_rel) == 1)
        free(stream);
}

/* By the waker, or instead of it. */
static void stream_close(struct event_stream *stream)
{
    http_stream_end(stream->out);
    stream_unref(stream);
}

/* The request has ended, be it because its client left: the waker need not find that out with
 * the next event. */
static void stream_left(void *ctx)
{
    struct event_stream *stream = ctx;
    atomic_store(&stream->left, true);
    watch_left(stream->app->watch, &stream->sake);
    stream_unref(stream);
}

static void stream_wake(void *ctx, bool expired);

static void stream_sleep(struct event_stream *stream, int64_t revision)
{
    if (!watch_add_for(stream->app->watch, &stream->sake, WATCH_EVENTS,
                       stream->question.project_key, revision, KEEP_ALIVE_MS, stream_wake, stream))
        stream_close(stream);
}

static bool put(struct event_stream *stream, const char *text)
{
    return http_stream_write(stream->out, text, strlen(text));
}

/* A comment, since whoever reads events by program may take any event for one of the log's. */
static bool token_alive(struct event_stream *stream)
{
    bool alive = tokens_alive(stream->app->tokens, stream->sake.token_key);
    if (!alive)
        put(stream, ": the end: the token was deleted\n\n");
    return alive;
}

/* Writes what is new. false: end the stream. The token is looked at behind each reading, so that
 * nothing is told that came after its end. */
static bool stream_write(struct event_stream *stream, int64_t revision, bool *ret_any)
{
    struct feed_shared found;
    auto_err struct err err = {0};
    do {
        if (feed_share(stream->app->feed, app_reader(stream->app), &stream->question, revision,
                       &found, &err) != 0 ||
            !token_alive(stream))
            return false;
        stream->question.after = found.page->last;
        *ret_any |= found.page->count > 0;
        if (found.page->count > 0 &&
            !http_stream_write(stream->out, found.page->text.data, found.page->text.len))
            return false;
    } while (found.page->more);
    return true;
}

/* The revision is taken before the token is looked at: an end in between is news. */
static void stream_wake(void *ctx, bool expired)
{
    struct event_stream *stream = ctx;
    bool any = false;
    int64_t revision = watch_revision(stream->app->watch);
    bool alive = !atomic_load(&stream->left) && stream_write(stream, revision, &any);
    if (alive && expired && !any)
        alive = put(stream, ": keep-alive\n\n");
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

static struct event_stream *stream_new(struct request *r, const struct feed_question *question)
{
    struct event_stream *stream = xcalloc(1, sizeof(*stream));
    atomic_init(&stream->refs, 2);
    stream->app = r->app;
    stream->question = *question;
    stream->question.limit = STREAM_PAGE;
    stream->sake.token_key = r->caller.token_key;
    return stream;
}

void event_stream_open(struct request *r, const struct feed_question *question)
{
    auto_err struct err err = {0};
    if (check(r, question, &err) != 0 || request_share(r, SHARE_EVENTS, &err) != 0) {
        request_fail(r, &err);
        return;
    }
    struct event_stream *stream = stream_new(r, question);
    /* `question` is what the request held until now. */
    r->input_release(r->input);
    r->input = stream;
    r->input_release = stream_left;
    struct http_reply reply = {.status = 200,
                               .content_type = "text/event-stream",
                               .extra_name = "Cache-Control",
                               .extra_value = "no-cache"};
    stream->out = http_reply_stream(r->http, &reply);
    /* A comment at once, so that the client knows that it is connected. The pages are
     * rendered on the waker's thread, which an older revision wakes at once. */
    if (put(stream, ": open\n\n"))
        stream_sleep(stream, -1);
    else
        stream_close(stream);
}
