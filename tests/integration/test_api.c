/* The API's manners against a real controller: who sees what, repeated requests, ETags, the
 * event log, first start and restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "tests/lib/cloud.h"

static const char public_key[] =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here";

static int start_controller(void **state)
{
    struct cloud *cloud = cloud_new("api");
    cloud_start_controller(cloud, NULL, NULL);
    *state = cloud;
    return 0;
}

static int stop_controller(void **state)
{
    cloud_free(*state);
    return 0;
}

/* A token of a project of its own, owned by the caller. */
static char *token_for(struct cloud *cloud, const char *project, const char *role)
{
    autofree char *path = xasprintf("/v1/tokens?project=%s", project);
    struct answer auto_answer_json made = cloud_call(
        cloud, "POST", path, "{\"name\":\"%s-%s\",\"role\":\"%s\"}", project, role, role);
    if (made.status != 201)
        cloud_fail("token: %d %s", made.status, made.text);
    return xstrdup(answer_str(&made, "secret"));
}

static void make_project(struct cloud *cloud, const char *name)
{
    struct answer auto_answer_json made =
        cloud_call(cloud, "POST", "/v1/projects", "{\"name\":\"%s\"}", name);
    assert_int_equal(made.status, 201);
}

static int status_as(struct cloud *cloud, const char *token, const char *method, const char *path,
                     const char *body)
{
    struct answer auto_answer_json got = cloud_call_as(cloud, token, NULL, method, path, body);
    return got.status;
}

static int status_of(struct answer answer)
{
    int status = answer.status;
    answer_release(&answer);
    return status;
}

static char *key_body(const char *name)
{
    return xasprintf("{\"name\":\"%s\",\"public_key\":\"%s\"}", name, public_key);
}

