/* The client against the server: round trips over TCP and a Unix socket, uploads, downloads,
 * and every way in which no proper reply comes; plus the server's listening addresses. */
#include "tests/unit/http_site.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/http/http_client.h"
#include "tests/lib/guard.h"

static struct site site;
static char *folder;

static struct http_client *client_to(const char *url)
{
    struct http_client *client;
    auto_err struct err err = {0};
    const struct http_client_settings settings = {
        .url = url, .token = "mc_a_secret", .user_agent = "test/1", .connect_timeout_ms = 2000};
    if (http_client_new(&settings, &client, &err))
        fail_msg("%s", err.msg);
    return client;
}

static struct http_client *client_to_site(void)
{
    autofree char *url = xasprintf("http://127.0.0.1:%d", site.port);
    return client_to(url);
}

static void call(struct http_client *client, const struct http_call *what,
                 struct http_answer *answer)
{
    auto_err struct err err = {0};
    if (http_client_call(client, what, answer, &err))
        fail_msg("%s", err.msg);
}

/* ---- round trips ---- */

/* "method|header=value|...|body" of those headers that the client makes. */
static void show_headers(struct site *at, struct http_request *req)
{
    (void)at;
    static const char *const names[] = {"Authorization", "Content-Type",    "Accept", "User-Agent",
                                        "If-Match",      "Idempotency-Key", "Expect"};
    struct buf body = {0};
    size_t len;
    buf_printf(&body, "%s|", http_method(req));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (http_header(req, names[i]))
            buf_printf(&body, "%s=%s|", names[i], http_header(req, names[i]));
    const char *text = http_body(req, &len);
    buf_add(&body, text, len);
    http_reply(req, &(struct http_reply){.status = 200, .etag = "e1", .location = "/v1/there"},
               &body);
}

static void check_round_trips(struct http_client *client)
{
    for (int i = 0; i < 50; i++) {
        auto_answer struct http_answer answer = {0};
        call(client,
             &(struct http_call){.method = "PATCH",
                                 .path = "/v1/a",
                                 .body = "{}",
                                 .body_len = 2,
                                 .if_match = "e0",
                                 .idempotency_key = "k"},
             &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.etag, "e1");
        assert_string_equal(answer.location, "/v1/there");
        assert_string_equal(answer.content_type, "application/json");
        assert_string_equal(answer.body.data,
                            "PATCH|Authorization=Bearer mc_a_secret|Content-Type=application/json|"
                            "Accept=application/json|User-Agent=test/1|If-Match=\"e0\"|"
                            "Idempotency-Key=k|{}");
    }
    auto_answer struct http_answer answer = {0};
    call(client, &(struct http_call){.method = "POST", .path = "/v1/a"}, &answer);
    assert_string_equal(answer.body.data, "POST|Authorization=Bearer mc_a_secret|"
                                          "Accept=application/json|User-Agent=test/1|");
    http_answer_release(&answer);
    call(client, &(struct http_call){.method = "HEAD", .path = "/v1/a"}, &answer);
    assert_int_equal(answer.body.len, 0);
    assert_string_equal(answer.etag, "e1");
}

static void test_client__makes_round_trips_over_tcp_and_unix(void **state)
{
    (void)state;
    autofree char *path = xasprintf("%s/api.sock", folder);
    autofree char *url = xasprintf("unix:%s", path);
    site = (struct site){.handle = show_headers};
    site_open_with(&site, (struct http_settings){.listen = "127.0.0.1:0", .unix_path = path});
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0666);
    struct http_client *tcp = client_to_site(), *local = client_to(url);
    check_round_trips(tcp);
    check_round_trips(local);
    http_client_free(tcp);
    http_client_free(local);
    site_close(&site);
    assert_int_equal(stat(path, &found), -1);
}

static void test_client__encodes_and_the_server_decodes_any_text(void **state)
{
    (void)state;
    site = (struct site){.handle = site_echo};
    site_open(&site);
    struct http_client *client = client_to_site();
    static const char text[] = "a b+c&d=e#f%?\xC3\xA4~\"{}";
    auto_buf struct buf path = {0};
    buf_puts(&path, "/v1/x?q=");
    http_encode(&path, text);
    auto_answer struct http_answer answer = {0};
    call(client, &(struct http_call){.method = "GET", .path = path.data}, &answer);
    autofree char *echo = xasprintf("GET /v1/x q=%s;|", text);
    assert_string_equal(answer.body.data, echo);
    http_client_free(client);
    site_close(&site);
}

