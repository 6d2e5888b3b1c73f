/* cloudctl against a small scripted server: requests it makes, how it waits, what it
 * prints, how it ends. */
#include "tests/unit/cli_harness.h"
#include "tests/unit/cli_script.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/http/http_server.h"

#define OPERATION(state) "{\"id\":\"op1\",\"kind\":\"start\",\"instance\":\"i1\"," state "}"
#define RUNNING OPERATION("\"state\":\"running\",\"error\":null")
#define DONE OPERATION("\"state\":\"done\",\"error\":null")
#define ACCEPTED                                                                                   \
    "{\"instance\":{\"id\":\"i1\",\"name\":\"web1\",\"state\":\"stopped\"},\"operation\":" RUNNING \
    "}"
#define WEB1 "{\"id\":\"i1\",\"name\":\"web1\",\"state\":\"running\"}"

static void test_start__waits_until_the_operation_is_done(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/instances/web1/start", 202, ACCEPTED, false, 0},
        {"GET /v1/operations/op1?wait=30s", 200, RUNNING, false, 0},
        {"GET /v1/operations/op1?wait=30s", 200, DONE, false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl instance start web1");
    assert_string_equal(ran.err, "");
    assert_string_equal(ran.out, "");
    assert_int_equal(ran.code, 0);
    script_stop(&script);
}

static void test_create__sends_the_body_and_prints_what_became_of_it(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/instances", 202, ACCEPTED, false, 0},
        {"GET /v1/operations/op1?wait=30s", 200, DONE, false, 0},
        {"GET /v1/instances/i1", 200, WEB1, false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran =
        run("cloudctl instance create web1 --image tiny --vcpus 1 --memory 1G --disk 5 --key a,b "
            "--key c --label x=1 --label y= --label x=2 --stopped -o csv --columns name,state");
    assert_string_equal(ran.err, "");
    assert_int_equal(ran.code, 0);
    assert_string_equal(ran.out, "name,state\nweb1,running\n");
    assert_has(script.log.data,
               "{\"name\":\"web1\",\"image\":\"tiny\",\"vcpus\":1,\"memory_mib\":1024,"
               "\"disk_gib\":5,\"keys\":[\"a\",\"b\",\"c\"],\"power\":\"stopped\","
               "\"labels\":{\"y\":\"\",\"x\":\"2\"}}");
    script_stop(&script);
}

static void test_user_data__travels_as_base64_from_a_file_and_from_standard_input(void **state)
{
    static const struct step steps[] = {{"POST /v1/instances", 201, WEB1, false, 0}, {0}};
    struct script script;
    autofree char *file = xasprintf("%s/user-data", (const char *)*state);
    FILE *out = fopen(file, "w");
    fwrite("#!\0\n", 1, 4, out);
    fclose(out);
    script_start(&script, steps);
    autofree char *line =
        xasprintf("cloudctl instance create web1 --image tiny --flavor s --user-data %s", file);
    auto_ran struct ran ran = run(line);
    assert_int_equal(ran.code, 0);
    assert_has(script.log.data, "\"user_data\":\"IyEACg==\",\"user_data_encoding\":\"base64\"");
    script_stop(&script);
}

static void test_no_wait__prints_the_operation_and_asks_no_more(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/instances/web1/stop", 202, ACCEPTED, false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran =
        run("cloudctl instance stop web1 --grace 1m --force --no-wait -o name");
    assert_int_equal(ran.code, 0);
    assert_string_equal(ran.out, "op1\n");
    assert_has(script.log.data, "{\"force\":true,\"timeout_s\":60}");
    script_stop(&script);
}

static void test_failed_operation__ends_with_5_and_the_reason(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/instances/web1/start", 202, ACCEPTED, false, 0},
        {"GET /v1/operations/op1?wait=30s", 200,
         OPERATION("\"state\":\"failed\",\"error\":{\"code\":\"host_timeout\",\"detail\":\"the "
                   "disk is full.\"}"),
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl instance start web1");
    assert_int_equal(ran.code, 5);
    assert_string_equal(ran.err, "cloudctl: instance web1: start failed: the disk is full. Try: "
                                 "cloudctl instance show web1\n");
    script_stop(&script);
}

static void test_timeout__ends_with_6_and_how_to_go_on(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/instances/web1/start", 202, ACCEPTED, false, 0},
        {"GET /v1/operations/op1?wait=1s", 200, RUNNING, false, 1100},
        {"GET /v1/operations/op1?wait=0s", 200, RUNNING, false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl instance start web1 --timeout 1s");
    assert_int_equal(ran.code, 6);
    assert_string_equal(ran.err, "cloudctl: instance web1: not done after 1s; the operation goes "
                                 "on. Try: cloudctl operation wait op1\n");
    script_stop(&script);
}

static void test_interrupt__says_that_the_operation_goes_on(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/instances/web1/start", 202, ACCEPTED, false, 0},
        {"GET /v1/operations/op1?wait=30s", 200, RUNNING, true, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl instance start web1");
    assert_int_equal(ran.code, 6);
    assert_string_equal(ran.err, "cloudctl: instance web1: interrupted; the operation goes on. "
                                 "Try: cloudctl operation wait op1\n");
    script_stop(&script);
}

static void test_several_targets__each_is_tried_and_the_first_failure_is_the_exit_code(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"DELETE /v1/flavors/a", 204, NULL, false, 0},
        {"DELETE /v1/flavors/b", 404, PROBLEM("404", "not_found", "there is no flavor b"), false,
         0},
        {"DELETE /v1/flavors/c", 409, PROBLEM("409", "in_use", "an image needs it"), false, 0},
        {"DELETE /v1/flavors/d", 204, NULL, false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl flavor delete a b c d --yes");
    assert_int_equal(ran.code, 3);
    assert_string_equal(ran.err, "cloudctl: flavor b: not found. Try: cloudctl flavor list\n"
                                 "cloudctl: flavor c: an image needs it. Try: cloudctl instance "
                                 "list\n");
    script_stop(&script);
}

static void test_list__joins_pages_and_passes_filters_on(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/instances?project=p&state=running&label=a=1,b&limit=500", 200,
         "{\"instances\":[{\"name\":\"x\"}],\"next\":\"c u\",\"revision\":7}", false, 0},
        {"GET /v1/instances?project=p&state=running&label=a=1,b&limit=500&cursor=c u", 200,
         "{\"instances\":[{\"name\":\"y\"}],\"next\":null,\"revision\":7}", false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl instance list --project p --state running --label a=1 "
                                  "--label b -o name");
    assert_int_equal(ran.code, 0);
    assert_string_equal(ran.out, "x\ny\n");
    script_stop(&script);
}

static void test_list__stops_at_the_limit(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/instances?limit=2", 200,
         "{\"instances\":[{\"name\":\"x\"},{\"name\":\"y\"}],\"next\":\"c\",\"revision\":7}", false,
         0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl instance list --limit 2 -o name");
    assert_int_equal(ran.code, 0);
    assert_string_equal(ran.out, "x\ny\n");
    script_stop(&script);
}

static void test_update__changes_labels_one_by_one(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/instances/web1", 200,
         "{\"id\":\"i1\",\"name\":\"web1\",\"labels\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}}",
         false, 0},
        {"PATCH /v1/instances/web1", 200, WEB1, false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran =
        run("cloudctl instance update web1 --name web2 --label b=x --unlabel c");
    assert_string_equal(ran.err, "");
    assert_int_equal(ran.code, 0);
    assert_has(script.log.data, "{\"name\":\"web2\",\"labels\":{\"a\":\"1\",\"b\":\"x\"}}");
    script_stop(&script);
}

static void test_problems__end_with_the_code_of_their_kind(void **state)
{
    (void)state;
    static const struct {
        struct step steps[2];
        int code;
        const char *says;
    } cases[] = {
        {{{"GET /v1/instances/web1", 404, PROBLEM("404", "not_found", "no"), false, 0}, {0}},
         3,
         "instance web1: not found. Try: cloudctl instance list"},
        {{{"GET /v1/instances/web1", 401, PROBLEM("401", "unauthenticated", "bad token."), false,
           0},
          {0}},
         4,
         "bad token. Try: cloudctl context create NAME"},
        {{{"GET /v1/instances/web1", 403, PROBLEM("403", "forbidden", "readers may not"), false, 0},
          {0}},
         4,
         "readers may not. Try: a token of a higher role"},
        {{{"GET /v1/instances/web1", 409, PROBLEM("409", "conflict", "it is running"), false, 0},
          {0}},
         1,
         "it is running. Try: cloudctl instance show web1"},
        {{{"GET /v1/instances/web1", 500, PROBLEM("500", "internal", "a\\u001b[31mb"), false, 0},
          {0}},
         1,
         "a [31mb"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct script script;
        script_start(&script, cases[i].steps);
        auto_ran struct ran ran = run("cloudctl instance show web1");
        assert_has(ran.err, cases[i].says);
        assert_int_equal(ran.code, cases[i].code);
        script_stop(&script);
    }
}

static void test_not_found__names_the_thing_that_is_missing(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/instances/web1/resize", 404, PROBLEM("404", "not_found", "there is no flavor x"),
         false, 0},
        {"POST /v1/instances", 404, PROBLEM("404", "not_found", "there is no image y"), false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran resized = run("cloudctl instance resize web1 --flavor x");
    assert_int_equal(resized.code, 3);
    assert_string_equal(resized.err, "cloudctl: instance web1: there is no flavor x. Try: cloudctl "
                                     "flavor list\n");
    auto_ran struct ran made = run("cloudctl instance create web1 --image y --flavor x");
    assert_string_equal(made.err, "cloudctl: instance web1: there is no image y. Try: cloudctl "
                                  "image list\n");
    script_stop(&script);
}

static void test_no_capacity__shows_what_each_host_said(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/instances", 409,
         "{\"type\":\"x\",\"title\":\"t\",\"status\":409,\"code\":\"no_capacity\",\"detail\":\"no "
         "node can take it\",\"nodes\":[{\"node\":\"n1\",\"rule\":\"memory\",\"free\":128},"
         "{\"node\":\"n2\",\"rule\":\"not ready\"}]}",
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl instance create web1 --image tiny --flavor large");
    assert_int_equal(ran.code, 1);
    assert_string_equal(ran.err,
                        "cloudctl: instance web1: no node can take it. Try: cloudctl node list\n"
                        "  node=n1 rule=memory free=128\n  node=n2 rule=not ready\n");
    script_stop(&script);
}

static void test_token__secret_goes_to_a_private_file(void **state)
{
    static const struct step steps[] = {
        {"POST /v1/tokens?project=p", 201, "{\"id\":\"t1\",\"name\":\"ci\",\"secret\":\"mc_new\"}",
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    autofree char *line = xasprintf(
        "cloudctl token create ci --role member --project p --save %s/ci", (const char *)*state);
    auto_ran struct ran ran = run(line);
    assert_string_equal(ran.err, "");
    assert_int_equal(ran.code, 0);
    assert_string_equal(ran.out, "");
    assert_has(script.log.data, "{\"name\":\"ci\",\"role\":\"member\"}");
    script_stop(&script);
}

static void test_image_create__guesses_the_format_and_uploads(void **state)
{
    static const struct step steps[] = {
        {"POST /v1/images", 201, "{\"id\":\"m1\",\"name\":\"tiny\",\"state\":\"awaiting_upload\"}",
         false, 0},
        {"PUT /v1/images/m1/content", 200, "{\"id\":\"m1\",\"name\":\"tiny\",\"state\":\"ready\"}",
         false, 0},
        {0},
    };
    struct script script;
    autofree char *file = xasprintf("%s/tiny", (const char *)*state);
    FILE *out = fopen(file, "w");
    fputs("QFI\xfb and more", out);
    fclose(out);
    script_start(&script, steps);
    autofree char *line =
        xasprintf("cloudctl image create tiny --file %s -o csv --columns name,state", file);
    auto_ran struct ran ran = run(line);
    assert_string_equal(ran.err, "");
    assert_int_equal(ran.code, 0);
    assert_string_equal(ran.out, "name,state\ntiny,ready\n");
    assert_has(script.log.data, "{\"name\":\"tiny\",\"format\":\"qcow2\"}");
    assert_has(script.log.data, "PUT /v1/images/m1/content QFI\xfb and more\n");
    script_stop(&script);
}

static void test_events__are_followed_a_line_each(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/events?kind=instance&after=5&limit=500&wait=30s", 200,
         "{\"events\":[{\"revision\":6,\"time\":\"2026-01-31T12:00:00.000Z\",\"actor\":\"admin\","
         "\"kind\":\"instance\",\"name\":\"web1\",\"what\":\"created\"}],\"revision\":8}",
         false, 0},
        {"GET /v1/events?kind=instance&after=6&limit=500&wait=30s", 410,
         PROBLEM("410", "revision_gone", "gone"), false, 0},
        {"GET /v1/healthz", 200, "{\"status\":\"ok\",\"revision\":40}", false, 0},
        {"GET /v1/events?kind=instance&after=40&limit=500&wait=30s", 200,
         "{\"events\":[{\"revision\":41,\"time\":\"2026-01-31T12:00:01.000Z\",\"actor\":\"n1\","
         "\"kind\":\"instance\",\"name\":\"web1\",\"what\":\"running\"}],\"revision\":41}",
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran =
        run("cloudctl event list --follow --after 5 --kind instance --limit 2");
    assert_int_equal(ran.code, 0);
    assert_string_equal(ran.out, "6 2026-01-31T12:00:00.000Z admin instance web1 created\n"
                                 "41 2026-01-31T12:00:01.000Z n1 instance web1 running\n");
    assert_has(ran.err, "no longer kept");
    script_stop(&script);
}

static void test_log__is_stripped_on_a_terminal_only(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/instances/web1/console?bytes=99", 200, "\033[1;31mhi\033[0m\r\n\033]0;x\a", false,
         0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    struct screen terminal = {.out_tty = true, .width = 80};
    auto_ran struct ran shown = run_on(terminal, "", "cloudctl instance log web1 --bytes 99");
    assert_string_equal(shown.out, "hi\n0;x");
    script.at = 0;
    auto_ran struct ran raw = run("cloudctl instance log web1 --bytes 99");
    assert_string_equal(raw.out, "\033[1;31mhi\033[0m\r\n\033]0;x\a");
    script_stop(&script);
}

static void test_completion__asks_the_api_for_names(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET /v1/instances?limit=500", 200,
         "{\"instances\":[{\"name\":\"web1\"},{\"name\":\"db\"},{\"name\":\"web2\"}],\"next\":null,"
         "\"revision\":1}",
         false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl __complete instance stop web1 w");
    assert_string_equal(ran.out, "web1\nweb2\n");
    script_stop(&script);
}

/* ---- a listener that hangs up on the first request ---- */

struct hangup {
    int fd;
    char keys[2][64];
    pthread_t thread;
};

static void take_key(const char *request, char key[64])
{
    const char *at = strcasestr(request, "\r\nIdempotency-Key: ");
    const char *value = at ? at + 19 : "";
    snprintf(key, 64, "%.*s", (int)strcspn(value, "\r"), value);
}

static void *hangup_run(void *ctx)
{
    struct hangup *hangup = ctx;
    static const char reply[] = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                                "Content-Length: 15\r\nConnection: close\r\n\r\n"
                                "{\"name\":\"made\"}";
    for (int i = 0; i < 2; i++) {
        char request[4096];
        int fd = accept(hangup->fd, NULL, NULL);
        ssize_t len = recv(fd, request, sizeof(request) - 1, 0);
        request[len > 0 ? len : 0] = '\0';
        take_key(request, hangup->keys[i]);
        if (i == 1 && send(fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL) < 0)
            perror("send");
        shutdown(fd, SHUT_WR);
        while (recv(fd, request, sizeof(request), 0) > 0)
            ;
        close(fd);
    }
    return NULL;
}

static void test_post__is_repeated_once_with_the_same_key_when_no_reply_came(void **state)
{
    (void)state;
    struct hangup hangup = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t len = sizeof(address);
    assert_int_equal(bind(hangup.fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(hangup.fd, 4), 0);
    assert_int_equal(getsockname(hangup.fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(pthread_create(&hangup.thread, NULL, hangup_run, &hangup), 0);
    autofree char *url = xasprintf("http://127.0.0.1:%d", ntohs(address.sin_port));
    setenv("CLOUDCTL_URL", url, 1);
    auto_ran struct ran ran = run("cloudctl project create made -o name");
    pthread_join(hangup.thread, NULL);
    close(hangup.fd);
    assert_string_equal(ran.err, "");
    assert_string_equal(ran.out, "made\n");
    assert_int_equal(ran.code, 0);
    assert_int_equal(strlen(hangup.keys[0]), 36);
    assert_string_equal(hangup.keys[0], hangup.keys[1]);
}

static void test_no_connection__ends_with_7(void **state)
{
    (void)state;
    setenv("CLOUDCTL_URL", "http://127.0.0.1:1", 1);
    auto_ran struct ran ran = run("cloudctl instance list");
    assert_int_equal(ran.code, 7);
    assert_has(ran.err, "cloudctl: instance list: ");
    assert_has(ran.err, "Try: cloudctl context list");
}

static void on_interrupt(int number)
{
    (void)number;
    cli_interrupted = true;
}

static int setup(void **state)
{
    signal(SIGINT, on_interrupt);
    *state = clean_environment("cli-api");
    cli_interrupted = false;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_system__takes_an_operators_word_that_a_copy_was_put_back(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"POST /v1/system/restored", 200, "{\"epoch\":\"e2\"}", false, 0},
        {0},
    };
    struct script script;
    script_start(&script, steps);
    auto_ran struct ran unsure = run("cloudctl system restored");
    assert_int_equal(unsure.code, 2);
    assert_has(unsure.err, "--yes");
    auto_ran struct ran said = run("cloudctl system restored --reason Monday --yes");
    assert_int_equal(said.code, 0);
    assert_has(script.log.data, "POST /v1/system/restored {\"reason\":\"Monday\"}\n");
    script_stop(&script);
}

/* ---- files that lost their image ---- */

#define ORPHANS                                                                                   \
    "{\"orphans\":[{\"file\":\"f1\",\"size_bytes\":\"9\",\"modified_at\":null,\"name\":\"tiny\"," \
    "\"project\":\"acme\",\"reason\":\"there is no such image\"},{\"file\":\"a b\","              \
    "\"size_bytes\":\"7\",\"modified_at\":null,\"reason\":\"the name is not an image's\"}],"      \
    "\"next\":null,\"revision\":1}"

static void test_orphans__are_listed_with_what_is_known_of_them(void **state)
{
    struct script script = {0};
    const struct step steps[] = {{"GET /v1/orphans?limit=500", 200, ORPHANS, false, 0}, {0}};
    (void)state;
    script_start(&script, steps);
    auto_ran struct ran ran = run("cloudctl image list --orphaned --columns file,name,project,why");
    assert_int_equal(ran.code, 2);
    assert_has(ran.err, "orphan has no column why");
    auto_ran struct ran list = run("cloudctl image list --orphaned -o csv --columns file,name");
    assert_string_equal(list.out, "file,name\nf1,tiny\na b,\n");
    script_stop(&script);
}

static void test_orphans__go_all_or_by_name_and_never_by_themselves(void **state)
{
    struct script script = {0};
    const struct step steps[] = {{"GET /v1/orphans?limit=500", 200, ORPHANS, false, 0},
                                 {"DELETE /v1/orphans/f1", 204, "", false, 0},
                                 {"DELETE /v1/orphans/a b", 204, "", false, 0},
                                 {"DELETE /v1/orphans/f1", 404,
                                  PROBLEM("404", "not_found", "there is no orphaned file f1"),
                                  false, 0},
                                 {0}};
    (void)state;
    script_start(&script, steps);
    auto_ran struct ran asked = run("cloudctl image delete-orphaned --all");
    assert_int_equal(asked.code, 2);
    auto_ran struct ran none = run("cloudctl image delete-orphaned --yes");
    assert_int_equal(none.code, 2);
    auto_ran struct ran all = run("cloudctl image delete-orphaned --all --yes");
    assert_int_equal(all.code, 0);
    auto_ran struct ran again = run("cloudctl image delete-orphaned f1 --yes");
    assert_int_equal(again.code, 3);
    script_stop(&script);
}

static void test_orphans__are_imported_under_the_name_that_they_had_or_another(void **state)
{
    struct script script = {0};
    const struct step steps[] = {
        {"POST /v1/orphans/f1/import", 201, "{\"id\":\"f1\",\"name\":\"tiny\"}", false, 0},
        {"POST /v1/orphans/f1/import?project=acme", 201, "{\"id\":\"f1\",\"name\":\"other\"}",
         false, 0},
        {0}};
    (void)state;
    script_start(&script, steps);
    auto_ran struct ran plain = run("cloudctl image import f1 -o name");
    assert_string_equal(plain.out, "tiny\n");
    auto_ran struct ran named =
        run("cloudctl image import f1 --name other --format raw --project acme -o name");
    assert_string_equal(named.out, "other\n");
    assert_has(script.log.data, "{\"name\":\"other\",\"format\":\"raw\"}");
    script_stop(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system__takes_an_operators_word_that_a_copy_was_put_back),
        TEST(test_start__waits_until_the_operation_is_done),
        TEST(test_create__sends_the_body_and_prints_what_became_of_it),
        TEST(test_user_data__travels_as_base64_from_a_file_and_from_standard_input),
        TEST(test_no_wait__prints_the_operation_and_asks_no_more),
        TEST(test_failed_operation__ends_with_5_and_the_reason),
        TEST(test_timeout__ends_with_6_and_how_to_go_on),
        TEST(test_interrupt__says_that_the_operation_goes_on),
        TEST(test_several_targets__each_is_tried_and_the_first_failure_is_the_exit_code),
        TEST(test_list__joins_pages_and_passes_filters_on),
        TEST(test_list__stops_at_the_limit),
        TEST(test_update__changes_labels_one_by_one),
        TEST(test_problems__end_with_the_code_of_their_kind),
        TEST(test_not_found__names_the_thing_that_is_missing),
        TEST(test_no_capacity__shows_what_each_host_said),
        TEST(test_token__secret_goes_to_a_private_file),
        TEST(test_image_create__guesses_the_format_and_uploads),
        TEST(test_events__are_followed_a_line_each),
        TEST(test_log__is_stripped_on_a_terminal_only),
        TEST(test_completion__asks_the_api_for_names),
        TEST(test_post__is_repeated_once_with_the_same_key_when_no_reply_came),
        TEST(test_no_connection__ends_with_7),
        TEST(test_orphans__are_listed_with_what_is_known_of_them),
        TEST(test_orphans__go_all_or_by_name_and_never_by_themselves),
        TEST(test_orphans__are_imported_under_the_name_that_they_had_or_another),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_flush();
    return failed;
}
