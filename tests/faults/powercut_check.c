/* After a cut: start the controller on what is left, and hold it against what was promised. */
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/mem.h"
#include "tests/faults/fake_host.h"
#include "tests/faults/powercut.h"
#include "tests/faults/promises.h"
#include "tests/faults/replay.h"
#include "tests/lib/cloud.h"

enum { SETTLE_STEPS = 60 };

/* ---- putting the folder back ---- */

void powercut_restore(const struct replay *replay, int keep, uint64_t seed, struct cloud *cloud)
{
    autofree char *cut = xasprintf("%s/cut", cloud->dir);
    autofree char *cut_data = xasprintf("%s/cut/data", cloud->dir);
    autofree char *data = xasprintf("%s/data", cloud->dir);
    const char *argv[] = {"rm", "-rf", cut, data, NULL};
    proc_run(argv, NULL, NULL, 20000);
    replay_write(replay, (enum keep)keep, seed, cut);
    rename(cut_data, data);
}

/* ---- single promises ---- */

/* The state in the words of the marks. Owned by the caller. */
static char *state_now(struct cloud *cloud, const struct promise *promise)
{
    bool label = strcmp(promise->kind, "label") == 0;
    autofree char *path =
        xasprintf("/v1/%ss/%s", label ? "instance" : promise->kind, promise->name);
    struct answer auto_answer_json got = cloud_call(cloud, "GET", path, NULL);
    if (got.status == 404)
        return xstrdup("none");
    if (got.status != 200)
        return xasprintf("status %d: %s", got.status, got.text);
    const char *state = "present";
    if (strcmp(promise->kind, "instance") == 0)
        state = answer_str(&got, "desired");
    else if (label)
        state = answer_str(&got, "labels.is");
    else if (strcmp(promise->kind, "operation") == 0)
        state = answer_str(&got, "state");
    else if (strcmp(promise->kind, "image") == 0)
        state = strcmp(answer_str(&got, "state"), "ready") == 0 ? "ready" : "made";
    const char *id = answer_str(&got, "id");
    if (!label && promise->acked && promise->id && id && strcmp(id, promise->id) != 0)
        return xasprintf("another one, %s, not %s", id, promise->id);
    return xstrdup(state ? state : "none");
}

static char *token_now(struct cloud *cloud, const struct promise *promise)
{
    struct answer auto_answer_json got =
        cloud_call_as(cloud, promise->detail, NULL, "GET", "/v1/operations?limit=1", NULL);
    return got.status == 200   ? xstrdup("present")
           : got.status == 401 ? xstrdup("none")
                               : xasprintf("status %d: %s", got.status, got.text);
}

/* A deleted instance is still shown to who knows its id. */
static char *check_tombstone(struct cloud *cloud, const struct promise *promise)
{
    autofree char *path = xasprintf("/v1/instances/%s", promise->id);
    struct answer auto_answer_json got = cloud_call(cloud, "GET", path, NULL);
    const char *state = answer_str(&got, "state");
    if (got.status == 200 && state && strncmp(state, "delet", 5) == 0)
        return NULL;
    return xasprintf("deleted instance %s shows %d %s", promise->name, got.status, got.text);
}

static char *check_promise(struct cloud *cloud, const struct promise *promise)
{
    bool token = strcmp(promise->kind, "token") == 0;
    if (strcmp(promise->kind, "join") == 0 || (token && !promise->detail))
        return NULL;
    autofree char *now = token ? token_now(cloud, promise) : state_now(cloud, promise);
    if (!promise_allows(promise, now))
        return xasprintf(
            "%s %s was promised %s, asked for %s since, and is %s", promise->kind, promise->name,
            promise->acked ? promise->acked : "nothing",
            promise->maybe_count ? promise->maybe[promise->maybe_count - 1] : "nothing", now);
    if (strcmp(promise->kind, "instance") == 0 && promise->id && strcmp(now, "none") == 0)
        return check_tombstone(cloud, promise);
    return NULL;
}

static char *check_promises(struct cloud *cloud, const struct promises *promises)
{
    for (size_t i = 0; i < promises->count; i++) {
        char *wrong = check_promise(cloud, &promises->items[i]);
        if (wrong)
            return wrong;
    }
    struct answer auto_answer_json health = cloud_call(cloud, "GET", "/v1/healthz", NULL);
    if (answer_i64(&health, "revision") < promises->revision)
        return xasprintf("revision %lld was shown, the log ends at %lld",
                         (long long)promises->revision, (long long)answer_i64(&health, "revision"));
    return NULL;
}

/* ---- requests sent again ---- */