/* ---- uploads and downloads ---- */

enum { CONTENT = 3 * 1024 * 1024 + 5 };

static long counting_sink(void *ctx, struct http_request *req, const char *data, size_t len)
{
    (void)req, (void)data;
    *(size_t *)ctx += len;
    return (long)len;
}

static size_t uploaded;

static void begin_counting(struct site *at, struct http_request *req)
{
    (void)at;
    uploaded = 0;
    if (strcmp(http_path(req), "/refused") == 0) {
        auto_err struct err err = {0};
        err_set(&err, ERR_CONFLICT, "Not now.");
        http_reply_err(req, &err);
    } else {
        http_accept_upload(req, counting_sink, &uploaded);
    }
}

static void reply_count(struct site *at, struct http_request *req)
{
    (void)at;
    autofree char *text = xasprintf("%zu", uploaded);
    site_reply(req, text);
}

static int content_file(void)
{
    autofree char *path = xasprintf("%s/content", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, CONTENT), 0);
    return fd;
}

static void test_client__uploads_with_and_without_a_known_size(void **state)
{
    (void)state;
    autoclose int fd = content_file();
    site = (struct site){.handle = reply_count, .begin = begin_counting};
    site_open(&site);
    struct http_client *client = client_to_site();
    const int64_t sizes[] = {CONTENT, -1, CONTENT};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        auto_answer struct http_answer answer = {0};
        lseek(fd, 0, SEEK_SET);
        call(client,
             &(struct http_call){.method = "PUT",
                                 .path = "/content",
                                 .upload = true,
                                 .upload_fd = fd,
                                 .upload_size = sizes[i]},
             &answer);
        assert_int_equal(answer.status, 200);
        assert_int_equal(strtol(answer.body.data, NULL, 10), CONTENT);
    }
    http_client_free(client);
    site_close(&site);
}