static void test_access__a_token_is_needed_from_the_start(void **state)
{
    struct cloud *cloud = *state;
    assert_int_equal(status_as(cloud, "", "GET", "/v1/instances", NULL), 401);
    assert_int_equal(status_as(cloud, "mc_a_wrong", "GET", "/v1/instances", NULL), 401);
    assert_int_equal(status_as(cloud, "mc_a_wrong", "POST", "/v1/keys", "{}"), 401);
    assert_int_equal(status_as(cloud, "", "GET", "/v1/healthz", NULL), 200);
    struct stat st;
    autofree char *path = xasprintf("%s/data/admin.token", cloud->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_access__a_foreign_row_and_a_missing_one_look_the_same(void **state)
{
    struct cloud *cloud = *state;
    make_project(cloud, "red");
    make_project(cloud, "blue");
    autofree char *red = token_for(cloud, "red", "member");
    autofree char *blue = token_for(cloud, "blue", "member");
    autofree char *body = key_body("mine");
    struct answer auto_answer_json made = cloud_call_as(cloud, red, NULL, "POST", "/v1/keys", body);
    assert_int_equal(made.status, 201);
    autofree char *path = xasprintf("/v1/keys/%s", answer_str(&made, "id"));
    assert_int_equal(status_as(cloud, red, "GET", path, NULL), 200);

    struct answer auto_answer_json foreign = cloud_call_as(cloud, blue, NULL, "GET", path, NULL);
    struct answer auto_answer_json missing = cloud_call_as(
        cloud, blue, NULL, "GET", "/v1/keys/0190a0b0-1111-7222-8333-444444444444", NULL);
    assert_int_equal(foreign.status, 404);
    assert_int_equal(missing.status, 404);
    assert_string_equal(answer_str(&foreign, "code"), answer_str(&missing, "code"));
    assert_int_equal(status_as(cloud, blue, "DELETE", path, NULL), 404);
    assert_int_equal(status_as(cloud, blue, "GET", "/v1/keys/mine", NULL), 404);

    struct answer auto_answer_json list = cloud_call_as(cloud, blue, NULL, "GET", "/v1/keys", NULL);
    assert_int_equal(json_count(answer_at(&list, "keys")), 0);
    struct answer auto_answer_json events =
        cloud_call_as(cloud, blue, NULL, "GET", "/v1/events?after=0", NULL);
    assert_int_equal(events.status, 200);
    assert_null(strstr(events.text, answer_str(&made, "id")));
}

static void test_access__a_reader_changes_nothing(void **state)
{
    struct cloud *cloud = *state;
    make_project(cloud, "green");
    autofree char *reader = token_for(cloud, "green", "reader");
    autofree char *member = token_for(cloud, "green", "member");
    autofree char *body = key_body("k");
    assert_int_equal(status_as(cloud, reader, "POST", "/v1/keys", body), 403);
    assert_int_equal(status_as(cloud, member, "POST", "/v1/keys", body), 201);
    assert_int_equal(status_as(cloud, reader, "GET", "/v1/keys/k", NULL), 200);
    assert_int_equal(status_as(cloud, reader, "DELETE", "/v1/keys/k", NULL), 403);
    assert_int_equal(status_as(cloud, member, "POST", "/v1/flavors", "{}"), 403);
    assert_int_equal(status_as(cloud, member, "GET", "/v1/nodes", NULL), 403);
    assert_int_equal(status_as(cloud, member, "GET", "/v1/node/desired", NULL), 403);
    assert_int_equal(
        status_as(cloud, member, "POST", "/v1/tokens", "{\"name\":\"t\",\"role\":\"admin\"}"), 403);
}

static void test_idempotency__the_same_key_gives_the_same_answer_once(void **state)
{
    struct cloud *cloud = *state;
    autofree char *body = key_body("once");
    autofree char *other = key_body("twice");
    struct answer auto_answer_json first =
        cloud_call_as(cloud, NULL, "k-1", "POST", "/v1/keys", body);
    struct answer auto_answer_json again =
        cloud_call_as(cloud, NULL, "k-1", "POST", "/v1/keys", body);
    assert_int_equal(first.status, 201);
    assert_int_equal(again.status, 201);
    assert_string_equal(first.text, again.text);
    struct answer auto_answer_json changed =
        cloud_call_as(cloud, NULL, "k-1", "POST", "/v1/keys", other);
    assert_int_equal(changed.status, 422);
    struct answer auto_answer_json without =
        cloud_call_as(cloud, NULL, NULL, "POST", "/v1/keys", body);
    assert_int_equal(without.status, 409);
    assert_string_equal(answer_str(&without, "code"), "name_taken");
}

static void test_idempotency__failures_are_not_kept_and_secrets_are_not_replayed(void **state)
{
    struct cloud *cloud = *state;
    autofree char *body = key_body("late");
    assert_int_equal(status_of(cloud_call_as(cloud, NULL, "k-2", "POST", "/v1/keys", "{}")), 400);
    struct answer auto_answer_json made =
        cloud_call_as(cloud, NULL, "k-2", "POST", "/v1/keys", body);
    assert_int_equal(made.status, 201);
    static const char token[] = "{\"name\":\"secret\",\"role\":\"member\"}";
    struct answer auto_answer_json first =
        cloud_call_as(cloud, NULL, "k-3", "POST", "/v1/tokens?project=default", token);
    struct answer auto_answer_json again =
        cloud_call_as(cloud, NULL, "k-3", "POST", "/v1/tokens?project=default", token);
    assert_int_equal(first.status, 201);
    assert_non_null(answer_str(&first, "secret"));
    assert_int_equal(again.status, 409);
    assert_string_equal(answer_str(&again, "code"), "secret_already_shown");
}

static void test_etag__an_older_state_is_refused(void **state)
{
    struct cloud *cloud = *state;
    autofree char *body = key_body("tagged");
    struct answer auto_answer_json made =
        cloud_call_as(cloud, NULL, NULL, "POST", "/v1/keys", body);
    assert_int_equal(made.status, 201);
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", "/v1/keys/tagged", NULL);
    assert_non_null(shown.etag);
    assert_int_equal(
        status_of(cloud_call(cloud, "PATCH", "/v1/keys/tagged", "{\"name\":\"retagged\"}")), 200);
    struct http_call call = {.method = "DELETE",
                             .path = "/v1/keys/retagged",
                             .if_match = shown.etag,
                             .timeout_ms = 60000};
    struct http_answer auto_answer got = {0};
    struct err auto_err err = {0};
    assert_int_equal(http_client_call(cloud->client, &call, &got, &err), 0);
    assert_int_equal(got.status, 412);
    assert_int_equal(status_of(cloud_call(cloud, "DELETE", "/v1/keys/retagged", NULL)), 204);
}

static void test_lists__pages_and_cursors_show_each_row_once(void **state)
{
    struct cloud *cloud = *state;
    make_project(cloud, "many");
    autofree char *token = token_for(cloud, "many", "member");
    for (int i = 0; i < 7; i++) {
        autofree char *name = xasprintf("k%d", i);
        autofree char *body = key_body(name);
        assert_int_equal(status_as(cloud, token, "POST", "/v1/keys", body), 201);
    }
    autofree char *path = xstrdup("/v1/keys?limit=3");
    int seen = 0;
    for (int page = 0; path; page++) {
        struct answer auto_answer_json list = cloud_call_as(cloud, token, NULL, "GET", path, NULL);
        assert_int_equal(list.status, 200);
        seen += (int)json_count(answer_at(&list, "keys"));
        assert_true(page < 3);
        const char *next = answer_str(&list, "next");
        free(path);
        path = next ? xasprintf("/v1/keys?limit=3&cursor=%s", next) : NULL;
    }
    assert_int_equal(seen, 7);
}

static void test_events__a_waiting_watcher_gets_the_news(void **state)
{
    struct cloud *cloud = *state;
    struct answer auto_answer_json health = cloud_call(cloud, "GET", "/v1/healthz", NULL);
    autofree char *path =
        xasprintf("/v1/events?after=%lld&wait=60s", (long long)answer_i64(&health, "revision"));
    /* A child makes the change while this process waits. */
    pid_t child = fork();
    if (child == 0) {
        cloud->client = NULL;
        autofree char *body = key_body("news");
        struct answer made = cloud_call_as(cloud, cloud->token, NULL, "POST", "/v1/keys", body);
        _exit(made.status == 201 ? 0 : 1);
    }
    struct answer auto_answer_json news = cloud_call(cloud, "GET", path, NULL);
    assert_int_equal(news.status, 200);
    assert_string_equal(answer_str(&news, "events.0.name"), "news");
    assert_string_equal(answer_str(&news, "events.0.what"), "created");
    struct answer auto_answer_json ahead =
        cloud_call(cloud, "GET", "/v1/events?after=0&limit=1", NULL);
    assert_int_equal(answer_i64(&ahead, "events.0.revision"), 1);
}

/* The first bytes of a stream until `word` stands in them, or NULL after a minute. */
static char *stream_until(struct cloud *cloud, const char *path, const char *word)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 60};
    struct buf got = {0};
    char chunk[4096];
    ssize_t n;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/data/api.sock", cloud->dir);
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    autofree char *request = xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                                       "Accept: text/event-stream\r\n\r\n",
                                       path, cloud->token);
    assert_true(send(fd, request, strlen(request), 0) > 0);
    while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0) {
        buf_add(&got, chunk, (size_t)n);
        if (strstr(got.data, word))
            return buf_take(&got);
    }
    buf_release(&got);
    return NULL;
}

