/* The revision log as clients see it: pages of events. Watchers with the same question get
 * the same bytes, rendered once. */
#ifndef MINICLOUD_CONTROLLER_EVENT_FEED_H
#define MINICLOUD_CONTROLLER_EVENT_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "api/base/buf.h"
#include "api/base/id.h"
#include "api/base/limits.h"

struct db;
struct err;
struct feed;
struct http_shared;

enum feed_form {
    FEED_PAGE,   /* {"events":[...],"next":...,"revision":N} */
    FEED_STREAM, /* text/event-stream */
};

struct feed_question {
    enum feed_form form;
    int64_t project_key; /* 0: all */
    int64_t after;
    int64_t limit;
    char kind[LIMIT_NAME + 1]; /* "": any */
    char id[ID_TEXT_MAX];      /* "": any */
};

struct feed_page {
    struct buf text;
    int64_t count;
    int64_t last; /* ask after this one next */
    bool more;    /* there is more already */
};

struct feed *feed_new(void);
void feed_free(struct feed *feed);

/* ERR_REVISION_GONE when `after` is no longer kept, or was never reached. */
int feed_read(struct db *db, const struct feed_question *question, struct feed_page *ret_page,
              struct err *err);
void feed_page_release(struct feed_page *page);

/* For the waker's thread alone. As feed_read(), but the page belongs to the feed and is good
 * until the next call; `shared` is its reply, for FEED_PAGE. `revision`: what the page must
 * at least show. */
struct feed_shared {
    const struct feed_page *page;
    struct http_shared *shared;
};
int feed_share(struct feed *feed, struct db *db, const struct feed_question *question,
               int64_t revision, struct feed_shared *ret_shared, struct err *err);

#endif