static void test_client__reads_why_an_upload_was_refused(void **state)
{
    (void)state;
    autoclose int fd = content_file();
    site = (struct site){.handle = reply_count, .begin = begin_counting};
    site_open(&site);
    struct http_client *client = client_to_site();
    auto_answer struct http_answer answer = {0};
    auto_err struct err err = {0};
    call(client,
         &(struct http_call){.method = "PUT",
                             .path = "/refused",
                             .upload = true,
                             .upload_fd = fd,
                             .upload_size = CONTENT},
         &answer);
    assert_int_equal(http_answer_err(&answer, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_string_equal(err.msg, "Not now.");
    /* libcurl waited for "100 Continue": nothing was read from the file. */
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    http_client_free(client);
    site_close(&site);
}

static int collect(void *ctx, const void *data, size_t len, struct err *err)
{
    buf_add(ctx, data, len);
    return ((struct buf *)ctx)->len > 100 ? err_set(err, ERR_STORAGE_FULL, "Enough.") : 0;
}

static void test_client__gives_a_download_to_a_sink_that_may_stop_it(void **state)
{
    (void)state;
    site = (struct site){.handle = site_echo};
    site_open(&site);
    struct http_client *client = client_to_site();
    auto_buf struct buf got = {0};
    auto_answer struct http_answer answer = {0};
    auto_err struct err err = {0};
    struct http_call get = {.method = "GET", .path = "/a", .sink = collect, .sink_ctx = &got};
    call(client, &get, &answer);
    assert_string_equal(got.data, "GET /a |");
    assert_int_equal(answer.body.len, 0);
    autofree char *body = xmalloc(200);
    memset(body, 'x', 200);
    get = (struct http_call){.method = "POST",
                             .path = "/a",
                             .body = body,
                             .body_len = 200,
                             .sink = collect,
                             .sink_ctx = &got};
    http_answer_release(&answer);
    assert_int_equal(http_client_call(client, &get, &answer, &err), -1);
    assert_string_equal(err.msg, "Enough.");
    http_client_free(client);
    site_close(&site);
}

/* ---- errors ---- */

static void reply_problem(struct site *at, struct http_request *req)
{
    struct buf body = {0};
    if (at->extra) {
        buf_puts(&body, at->extra);
        http_reply(req, &(struct http_reply){.status = 502, .content_type = "text/html"}, &body);
        return;
    }
    auto_err struct err err = {0};
    err_field(&err, "/memory_mib", "It must be at least 64.");
    err.more = xstrdup("{\"limit\":64,\"tried\":[1,2]}");
    http_reply_err(req, &err);
}

static void test_answer_err__reads_problems(void **state)
{
    (void)state;
    site = (struct site){.handle = reply_problem};
    site_open(&site);
    struct http_client *client = client_to_site();
    auto_answer struct http_answer answer = {0};
    auto_err struct err err = {0};
    call(client, &(struct http_call){.method = "GET", .path = "/"}, &answer);
    assert_int_equal(http_answer_err(&answer, &err), -1);
    assert_int_equal(err.code, ERR_FIELD);
    assert_string_equal(err.field, "/memory_mib");
    assert_string_equal(err.msg, "It must be at least 64.");
    assert_string_equal(err.more, "{\"limit\":64,\"tried\":[1,2]}");
    http_client_free(client);
    site_close(&site);
}

static void test_answer_err__survives_replies_that_are_no_problems(void **state)
{
    (void)state;
    static char bodies[][40] = {
        "<html>Bad\x1B[31m Gateway</html>",        "[]",  "{}",      "{\"code\":7}",
        "{\"code\":\"conflict\",\"detail\":null}", "\"x", "\xFF\xFE"};
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        site = (struct site){.handle = reply_problem, .extra = bodies[i]};
        site_open(&site);
        struct http_client *client = client_to_site();
        auto_answer struct http_answer answer = {0};
        auto_err struct err err = {0};
        call(client, &(struct http_call){.method = "GET", .path = "/"}, &answer);
        assert_int_equal(http_answer_err(&answer, &err), -1);
        assert_int_equal(err.code, ERR_INTERNAL);
        assert_non_null(strstr(err.msg, "502"));
        assert_null(strchr(err.msg, '\x1B'));
        http_client_free(client);
        site_close(&site);
    }
}

static void expect_failure(const char *url, struct http_call what, enum err_code code,
                           const char *part)
{
    struct http_client *client = client_to(url);
    auto_answer struct http_answer answer = {0};
    auto_err struct err err = {0};
    if (!what.method)
        what.method = "GET";
    if (!what.path)
        what.path = "/";
    assert_int_equal(http_client_call(client, &what, &answer, &err), -1);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.msg, part));
    http_client_free(client);
}

static void test_client__says_where_it_could_not_connect(void **state)
{
    (void)state;
    expect_failure("unix:/nonexistent/api.sock", (struct http_call){0}, ERR_CONNECT,
                   "unix:/nonexistent/api.sock");
    expect_failure("http://127.0.0.1:1", (struct http_call){0}, ERR_CONNECT, "127.0.0.1:1");
}

static void test_client__refuses_what_would_add_a_header(void **state)
{
    (void)state;
    expect_failure("http://127.0.0.1:1", (struct http_call){.idempotency_key = "a\r\nX: b"},
                   ERR_USAGE, "line break");
    expect_failure("http://127.0.0.1:1", (struct http_call){.path = "/a\nb"}, ERR_USAGE,
                   "line break");
    struct http_client *client;
    auto_err struct err err = {0};
    const struct http_client_settings settings = {.url = "https://x"};
    assert_int_equal(http_client_new(&settings, &client, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
}

static void test_client__stops_waiting_when_told_or_timed_out(void **state)
{
    (void)state;
    site = (struct site){.handle = site_park};
    site_open(&site);
    autofree char *url = xasprintf("http://127.0.0.1:%d", site.port);
    expect_failure(url, (struct http_call){.timeout_ms = 100}, ERR_TIMED_OUT, "in time");
    site_reply(site_take(&site), "too late");
    static volatile bool cancel = true;
    expect_failure(url, (struct http_call){.cancel = &cancel}, ERR_TIMED_OUT, "given up");
    site_close(&site);
}

static void *close_at_once(void *arg)
{
    int listener = (int)(intptr_t)arg;
    for (int i = 0; i < 2; i++) { /* libcurl may try a second time */
        int fd = accept(listener, NULL, NULL);
        char data[4096];
        if (fd >= 0 && recv(fd, data, sizeof(data), 0) >= 0)
            close(fd);
    }
    return NULL;
}

static void test_client__server_closes_without_a_reply(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    autoclose int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 5), 0);
    getsockname(listener, (struct sockaddr *)&address, &len);
    autofree char *url = xasprintf("http://127.0.0.1:%d", ntohs(address.sin_port));
    pthread_t thread;
    pthread_create(&thread, NULL, close_at_once, (void *)(intptr_t)listener);
    expect_failure(url, (struct http_call){0}, ERR_CONNECT, "not known");
    shutdown(listener, SHUT_RDWR);
    pthread_join(thread, NULL);
}