static void test_events__are_served_as_a_stream(void **state)
{
    struct cloud *cloud = *state;
    autofree char *text = stream_until(cloud, "/v1/events?after=0", "\"what\"");
    assert_non_null(text);
    assert_non_null(strstr(text, "text/event-stream"));
    assert_non_null(strstr(text, "\nid: 1"));
}

static void test_restart__what_was_acknowledged_is_there_and_the_token_is_the_same(void **state)
{
    struct cloud *cloud = *state;
    autofree char *body = key_body("durable");
    autofree char *token = xstrdup(cloud->token);
    struct answer auto_answer_json made =
        cloud_call_as(cloud, NULL, "k-9", "POST", "/v1/keys", body);
    assert_int_equal(made.status, 201);
    proc_kill(&cloud->controller);
    cloud_start_controller(cloud, NULL, NULL);
    assert_string_equal(cloud->token, token);
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", "/v1/keys/durable", NULL);
    assert_int_equal(shown.status, 200);
    struct answer auto_answer_json again =
        cloud_call_as(cloud, NULL, "k-9", "POST", "/v1/keys", body);
    assert_string_equal(made.text, again.text);
}

static void test_start__a_second_controller_on_the_same_data_is_refused(void **state)
{
    struct cloud *cloud = *state;
    autofree char *program = xasprintf("%s/cloud-controller", cloud->bin);
    autofree char *data = xasprintf("--data-dir=%s/data", cloud->dir);
    autofree char *log = xasprintf("%s/second.log", cloud->dir);
    const char *argv[] = {program, data, "--listen=", NULL};
    assert_int_not_equal(proc_run(argv, NULL, log, 120000), 0);
    assert_int_equal(status_of(cloud_call(cloud, "GET", "/v1/keys", NULL)), 200);
}

static void test_image__a_bad_upload_is_never_usable(void **state)
{
    struct cloud *cloud = *state;
    struct err auto_err err = {0};
    autofree char *file = xasprintf("%s/junk.qcow2", cloud->dir);
    assert_int_equal(file_write("test", file, "QFI\xfbjunk", 8, 0644, &err), 0);
    struct answer auto_answer_json made =
        cloud_call(cloud, "POST", "/v1/images", "{\"name\":\"junk\",\"format\":\"qcow2\"}");
    assert_int_equal(made.status, 201);
    struct answer auto_answer_json sent = cloud_upload(cloud, "/v1/images/junk/content", file);
    assert_int_equal(sent.status, 422);
    assert_string_equal(answer_str(&sent, "code"), "bad_image");
    struct answer auto_answer_json shown = cloud_call(cloud, "GET", "/v1/images/junk", NULL);
    assert_string_equal(answer_str(&shown, "state"), "awaiting_upload");
    struct answer auto_answer_json wrong =
        cloud_call(cloud, "POST", "/v1/images",
                   "{\"name\":\"sum\",\"format\":\"raw\",\"sha256\":\"%064d\"}", 0);
    assert_int_equal(wrong.status, 201);
    autofree char *zeros = xasprintf("%s/zeros.raw", cloud->dir);
    char block[512] = {0};
    assert_int_equal(file_write("test", zeros, block, sizeof(block), 0644, &err), 0);
    struct answer auto_answer_json mismatch = cloud_upload(cloud, "/v1/images/sum/content", zeros);
    assert_int_equal(mismatch.status, 422);
    assert_string_equal(answer_str(&mismatch, "code"), "checksum_mismatch");
}

