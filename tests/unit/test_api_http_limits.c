/* How many connections the server keeps, and who gives way: counts, never times. */
#include "tests/unit/http_site.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD_END "Host: x\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HEAD_END

enum {
    LIMIT = 64,
    PEER_LIMIT = LIMIT - LIMIT / 4,
    UNPROVED_LIMIT = LIMIT / 4,
    OWNER_LIMIT = LIMIT / 8,
    CROWD = 200,
    BIG = 4 << 20
};

static struct site site;

/* "/park" waits for the test, "/big" is more than sockets hold. */
static void park_or_echo(struct site *at, struct http_request *req)
{
    if (strcmp(http_path(req), "/big") == 0) {
        struct buf body = {.data = xcalloc(1, BIG + 1), .len = BIG, .cap = BIG + 1};
        http_reply(req, &(struct http_reply){.status = 200, .content_type = "text/plain"}, &body);
        return;
    }
    if (strcmp(http_path(req), "/park") == 0)
        site_park(at, req);
    else
        site_echo(at, req);
}

/* A request below "/known" comes with a token. */
static void know_some(struct site *at, struct http_request *req)
{
    (void)at;
    if (strncmp(http_path(req), "/known", 6) == 0)
        http_prove(req, 0);
    auto_err struct err err = {0};
    const char *owner = http_query(req, "owner");
    if (owner && !http_prove(req, strtoul(owner, NULL, 10))) {
        err_set(&err, ERR_TOO_MANY_REQUESTS, "Too many connections of this owner.");
        http_reply_err(req, &err);
        return;
    }
    http_accept_body(req, SITE_BODY_LIMIT);
}

static void open_with(struct http_settings settings)
{
    settings.max_connections = LIMIT;
    site = (struct site){.handle = park_or_echo, .begin = know_some, .unproved = true};
    site_open_with(&site, settings);
}

static int ask(struct raw *raw, const char *request)
{
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(raw, request);
    raw_read(raw, &reply);
    return reply.status;
}

static struct http_stats stats(void)
{
    struct http_stats now;
    http_server_stats(site.server, &now);
    return now;
}

static void test_limits__are_shares_of_what_descriptors_allow(void **state)
{
    (void)state;
    struct rlimit before, few;
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = LIMIT_RESERVED_FILES + 100;
    setrlimit(RLIMIT_NOFILE, &few);
    open_with((struct http_settings){0});
    setrlimit(RLIMIT_NOFILE, &before);
    /* Each connection may bring a file with it. */
    assert_int_equal(stats().limit, 50);
    assert_int_equal(stats().peer_limit, 38);
    assert_int_equal(stats().owner_limit, 6);
    assert_int_equal(stats().unproved_limit, 12);
    site_close(&site);
}

static void test_limits__leave_something_to_each_however_few_descriptors_there_are(void **state)
{
    (void)state;
    struct rlimit before, few;
    getrlimit(RLIMIT_NOFILE, &before);
    for (unsigned more = 0; more <= 40; more += 8) {
        few = before;
        few.rlim_cur = LIMIT_RESERVED_FILES + more;
        setrlimit(RLIMIT_NOFILE, &few);
        open_with((struct http_settings){0});
        setrlimit(RLIMIT_NOFILE, &before);
        assert_in_range(stats().limit, LIMIT_CONNECTIONS_LEAST, LIMIT);
        auto_raw struct raw owned = raw_open(site.port);
        assert_int_equal(ask(&owned, GET("/known?owner=7")), 200);
        site_close(&site);
    }
}

