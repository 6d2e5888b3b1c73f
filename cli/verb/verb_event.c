/* The revision log: its newest part, or all that comes, a line each. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/remote.h"
#include "cli/remote/session.h"
#include "cli/verb/verbs.h"

enum {
    NEWEST = 100, /* revisions looked back without --after */
    NEWEST_FOLLOWED = 10,
    PAGE = 500,
    WAIT_S = 30,
    AWAY_PAUSE_US = 1000 * 1000,
};

/* The revision to look from when none was given. */
static int newest_revision(struct cli *cli, int64_t *ret_revision, struct err *err)
{
    auto_json struct json *health = NULL;
    if (remote_get(cli, "/v1/healthz", &health, err) != 0)
        return -1;
    *ret_revision = 0;
    json_i64(json_get(health, "revision"), ret_revision);
    return 0;
}

static int first_revision(struct cli *cli, const struct args *args, int64_t *ret_after,
                          struct err *err)
{
    if (args_has(args, "after")) {
        *ret_after = args_number(args, "after", 0);
        return 0;
    }
    int64_t back = args_has(args, "follow") ? NEWEST_FOLLOWED : args_number(args, "limit", NEWEST);
    if (newest_revision(cli, ret_after, err) != 0)
        return -1;
    *ret_after = *ret_after > back ? *ret_after - back : 0;
    return 0;
}

/* One page after a revision (-1: from the oldest kept), waiting for it up to `wait_s`. */
static int fetch(struct cli *cli, const struct args *args, int64_t after, int64_t limit, int wait_s,
                 struct json **ret_page, struct err *err)
{
    auto_buf struct buf path = {0};
    if (remote_path(cli, args->noun, NULL, NULL, &path, err) != 0)
        return -1;
    remote_query_options(&path, args);
    if (after >= 0)
        remote_query_i64(&path, "after", after);
    remote_query_i64(&path, "limit", limit < PAGE ? limit : PAGE);
    if (wait_s) {
        autofree char *wait = xasprintf("%ds", wait_s);
        remote_query(&path, "wait", wait);
    }
    struct remote_call call = {
        .method = "GET", .path = path.data, .timeout_ms = (wait_s + 30) * 1000};
    if (remote_call(cli, &call, ret_page, NULL, err) != 0)
        return -1;
    return *ret_page ? 0 : err_set(err, ERR_INTERNAL, "the controller's reply is empty");
}

/* When we look back further than events are kept, all that are. */
static int fetch_kept(struct cli *cli, const struct args *args, int64_t after, int64_t limit,
                      struct json **ret_page, struct err *err)
{
    int rc = fetch(cli, args, after, limit, 0, ret_page, err);
    if (rc == 0 || err->code != ERR_REVISION_GONE || args_has(args, "after"))
        return rc;
    err_clear(err);
    return fetch(cli, args, -1, limit, 0, ret_page, err);
}

/* Where to ask next: the page's revision, or at least its last event's. */
static int64_t next_revision(const struct json *page, int64_t after)
{
    int64_t revision = after, next = after;
    json_i64(json_get(page, "revision"), &next);
    const struct json *events = json_get(page, "events"), *last = NULL;
    const struct json *item = events ? json_first(events) : NULL;
    for (; item; item = json_next(item))
        last = item;
    if (last && json_i64(json_get(last, "revision"), &revision))
        return revision;
    return next > after ? next : after;
}

static size_t event_count(const struct json *page)
{
    const struct json *events = json_get(page, "events");
    return events ? json_count(events) : 0;
}

static int print_pages(struct cli *cli, struct json *const *pages, size_t count, struct err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += event_count(pages[i]);
    autofree struct json **items = xcalloc(total + 1, sizeof(*items));
    size_t at = 0;
    for (size_t i = 0; i < count && total; i++) {
        struct json *events = json_get(pages[i], "events");
        for (struct json *item = events ? json_first(events) : NULL; item; item = json_next(item))
            items[at++] = item;
    }
    return output_print(&cli->output, &cli->screen, items, at, false, err);
}

static int list_events(struct cli *cli, const struct args *args, int64_t after, struct err *err)
{
    int64_t left = args_number(args, "limit", NEWEST);
    struct json **pages = NULL;
    size_t count = 0, got;
    int rc;
    do {
        struct json *page = NULL;
        rc = fetch_kept(cli, args, after, left, &page, err);
        got = rc == 0 ? event_count(page) : 0;
        if (rc != 0)
            break;
        pages = xrealloc(pages, (count + 1) * sizeof(*pages));
        pages[count++] = page;
        after = next_revision(page, after);
        left -= (int64_t)got;
    } while (left > 0 && got == PAGE);
    if (rc == 0)
        rc = print_pages(cli, pages, count, err);
    for (size_t i = 0; i < count; i++)
        json_free(pages[i]);
    free(pages);
    return rc;
}

static int print_lines(struct cli *cli, const struct json *page, int64_t *left, struct err *err)
{
    struct json *events = json_get(page, "events");
    struct json *item = events ? json_first(events) : NULL;
    for (; item && *left > 0; item = json_next(item), (*left)--) {
        if (output_line(&cli->output, &cli->screen, item, err) != 0)
            return -1;
    }
    return 0;
}

/* A controller that is away, or has forgotten our revision, ends no following. */
static int recover(struct cli *cli, int64_t *after, bool *away, struct err *err)
{
    bool gone = err->code == ERR_REVISION_GONE, full = err->code == ERR_TOO_MANY_REQUESTS;
    if (!gone && !full && err->code != ERR_CONNECT && err->code != ERR_UNAVAILABLE)
        return -1;
    if (!*away || gone)
        fprintf(cli->screen.err, "cloudctl: event list: %s\n",
                gone   ? "some events are no longer kept; going on with the newest"
                : full ? err->msg
                       : "no connection; trying again");
    *away = !gone;
    err_clear(err);
    if (gone)
        return newest_revision(cli, after, err);
    usleep(AWAY_PAUSE_US);
    return 0;
}

static int follow_events(struct cli *cli, const struct args *args, int64_t after, struct err *err)
{
    int64_t left = args_number(args, "limit", INT64_MAX);
    bool away = false;
    if (output_heading(&cli->output, &cli->screen, err) != 0)
        return -1;
    while (!*cli->interrupted && left > 0) {
        auto_json struct json *page = NULL;
        if (fetch(cli, args, after, PAGE, WAIT_S, &page, err) != 0) {
            if (*cli->interrupted || recover(cli, &after, &away, err) != 0)
                return *cli->interrupted ? 0 : -1;
            continue;
        }
        away = false;
        after = next_revision(page, after);
        if (print_lines(cli, page, &left, err) != 0)
            return -1;
    }
    return 0;
}

int run_event_list(struct cli *cli, const struct args *args, struct err *err)
{
    int64_t after;
    if (first_revision(cli, args, &after, err) != 0)
        return -1;
    return args_has(args, "follow") ? follow_events(cli, args, after, err)
                                    : list_events(cli, args, after, err);
}
