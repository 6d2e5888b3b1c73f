/* Requests that go on until they are answered; see life.h. What is checked afterwards is in
 * life_check.c. */
#include "tests/faults/life.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "tests/faults/kill_plan.h"
#include "tests/lib/guest.h"

enum { PATIENCE_MS = 90000 };

void life_begin(struct life *life, struct cloud *cloud)
{
    life->cloud = cloud;
    life->disk = guest_disk(cloud->dir);
    for (int i = 0; i < PROGRAMS; i++) {
        life->keepers[i].cloud = cloud;
        life->keepers[i].program = (enum program)i;
        keeper_start(&life->keepers[i]);
    }
    life->view = *cloud;
    life->view.token = xstrdup(cloud->token);
    struct err auto_err err = {0};
    struct http_client_settings settings = {
        .url = cloud->url, .token = life->view.token, .user_agent = "minicloud-tests"};
    if (http_client_new(&settings, &life->view.client, &err) < 0)
        cloud_fail("%s", err.msg);
}

void life_end(struct life *life)
{
    keeper_stop(&life->keepers[AGENT]);
    keeper_stop(&life->keepers[CONTROLLER]);
    http_client_free(life->view.client);
    free(life->view.token);
    free(life->disk);
}

/* Nobody answered: wait for the controller to be there again. false: time is up. */
static bool await_controller(struct life *life, int64_t deadline)
{
    for (int i = 0; i < PROGRAMS; i++) {
        if (life->keepers[i].wrong)
            cloud_fail("%s", life->keepers[i].wrong);
    }
    keeper_await(&life->keepers[CONTROLLER], 60000);
    poll(NULL, 0, 2); /* it may be dead and not yet known to be */
    return clock_boottime_ms() < deadline;
}

struct answer life_call(struct life *life, const char *key, const char *method, const char *path,
                        const char *body)
{
    int64_t deadline = clock_boottime_ms() + PATIENCE_MS;
    for (;;) {
        struct answer answer =
            cloud_call_as(&life->view, life->view.token, key, method, path, body);
        if (answer.status != 0 && answer.status != 503)
            return answer;
        if (!await_controller(life, deadline))
            cloud_fail("%s %s: no answer in %d ms: %d %s", method, path, PATIENCE_MS, answer.status,
                       answer.text);
        answer_release(&answer);
    }
}

/* ---- the image ---- */

static void upload(struct life *life, const char *name)
{
    int64_t deadline = clock_boottime_ms() + PATIENCE_MS;
    autofree char *content = xasprintf("/v1/images/%s/content", name);
    autofree char *path = xasprintf("/v1/images/%s", name);
    for (;;) {
        struct answer auto_answer_json sent = cloud_upload(&life->view, content, life->disk);
        if (sent.status / 100 == 2)
            return;
        struct answer auto_answer_json now = life_call(life, NULL, "GET", path, NULL);
        const char *state = answer_str(&now, "state");
        if (state && strcmp(state, "ready") == 0)
            return; /* the answer was lost, not the upload */
        if (sent.status / 100 == 4 || !await_controller(life, deadline))
            cloud_fail("upload of %s: %d %s", name, sent.status, sent.text);
    }
}

static void make_image(struct life *life)
{
    autofree char *name = xasprintf("halt%d", life->cycle);
    autofree char *body = xasprintf("{\"name\":\"%s\",\"format\":\"raw\"}", name);
    struct answer auto_answer_json made = life_call(life, name, "POST", "/v1/images", body);
    if (made.status != 201)
        cloud_fail("image: %d %s", made.status, made.text);
    upload(life, name);
}

/* ---- instances ---- */

static void remember(struct life *life, int i, const struct answer *answer, const char *what)
{
    const char *id = answer_str(answer, "instance.id"),
               *operation = answer_str(answer, "operation.id");
    if (answer->status != 202 || !id || !operation)
        cloud_fail("%s: %d %s", what, answer->status, answer->text);
    snprintf(life->ids[i], sizeof(life->ids[i]), "%s", id);
    snprintf(life->operations[i], sizeof(life->operations[i]), "%s", operation);
}