static void test_create__a_refusal_says_which_rule_said_no(void **state)
{
    struct cloud *cloud = *state;
    struct err auto_err err = {0};
    autofree char *zeros = xasprintf("%s/blank.raw", cloud->dir);
    autofree char *block = xcalloc(1, 1 << 20);
    assert_int_equal(file_write("test", zeros, block, 1 << 20, 0644, &err), 0);
    cloud_add_image(cloud, "blank", zeros, "raw");
    struct answer auto_answer_json none =
        cloud_call(cloud, "POST", "/v1/instances",
                   "{\"name\":\"a\",\"image\":\"blank\",\"vcpus\":1,\"memory_mib\":128,"
                   "\"disk_gib\":1}");
    assert_int_equal(none.status, 409);
    assert_string_equal(answer_str(&none, "code"), "no_capacity");

    struct buf auto_buf token = {0};
    autofree char *path = xasprintf("%s/data/join.token", cloud->dir);
    assert_int_equal(file_read(path, 4096, &token, &err), 0);
    token.data[strcspn(token.data, "\n")] = '\0';
    struct answer auto_answer_json joined = cloud_call_as(
        cloud, token.data, NULL, "POST", "/v1/nodes",
        "{\"name\":\"small\",\"host_uuid\":\"00000000-0000-4000-8000-000000000002\","
        "\"boot_id\":\"b\",\"protocol\":1,\"capacity\":{\"cpus\":2,\"memory_mib\":256,"
        "\"disk_gib\":10,\"virt\":\"qemu\"}}");
    assert_int_equal(joined.status, 201);
    struct answer auto_answer_json reported = cloud_call_as(
        cloud, answer_str(&joined, "token"), NULL, "POST", "/v1/node/observed",
        "{\"protocol\":1,\"boot_id\":\"b\",\"incarnation\":\"i\",\"sequence\":1,\"full\":true,"
        "\"capacity\":{\"cpus\":2,\"memory_mib\":256,\"disk_gib\":10,\"virt\":\"qemu\"},"
        "\"instances\":[],\"observations\":[]}");
    assert_int_equal(reported.status, 200);
    struct answer auto_answer_json large =
        cloud_call(cloud, "POST", "/v1/instances",
                   "{\"name\":\"a\",\"image\":\"blank\",\"vcpus\":1,\"memory_mib\":512,"
                   "\"disk_gib\":1}");
    assert_int_equal(large.status, 409);
    assert_string_equal(answer_str(&large, "hosts.0.node"), "small");
    assert_string_equal(answer_str(&large, "hosts.0.rule"), "memory");
    assert_int_equal(answer_i64(&large, "hosts.0.needed"), 512);
    assert_int_equal(answer_i64(&large, "hosts.0.free"), 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access__a_token_is_needed_from_the_start),
        cmocka_unit_test(test_access__a_foreign_row_and_a_missing_one_look_the_same),
        cmocka_unit_test(test_access__a_reader_changes_nothing),
        cmocka_unit_test(test_idempotency__the_same_key_gives_the_same_answer_once),
        cmocka_unit_test(test_idempotency__failures_are_not_kept_and_secrets_are_not_replayed),
        cmocka_unit_test(test_etag__an_older_state_is_refused),
        cmocka_unit_test(test_lists__pages_and_cursors_show_each_row_once),
        cmocka_unit_test(test_events__a_waiting_watcher_gets_the_news),
        cmocka_unit_test(test_events__are_served_as_a_stream),
        cmocka_unit_test(test_restart__what_was_acknowledged_is_there_and_the_token_is_the_same),
        cmocka_unit_test(test_start__a_second_controller_on_the_same_data_is_refused),
        cmocka_unit_test(test_image__a_bad_upload_is_never_usable),
        cmocka_unit_test(test_create__a_refusal_says_which_rule_said_no),
    };
    return cmocka_run_group_tests(tests, start_controller, stop_controller);
}