static char *check_repeat(struct cloud *cloud, const struct posted *post)
{
    struct answer auto_answer_json again =
        cloud_call_as(cloud, cloud->token, post->key, "POST", post->path, post->body);
    if (post->status &&
        (again.status != post->status || (*post->reply && strcmp(again.text, post->reply) != 0)))
        return xasprintf("%s %s gave %d %s\n# and again %d %s", post->path, post->key, post->status,
                         post->reply, again.status, again.text);
    if (post->status)
        return NULL;
    struct answer auto_answer_json third =
        cloud_call_as(cloud, cloud->token, post->key, "POST", post->path, post->body);
    bool secret = third.status == 409 && strstr(third.text, "secret_already_shown");
    bool first_secret = again.status == 409 && strstr(again.text, "secret_already_shown");
    if ((again.status / 100 != 2 && !first_secret) ||
        (!secret && (third.status != again.status || strcmp(third.text, again.text) != 0)))
        return xasprintf("%s %s cut, gave %d %s\n# and then %d %s", post->path, post->key,
                         again.status, again.text, third.status, third.text);
    return NULL;
}

/* All that got no answer, and the newest few that got one. */
static char *check_repeats(struct cloud *cloud, const struct promises *promises)
{
    int answered = 0;
    for (size_t i = promises->post_count; i-- > 0;) {
        const struct posted *post = &promises->posts[i];
        if (post->status && ++answered > 6 && i % 7 != 0)
            continue;
        char *wrong = check_repeat(cloud, post);
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* ---- the host comes back ---- */

static bool operations_running(struct cloud *cloud)
{
    struct answer auto_answer_json list =
        cloud_call(cloud, "GET", "/v1/operations?state=running&limit=1", NULL);
    return list.status != 200 || json_count(answer_at(&list, "operations")) > 0;
}

static char *settle(struct fake_host *host)
{
    for (int i = 0; i < SETTLE_STEPS; i++) {
        if (!fake_host_step(host, i ? 100 : 0))
            return xstrdup(host->wrong);
        if (!operations_running(host->cloud))
            return NULL;
    }
    struct answer auto_answer_json list =
        cloud_call(host->cloud, "GET", "/v1/operations?state=running", NULL);
    return xasprintf("operations do not end: %s", list.text);
}

static char *check_new_instance(struct fake_host *host)
{
    struct answer auto_answer_json made =
        cloud_call(host->cloud, "POST", "/v1/instances",
                   "{\"name\":\"after\",\"image\":\"blank\",\"vcpus\":1,\"memory_mib\":128,"
                   "\"disk_gib\":1}");
    if (made.status != 202)
        return xasprintf("a new instance: %d %s", made.status, made.text);
    return settle(host);
}

static char *check_host(struct cloud *cloud, const struct replay *replay, size_t end,
                        const struct promises *promises)
{
    struct fake_host host = {.cloud = cloud, .revision = promises->revision};
    snprintf(host.epoch, sizeof(host.epoch), "%s", promises->epoch);
    promises_fill_host(replay, end, &host);
    if (promises->host_token)
        host.token = xstrdup(promises->host_token);
    char *wrong = NULL;
    if ((!host.token && !fake_host_join(&host)) || !fake_host_report_all(&host))
        wrong = xstrdup(host.wrong);
    if (!wrong && promises->epoch[0] && strcmp(promises->epoch, host.epoch) != 0)
        wrong = xasprintf("the epoch %s became %s", promises->epoch, host.epoch);
    if (!wrong)
        wrong = check_repeats(cloud, promises);
    if (!wrong)
        wrong = settle(&host);
    const struct promise *image = promises_find(promises, "image", "blank");
    if (!wrong && image && image->acked && strcmp(image->acked, "ready") == 0)
        wrong = check_new_instance(&host);
    fake_host_release(&host);
    return wrong;
}

/* ---- one cut ---- */

static char *check_secrets(struct cloud *cloud, const struct promises *promises)
{
    autofree char *path = xasprintf("%s/data/admin.token", cloud->dir);
    struct stat info;
    if (stat(path, &info) < 0 || (info.st_mode & 07777) != 0600)
        return xasprintf("admin.token has mode %o", info.st_mode & 07777);
    const struct promise *admin = promises_find(promises, "token", "admin");
    if (admin && strcmp(admin->detail, cloud->token) != 0)
        return xstrdup("admin.token holds another token than was promised");
    struct answer auto_answer_json got = cloud_call(cloud, "GET", "/v1/nodes", NULL);
    return got.status == 200 ? NULL : xasprintf("admin.token gives %d %s", got.status, got.text);
}

char *powercut_check(const struct replay *replay, size_t end, struct cloud *cloud, bool deep)
{
    autofree char *data = xasprintf("%s/data", cloud->dir);
    if (cloud_try_controller(cloud, NULL, NULL) < 0) {
        proc_kill(&cloud->controller);
        return xstrdup("the controller does not start");
    }
    struct promises promises = promises_read(replay, end);
    char *wrong = check_secrets(cloud, &promises);
    if (!wrong)
        wrong = powercut_check_rows(data);
    if (!wrong)
        wrong = check_promises(cloud, &promises);
    if (!wrong && deep)
        wrong = check_host(cloud, replay, end, &promises);
    if (!wrong && deep)
        wrong = powercut_check_rows(data);
    promises_release(&promises);
    proc_kill(&cloud->controller);
    return wrong;
}