static void create(struct life *life, int i)
{
    autofree char *name = xasprintf("k%d-%d", life->cycle, i);
    autofree char *body = xasprintf("{\"name\":\"%s\",\"image\":\"halt%d\",\"vcpus\":1,"
                                    "\"memory_mib\":128,\"disk_gib\":1}",
                                    name, life->cycle);
    struct answer auto_answer_json made = life_call(life, name, "POST", "/v1/instances", body);
    remember(life, i, &made, "create");
}

static void act(struct life *life, int i, const char *verb, const char *body)
{
    autofree char *path = xasprintf("/v1/instances/%s/%s", life->ids[i], verb);
    autofree char *key = xasprintf("%s-%s", verb, life->ids[i]);
    struct answer auto_answer_json asked = life_call(life, key, "POST", path, body);
    remember(life, i, &asked, verb);
}

/* A DELETE has no key: one whose answer was lost may have been heard. */
static void delete (struct life *life, int i)
{
    autofree char *path = xasprintf("/v1/instances/%s", life->ids[i]);
    struct answer auto_answer_json asked = life_call(life, NULL, "DELETE", path, NULL);
    if (asked.status == 202) {
        remember(life, i, &asked, "delete");
        return;
    }
    struct answer auto_answer_json now = life_call(life, NULL, "GET", path, NULL);
    const char *state = answer_str(&now, "state");
    if (!state || strncmp(state, "delet", 5) != 0)
        cloud_fail("DELETE %s: %d %s\n# and it is %s", path, asked.status, asked.text, now.text);
    life->operations[i][0] = '\0';
}

static void await_done(struct life *life, const char *operation, const char *what)
{
    int64_t deadline = clock_boottime_ms() + PATIENCE_MS;
    autofree char *path = xasprintf("/v1/operations/%s?wait=5s", operation);
    for (;;) {
        struct answer auto_answer_json now = life_call(life, NULL, "GET", path, NULL);
        const char *state = answer_str(&now, "state");
        if (state && strcmp(state, "done") == 0)
            return;
        if (!state || strcmp(state, "running") != 0 || clock_boottime_ms() > deadline)
            cloud_fail("%s, operation %s: %d %s", what, operation, now.status, now.text);
    }
}

static void await_gone(struct life *life, const char *id)
{
    int64_t deadline = clock_boottime_ms() + PATIENCE_MS;
    autofree char *path = xasprintf("/v1/instances/%s", id);
    for (;;) {
        struct answer auto_answer_json now = life_call(life, NULL, "GET", path, NULL);
        const char *state = answer_str(&now, "state");
        if (state && strcmp(state, "deleted") == 0)
            return;
        if (clock_boottime_ms() > deadline)
            cloud_fail("%s is not gone: %d %s", id, now.status, now.text);
        struct answer moved = life_call(life, NULL, "GET", "/v1/events?wait=1s&limit=1", NULL);
        answer_release(&moved);
    }
}

void life_run(struct life *life, int phase)
{
    if (phase == CREATE)
        make_image(life);
    for (int i = 0; i < LIVES; i++) {
        if (phase == CREATE)
            create(life, i);
        else if (phase == STOP)
            /* This guest obeys no power button: every other time it is asked in vain. */
            act(life, i, "stop", life->cycle % 2 ? "{\"force\":true}" : "{\"timeout_s\":1}");
        else if (phase == START)
            act(life, i, "start", "{}");
        else
            delete (life, i);
    }
    for (int i = 0; i < LIVES; i++) {
        if (life->operations[i][0])
            await_done(life, life->operations[i], phase_names[phase]);
        if (phase == DELETE)
            await_gone(life, life->ids[i]);
    }
    if (phase == DELETE) {
        autofree char *path = xasprintf("/v1/images/halt%d", life->cycle);
        struct answer auto_answer_json gone = life_call(life, NULL, "DELETE", path, NULL);
        if (gone.status / 100 != 2 && gone.status != 404)
            cloud_fail("DELETE %s: %d %s", path, gone.status, gone.text);
    }
}