static void test_idle_connections__without_a_token_give_way_to_new_ones(void **state)
{
    (void)state;
    struct raw idle[CROWD];
    open_with((struct http_settings){0});
    auto_raw struct raw known = raw_open(site.port);
    assert_int_equal(ask(&known, GET("/known")), 200);
    for (int i = 0; i < CROWD; i++) {
        idle[i] = raw_open(site.port);
        if (i % 2)
            raw_puts(&idle[i], "GET /slow HTTP/1.1\r\nHo"); /* half a head is no better */
    }
    /* Whoever comes is served, whoever has shown a token stays, and the oldest had to go. */
    auto_raw struct raw newcomer = raw_open(site.port);
    assert_int_equal(ask(&newcomer, GET("/new")), 200);
    assert_int_equal(ask(&known, GET("/again")), 200);
    for (int i = 0; i < CROWD - UNPROVED_LIMIT; i++)
        assert_true(raw_ends(&idle[i]));
    assert_true(stats().unproved <= UNPROVED_LIMIT);
    assert_true(stats().ousted >= CROWD - UNPROVED_LIMIT);
    for (int i = 0; i < CROWD; i++)
        raw_close(&idle[i]);
    site_close(&site);
}

static void test_reader_without_a_token__that_does_not_read_gives_way(void **state)
{
    (void)state;
    struct raw slow[UNPROVED_LIMIT];
    open_with((struct http_settings){0});
    for (int i = 0; i < UNPROVED_LIMIT; i++) {
        auto_raw_reply struct raw_reply head = {0};
        slow[i] = raw_open(site.port);
        raw_puts(&slow[i], GET("/big"));
        raw_read_head(&slow[i], &head);
        assert_int_equal(head.status, 200);
    }
    auto_raw struct raw newcomer = raw_open(site.port);
    assert_int_equal(ask(&newcomer, GET("/new")), 200);
    assert_true(stats().ousted > 0);
    for (int i = 0; i < UNPROVED_LIMIT; i++)
        raw_close(&slow[i]);
    site_close(&site);
}

static void expect_503(struct raw *raw)
{
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(raw, GET("/a"));
    raw_read(raw, &reply);
    autofree char *again = raw_header(&reply, "Retry-After");
    autofree char *type = raw_header(&reply, "Content-Type");
    assert_int_equal(reply.status, 503);
    assert_string_equal(again, "1");
    assert_string_equal(type, "application/problem+json");
    assert_non_null(strstr(reply.body.data, "too many connections"));
    assert_true(raw_ends(raw));
}

static void test_connection__that_finds_all_others_at_work_is_answered_503(void **state)
{
    (void)state;
    struct raw busy[PEER_LIMIT];
    struct http_request *waiting[PEER_LIMIT];
    auto_raw_reply struct raw_reply reply = {0};
    open_with((struct http_settings){0});
    for (int i = 0; i < PEER_LIMIT; i++) {
        busy[i] = raw_open(site.port);
        assert_int_equal(ask(&busy[i], GET("/known")), 200);
        raw_puts(&busy[i], GET("/park"));
        waiting[i] = site_take(&site);
    }
    for (int i = 0; i < 5; i++) {
        auto_raw struct raw more = raw_open(site.port);
        expect_503(&more);
    }
    assert_int_equal(stats().refused, 5);
    assert_int_equal(stats().ousted, 0);
    for (int i = 0; i < PEER_LIMIT; i++)
        site_reply(waiting[i], "done");
    for (int i = 0; i < PEER_LIMIT; i++) {
        raw_read(&busy[i], &reply);
        assert_int_equal(reply.status, 200);
    }
    /* Between two requests a connection gives way, also one with a token. */
    auto_raw struct raw more = raw_open(site.port);
    assert_int_equal(ask(&more, GET("/known")), 200);
    assert_int_equal(stats().ousted, 1);
    for (int i = 0; i < PEER_LIMIT; i++)
        raw_close(&busy[i]);
    site_close(&site);
}

/* Another user, with all the connections that its share allows and as many more. */
static void be_greedy(const char *path, int ready, const int done[2])
{
    close(done[1]);
    struct raw raws[2 * LIMIT];
    char byte = 0;
    if (setresuid(65534, 65534, 65534))
        _exit(1);
    for (int i = 0; i < 2 * LIMIT; i++) {
        raws[i] = raw_open_unix(path);
        raw_puts(&raws[i], GET("/known/park"));
    }
    if (write(ready, &byte, 1) != 1 || read(done[0], &byte, 1) < 0)
        _exit(1);
    _exit(0);
}

