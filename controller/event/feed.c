/* A small ring of rendered pages. Only the waker's thread comes here, so there is no lock. */
#include "controller/event/feed.h"

#include <string.h>

#include "api/base/mem.h"
#include "api/http/http_server.h"

enum { KEPT = 16 };

struct kept {
    struct feed_question question;
    int64_t revision; /* it shows everything up to this one */
    struct feed_page page;
    struct http_shared *shared;
};

struct feed {
    struct kept kept[KEPT];
    size_t next;
};

struct feed *feed_new(void)
{
    return xcalloc(1, sizeof(struct feed));
}

void feed_page_release(struct feed_page *page)
{
    buf_release(&page->text);
    *page = (struct feed_page){0};
}

static void forget(struct kept *kept)
{
    feed_page_release(&kept->page);
    if (kept->shared)
        http_shared_unref(kept->shared);
    *kept = (struct kept){.revision = -1};
}

void feed_free(struct feed *feed)
{
    if (!feed)
        return;
    for (size_t i = 0; i < KEPT; i++)
        forget(&feed->kept[i]);
    free(feed);
}

static bool same(const struct feed_question *a, const struct feed_question *b)
{
    return a->form == b->form && a->project_key == b->project_key && a->after == b->after &&
           a->limit == b->limit && strcmp(a->kind, b->kind) == 0 && strcmp(a->id, b->id) == 0;
}

static struct kept *find(struct feed *feed, const struct feed_question *question, int64_t revision)
{
    for (size_t i = 0; i < KEPT; i++) {
        struct kept *kept = &feed->kept[i];
        if (kept->page.text.data && kept->revision >= revision && same(&kept->question, question))
            return kept;
    }
    return NULL;
}

static struct kept *make(struct feed *feed, struct db *db, const struct feed_question *question,
                         int64_t revision, struct err *err)
{
    struct kept *kept = &feed->kept[feed->next];
    forget(kept);
    if (feed_read(db, question, &kept->page, err) != 0)
        return NULL;
    kept->question = *question;
    kept->revision = revision;
    feed->next = (feed->next + 1) % KEPT;
    if (question->form == FEED_PAGE) {
        struct buf body = {0};
        buf_add(&body, kept->page.text.data, kept->page.text.len);
        kept->shared = http_shared_new(&(struct http_reply){.status = 200}, &body);
    }
    return kept;
}

int feed_share(struct feed *feed, struct db *db, const struct feed_question *question,
               int64_t revision, struct feed_shared *ret_shared, struct err *err)
{
    struct kept *kept = find(feed, question, revision);
    if (!kept)
        kept = make(feed, db, question, revision, err);
    if (!kept)
        return -1;
    ret_shared->page = &kept->page;
    ret_shared->shared = kept->shared;
    return 0;
}
