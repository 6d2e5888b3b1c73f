/* Counts by kind, and by kind and holder in a hash table: only who holds something now is in
 * it, so it is as long as what is held, and that has a bound. */
#include "controller/access/shares.h"

#include <pthread.h>
#include <stdlib.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "controller/access/access.h"

enum { BUCKETS = 1024 };

/* Each has room of its own, of which the others can take nothing. */
enum share_group { PROJECTS, OPERATORS, NODES, GROUPS };

struct share_limits {
    int token, project, all; /* 0: none at all; operators and nodes are in no project */
};

static const struct share_rule {
    const char *name; /* in /metrics */
    const char *what; /* in messages, after a number */
    struct share_limits limits[GROUPS];
} rules[SHARE_KINDS] = {
    [SHARE_EVENTS] = {"events",
                      "event watchers",
                      {[PROJECTS] = {LIMIT_TOKEN_WATCHERS, LIMIT_PROJECT_WATCHERS,
                                     LIMIT_PROJECTS_WATCHERS},
                       [OPERATORS] = {LIMIT_OPERATOR_WATCHERS, 0, LIMIT_OPERATORS_WATCHERS}}},
    [SHARE_OPERATION] = {"operation",
                         "waits for operations",
                         {[PROJECTS] = {LIMIT_TOKEN_OPERATION_WAITS, LIMIT_PROJECT_OPERATION_WAITS,
                                        LIMIT_PROJECTS_OPERATION_WAITS},
                          [OPERATORS] = {LIMIT_OPERATOR_OPERATION_WAITS, 0,
                                         LIMIT_OPERATORS_OPERATION_WAITS}}},
    [SHARE_CONSOLE] = {"console",
                       "waits for console logs",
                       {[PROJECTS] = {LIMIT_TOKEN_CONSOLES, LIMIT_PROJECT_CONSOLES,
                                      LIMIT_PROJECTS_CONSOLES},
                        [OPERATORS] = {LIMIT_OPERATOR_CONSOLES, 0, LIMIT_OPERATORS_CONSOLES}}},
    [SHARE_DESIRED] = {"desired",
                       "polls of its agent",
                       {[NODES] = {LIMIT_NODE_POLLS, 0, LIMIT_NODE_WATCHERS}}},
    [SHARE_UPLOAD] = {"upload",
                      "uploads",
                      {[PROJECTS] = {LIMIT_TOKEN_UPLOADS, LIMIT_PROJECT_UPLOADS,
                                     LIMIT_PROJECTS_UPLOADS},
                       [OPERATORS] = {LIMIT_OPERATOR_UPLOADS, 0, LIMIT_OPERATORS_UPLOADS}}},
    [SHARE_REPORT] = {"report",
                      "reports of its agent",
                      {[NODES] = {LIMIT_NODE_REPORTS, 0, LIMIT_NODES_REPORTS}}},
    [SHARE_BULK] = {"bulk",
                    "long reports of its agent",
                    {[NODES] = {LIMIT_NODE_BULK, 0, LIMIT_NODES_BULK}}},
};

/* What one token, or one project, holds of a kind. A token's key may be a project's as well. */
struct holder {
    struct holder *next;
    enum share_kind kind;
    bool project;
    int64_t key;
    int count;
};

struct shares {
    pthread_mutex_t lock;
    struct holder *buckets[BUCKETS];
    int held[SHARE_KINDS][GROUPS];
    uint64_t refused[SHARE_KINDS];
};

struct shares *shares_new(void)
{
    struct shares *shares = xcalloc(1, sizeof(*shares));
    pthread_mutex_init(&shares->lock, NULL);
    return shares;
}

void shares_free(struct shares *shares)
{
    if (!shares)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct holder *at = shares->buckets[i], *next; at; at = next) {
            next = at->next;
            free(at);
        }
    }
    pthread_mutex_destroy(&shares->lock);
    free(shares);
}

/* ---- holders, with the lock held ---- */

/* Where the one asked for is, or would be put. */
static struct holder **place_of(struct shares *shares, enum share_kind kind, bool project,
                                int64_t key)
{
    uint64_t mixed = ((uint64_t)key * 16 + (uint64_t)kind * 2 + project) * 0x9E3779B97F4A7C15u;
    struct holder **at = &shares->buckets[(mixed >> 32) % BUCKETS];
    while (*at && ((*at)->kind != kind || (*at)->project != project || (*at)->key != key))
        at = &(*at)->next;
    return at;
}