static void hold(struct site *at, struct http_request *req)
{
    if (strcmp(http_path(req), "/known/park") == 0)
        http_suspend(req);
    else
        site_echo(at, req);
}

static void test_user_of_the_unix_socket__leaves_room_for_another(void **state)
{
    (void)state;
    if (getuid() != 0)
        skip();
    int ready[2], done[2];
    char byte;
    autofree char *path = xasprintf("/tmp/http-limits-%d.sock", getpid());
    open_with((struct http_settings){.unix_path = path});
    site.handle = hold;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t greedy = fork();
    if (greedy == 0)
        be_greedy(path, ready[1], done);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    auto_raw struct raw raw = raw_open_unix(path);
    assert_int_equal(ask(&raw, GET("/known")), 200);
    assert_true(stats().refused + stats().ousted >= 2 * LIMIT - PEER_LIMIT);
    close(ready[0]);
    close(ready[1]);
    close(done[0]);
    close(done[1]); /* the other user goes */
    int status = -1;
    assert_int_equal(waitpid(greedy, &status, 0), greedy);
    assert_int_equal(status, 0);
    site_close(&site);
}

static void test_owner__takes_no_more_than_its_share_whatever_it_does(void **state)
{
    (void)state;
    struct raw own[4 * OWNER_LIMIT];
    struct http_request *waiting[OWNER_LIMIT];
    open_with((struct http_settings){0});
    /* Idle ones and readers that do not read give way to its next. */
    for (int i = 0; i < 4 * OWNER_LIMIT; i++) {
        auto_raw_reply struct raw_reply head = {0};
        own[i] = raw_open(site.port);
        raw_puts(&own[i], i % 2 ? GET("/a?owner=7") : GET("/big?owner=7"));
        raw_read_head(&own[i], &head);
        assert_int_equal(head.status, 200);
    }
    assert_int_equal(stats().ousted, 3 * OWNER_LIMIT);
    for (int i = 0; i < 4 * OWNER_LIMIT; i++)
        raw_close(&own[i]);
    /* Those at work do not, and it is told so; another owner is not. */
    for (int i = 0; i < OWNER_LIMIT; i++) {
        own[i] = raw_open(site.port);
        raw_puts(&own[i], GET("/park?owner=7"));
        waiting[i] = site_take(&site);
    }
    auto_raw struct raw more = raw_open(site.port);
    assert_int_equal(ask(&more, GET("/a?owner=7")), 429);
    assert_int_equal(ask(&more, GET("/a?owner=8")), 200);
    for (int i = 0; i < OWNER_LIMIT; i++)
        site_reply(waiting[i], "done");
    for (int i = 0; i < OWNER_LIMIT; i++)
        raw_close(&own[i]);
    site_close(&site);
}

static void test_connections__are_counted_back_when_they_end(void **state)
{
    (void)state;
    open_with((struct http_settings){0});
    for (int i = 0; i < 5 * LIMIT; i++) {
        auto_raw struct raw raw = raw_open(site.port);
        assert_int_equal(ask(&raw, i % 2 ? GET("/known") : GET("/a")), 200);
        shutdown(raw.fd, SHUT_WR);
        assert_true(raw_ends(&raw));
    }
    auto_raw struct raw last = raw_open(site.port);
    assert_int_equal(ask(&last, GET("/known")), 200);
    assert_true(stats().open <= 2);
    assert_int_equal(stats().refused + stats().ousted, 0);
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits__are_shares_of_what_descriptors_allow),
        cmocka_unit_test(test_limits__leave_something_to_each_however_few_descriptors_there_are),
        cmocka_unit_test(test_idle_connections__without_a_token_give_way_to_new_ones),
        cmocka_unit_test(test_reader_without_a_token__that_does_not_read_gives_way),
        cmocka_unit_test(test_connection__that_finds_all_others_at_work_is_answered_503),
        cmocka_unit_test(test_user_of_the_unix_socket__leaves_room_for_another),
        cmocka_unit_test(test_owner__takes_no_more_than_its_share_whatever_it_does),
        cmocka_unit_test(test_connections__are_counted_back_when_they_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