/* ---- listening ---- */

static void expect_no_start(struct http_settings settings, const char *part)
{
    struct http_server *server;
    auto_err struct err err = {0};
    const struct http_handlers handlers = {
        .ctx = &site, .begin = site_begin, .handle = site_handle, .end = site_end};
    assert_int_equal(http_server_start(&settings, &handlers, &server, &err), -1);
    if (!strstr(err.msg, part))
        fail_msg("%s", err.msg);
}

static void test_listen__on_loopback_only(void **state)
{
    (void)state;
    static const char *const fine[] = {"127.0.0.1:0", "127.9.8.7:0", "[::1]:0", "localhost:0"};
    for (size_t i = 0; i < ARRAY_SIZE(fine); i++) {
        site = (struct site){.handle = site_echo};
        site_open_with(&site, (struct http_settings){.listen = fine[i], .threads = 2});
        assert_true(site.port > 0);
        site_close(&site);
    }
    expect_no_start((struct http_settings){.listen = "0.0.0.0:0"}, "TLS");
    expect_no_start((struct http_settings){.listen = "[::]:0"}, "TLS");
    expect_no_start((struct http_settings){.listen = "192.0.2.1:80"}, "TLS");
    expect_no_start((struct http_settings){.listen = "127.0.0.1"}, "port");
    expect_no_start((struct http_settings){.listen = "127.0.0.1:"}, "port");
    expect_no_start((struct http_settings){.listen = "example.org:80"}, "port");
    expect_no_start((struct http_settings){0}, "neither");
}

static void test_listen__replaces_a_dead_servers_socket_and_no_other(void **state)
{
    (void)state;
    autofree char *path = xasprintf("%s/api.sock", folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
    close(dead);
    site = (struct site){.handle = site_echo};
    site_open_with(&site, (struct http_settings){.unix_path = path});
    expect_no_start((struct http_settings){.unix_path = path}, "Another server");
    auto_raw struct raw raw = raw_open_unix(path);
    auto_raw_reply struct raw_reply reply = {0};
    raw_puts(&raw, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read(&raw, &reply);
    assert_string_equal(reply.body.data, "GET /a |");
    site_close(&site);
    autofree char *file = xasprintf("%s/plain", folder);
    close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    expect_no_start((struct http_settings){.unix_path = file}, "no socket");
}

static int make_folder(void **state)
{
    (void)state;
    folder = guard_tempdir("http");
    return 0;
}

static int free_folder(void **state)
{
    (void)state;
    free(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client__makes_round_trips_over_tcp_and_unix),
        cmocka_unit_test(test_client__encodes_and_the_server_decodes_any_text),
        cmocka_unit_test(test_client__uploads_with_and_without_a_known_size),
        cmocka_unit_test(test_client__reads_why_an_upload_was_refused),
        cmocka_unit_test(test_client__gives_a_download_to_a_sink_that_may_stop_it),
        cmocka_unit_test(test_answer_err__reads_problems),
        cmocka_unit_test(test_answer_err__survives_replies_that_are_no_problems),
        cmocka_unit_test(test_client__says_where_it_could_not_connect),
        cmocka_unit_test(test_client__refuses_what_would_add_a_header),
        cmocka_unit_test(test_client__stops_waiting_when_told_or_timed_out),
        cmocka_unit_test(test_client__server_closes_without_a_reply),
        cmocka_unit_test(test_listen__on_loopback_only),
        cmocka_unit_test(test_listen__replaces_a_dead_servers_socket_and_no_other),
    };
    return cmocka_run_group_tests(tests, make_folder, free_folder);
}