static int count_of(struct shares *shares, enum share_kind kind, bool project, int64_t key)
{
    const struct holder *holder = *place_of(shares, kind, project, key);
    return holder ? holder->count : 0;
}

static void change(struct shares *shares, enum share_kind kind, bool project, int64_t key, int by)
{
    struct holder **at = place_of(shares, kind, project, key);
    if (!*at) {
        *at = xcalloc(1, sizeof(**at));
        **at = (struct holder){.kind = kind, .project = project, .key = key};
    }
    (*at)->count += by;
    if ((*at)->count > 0)
        return;
    struct holder *gone = *at;
    *at = gone->next;
    free(gone);
}

static void add(struct share *share, int by)
{
    struct shares *shares = share->shares;
    shares->held[share->kind][share->group] += by;
    change(shares, share->kind, false, share->token_key, by);
    if (share->project_key)
        change(shares, share->kind, true, share->project_key, by);
}

/* ---- taking and giving ---- */

static enum share_group group_of(const struct caller *caller)
{
    if (caller->project_key)
        return PROJECTS;
    return caller->role > ROLE_ADMIN ? NODES : OPERATORS;
}

/* 0: there is room for one more. The token's own limit speaks first: that is what its owner
 * can do something about. */
static int check(struct shares *shares, const struct share *share, struct err *err)
{
    const struct share_rule *rule = &rules[share->kind];
    const struct share_limits *limits = &rule->limits[share->group];
    if (count_of(shares, share->kind, false, share->token_key) >= limits->token)
        return err_set(err, ERR_TOO_MANY_REQUESTS,
                       "this token has %d %s open, and one token may have no more: end some, or "
                       "try again when one has ended",
                       limits->token, rule->what);
    if (share->project_key &&
        count_of(shares, share->kind, true, share->project_key) >= limits->project)
        return err_set(err, ERR_TOO_MANY_REQUESTS,
                       "this project has %d %s open, and one project may have no more: end some, "
                       "or try again when one has ended",
                       limits->project, rule->what);
    if (shares->held[share->kind][share->group] >= limits->all)
        return err_set(err, ERR_UNAVAILABLE,
                       "there are %d %s open, and there is no room for more: try again in a moment",
                       limits->all, rule->what);
    return 0;
}

int shares_take(struct shares *shares, enum share_kind kind, const struct caller *caller,
                struct share *share, struct err *err)
{
    struct share wanted = {.shares = shares,
                           .kind = kind,
                           .group = (int)group_of(caller),
                           .token_key = caller->token_key,
                           .project_key = caller->project_key};
    pthread_mutex_lock(&shares->lock);
    int rc = check(shares, &wanted, err);
    if (rc == 0)
        add(&wanted, 1);
    else
        shares->refused[kind]++;
    pthread_mutex_unlock(&shares->lock);
    if (rc == 0)
        *share = wanted;
    return rc;
}

void share_give(struct share *share)
{
    struct shares *shares = share->shares;
    if (!shares)
        return;
    pthread_mutex_lock(&shares->lock);
    add(share, -1);
    pthread_mutex_unlock(&shares->lock);
    *share = (struct share){0};
}

/* ---- figures ---- */

static size_t held(const struct shares *shares, enum share_kind kind)
{
    size_t sum = 0;
    for (int group = 0; group < GROUPS; group++)
        sum += (size_t)shares->held[kind][group];
    return sum;
}

size_t shares_held(struct shares *shares, enum share_kind kind)
{
    pthread_mutex_lock(&shares->lock);
    size_t sum = held(shares, kind);
    pthread_mutex_unlock(&shares->lock);
    return sum;
}

void shares_print(struct shares *shares, struct buf *out)
{
    pthread_mutex_lock(&shares->lock);
    buf_puts(out, "# HELP minicloud_shares_held Waits and uploads that are open now.\n"
                  "# TYPE minicloud_shares_held gauge\n");
    for (enum share_kind kind = 0; kind < SHARE_KINDS; kind++)
        buf_printf(out, "minicloud_shares_held{kind=\"%s\"} %zu\n", rules[kind].name,
                   held(shares, kind));
    buf_puts(out, "# HELP minicloud_shares_refused_total Those that a limit did not allow.\n"
                  "# TYPE minicloud_shares_refused_total counter\n");
    for (enum share_kind kind = 0; kind < SHARE_KINDS; kind++)
        buf_printf(out, "minicloud_shares_refused_total{kind=\"%s\"} %llu\n", rules[kind].name,
                   (unsigned long long)shares->refused[kind]);
    pthread_mutex_unlock(&shares->lock);
}
