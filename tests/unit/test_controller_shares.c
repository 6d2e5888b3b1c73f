/* Shares: each limit at its edge, for each kind of what is held and each kind of holder. */
#include "api/base/limits.h"
#include "controller/access/shares.h"
#include "controller/request/request.h"
#include "tests/unit/controller_world.h"

struct edge {
    enum share_kind kind;
    bool node;
    int token, project, all; /* project 0: operators or nodes */
};

static const struct edge edges[] = {
    {SHARE_EVENTS, false, LIMIT_TOKEN_WATCHERS, LIMIT_PROJECT_WATCHERS, LIMIT_PROJECTS_WATCHERS},
    {SHARE_EVENTS, false, LIMIT_OPERATOR_WATCHERS, 0, LIMIT_OPERATORS_WATCHERS},
    {SHARE_OPERATION, false, LIMIT_TOKEN_OPERATION_WAITS, LIMIT_PROJECT_OPERATION_WAITS,
     LIMIT_PROJECTS_OPERATION_WAITS},
    {SHARE_OPERATION, false, LIMIT_OPERATOR_OPERATION_WAITS, 0, LIMIT_OPERATORS_OPERATION_WAITS},
    {SHARE_CONSOLE, false, LIMIT_TOKEN_CONSOLES, LIMIT_PROJECT_CONSOLES, LIMIT_PROJECTS_CONSOLES},
    {SHARE_CONSOLE, false, LIMIT_OPERATOR_CONSOLES, 0, LIMIT_OPERATORS_CONSOLES},
    {SHARE_UPLOAD, false, LIMIT_TOKEN_UPLOADS, LIMIT_PROJECT_UPLOADS, LIMIT_PROJECTS_UPLOADS},
    {SHARE_UPLOAD, false, LIMIT_OPERATOR_UPLOADS, 0, LIMIT_OPERATORS_UPLOADS},
    {SHARE_DESIRED, true, LIMIT_NODE_POLLS, 0, LIMIT_NODE_WATCHERS},
    {SHARE_REPORT, true, LIMIT_NODE_REPORTS, 0, LIMIT_NODES_REPORTS},
    {SHARE_BULK, true, LIMIT_NODE_BULK, 0, LIMIT_NODES_BULK},
};
enum { EDGES = sizeof(edges) / sizeof(edges[0]), HELD_MAX = 4096 };

struct fixture {
    struct shares *shares;
    struct share held[HELD_MAX];
    size_t count;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->shares = shares_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < f->count; i++)
        share_give(&f->held[i]);
    for (enum share_kind kind = 0; kind < SHARE_KINDS; kind++)
        assert_int_equal(shares_held(f->shares, kind), 0);
    shares_free(f->shares);
    free(f);
    return 0;
}

static struct caller holder(const struct edge *edge, int64_t token_key, int64_t project_key)
{
    return (struct caller){.token_key = token_key,
                           .project_key = edge->project ? project_key : 0,
                           .node_key = edge->node ? token_key : 0,
                           .role = edge->node ? ROLE_NODE : ROLE_READER};
}

/* Takes one more; ERR_NONE when it was given. */
static enum err_code take_one(struct fixture *f, const struct edge *edge, struct caller caller,
                              const char *word)
{
    struct err auto_err err = {0};
    assert_true(f->count < HELD_MAX);
    int rc = shares_take(f->shares, edge->kind, &caller, &f->held[f->count], &err);
    f->count += rc == 0;
    if (rc != 0 && !strstr(err.msg, word))
        fail_msg("\"%s\" does not say %s", err.msg, word);
    return rc == 0 ? ERR_NONE : err.code;
}

static void take_all(struct fixture *f, const struct edge *edge, struct caller caller, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(take_one(f, edge, caller, ""), ERR_NONE);
}

static void test_shares__a_token_has_its_limit_and_takes_nobody_elses(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < EDGES; i++) {
        const struct edge *edge = &edges[i];
        int64_t token = 10 * (int64_t)(i + 1);
        take_all(f, edge, holder(edge, token, 1), edge->token);
        autofree char *limit = xasprintf("this token has %d ", edge->token);
        assert_int_equal(take_one(f, edge, holder(edge, token, 1), limit), ERR_TOO_MANY_REQUESTS);
        assert_int_equal(take_one(f, edge, holder(edge, token + 1, 1), ""), ERR_NONE);
        /* The same number, but a project's. */
        assert_int_equal(take_one(f, edge, holder(edge, token + 2, token), ""), ERR_NONE);
    }
}

static void test_shares__a_project_has_its_limit_by_all_of_its_tokens(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < EDGES; i++) {
        const struct edge *edge = &edges[i];
        if (!edge->project)
            continue;
        for (int taken = 0, token = 20; taken < edge->project; taken += edge->token)
            take_all(f, edge, holder(edge, token++, 1), edge->token);
        autofree char *limit = xasprintf("this project has %d ", edge->project);
        assert_int_equal(take_one(f, edge, holder(edge, 19, 1), limit), ERR_TOO_MANY_REQUESTS);
        assert_int_equal(take_one(f, edge, holder(edge, 19, 2), ""), ERR_NONE);
    }
}

/* Whoever has used up one kind of room has not touched that of the others. */
static void test_shares__all_together_have_a_limit_and_the_others_still_their_room(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < EDGES; i++) {
        const struct edge *edge = &edges[i];
        size_t before = f->count;
        for (int taken = 0, token = 100; taken < edge->all; taken += edge->token, token++)
            take_all(f, edge, holder(edge, token, token), edge->token);
        autofree char *limit = xasprintf("there are %d ", edge->all);
        assert_int_equal(take_one(f, edge, holder(edge, 99, 99), limit), ERR_UNAVAILABLE);
        for (size_t other = 0; other < EDGES; other++)
            if (other != i)
                assert_int_equal(take_one(f, &edges[other], holder(&edges[other], 99, 99), ""),
                                 ERR_NONE);
        while (f->count > before)
            share_give(&f->held[--f->count]);
    }
}

static void test_shares__are_given_back_once(void **state)
{
    struct fixture *f = *state;
    const struct edge *edge = &edges[0];
    take_all(f, edge, holder(edge, 10, 1), edge->token);
    share_give(&f->held[0]);
    share_give(&f->held[0]);
    assert_int_equal(shares_held(f->shares, edge->kind), edge->token - 1);
    assert_int_equal(take_one(f, edge, holder(edge, 10, 1), ""), ERR_NONE);
    assert_int_equal(take_one(f, edge, holder(edge, 10, 1), ""), ERR_TOO_MANY_REQUESTS);
}

static void test_shares__who_may_not_hold_such_a_thing_gets_none(void **state)
{
    struct fixture *f = *state;
    const struct edge node_upload = {SHARE_UPLOAD, true, 0, 0, 0};
    const struct edge person_poll = {SHARE_DESIRED, false, 0, 1, 0};
    assert_int_equal(take_one(f, &node_upload, holder(&node_upload, 1, 0), "0"),
                     ERR_TOO_MANY_REQUESTS);
    assert_int_equal(take_one(f, &person_poll, holder(&person_poll, 1, 1), "0"),
                     ERR_TOO_MANY_REQUESTS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shares__a_token_has_its_limit_and_takes_nobody_elses),
        TEST(test_shares__a_project_has_its_limit_by_all_of_its_tokens),
        TEST(test_shares__all_together_have_a_limit_and_the_others_still_their_room),
        TEST(test_shares__are_given_back_once),
        TEST(test_shares__who_may_not_hold_such_a_thing_gets_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
