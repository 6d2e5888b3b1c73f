/* The host's side of the node protocol, by hand. */
#include "tests/faults/fake_host.h"

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/id.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "tests/lib/cloud.h"

static const char boot_id[] = "11111111-2222-4333-8444-555555555555";

static void put_capacity(struct json_writer *w)
{
    json_open(w, "capacity", '{');
    json_put_i64(w, "cpus", 64);
    json_put_i64(w, "memory_mib", 64 * 1024);
    json_put_i64(w, "disk_gib", 1000);
    json_put_str(w, "virt", "qemu");
    json_close(w, '}');
}

static char *secret_of(const char *path)
{
    struct buf auto_buf text = {0};
    struct err auto_err err = {0};
    if (file_read(path, 4096, &text, &err) < 0)
        cloud_fail("no secret: %s", err.msg);
    return xstrndup(text.data, strcspn(text.data, "\r\n"));
}

static bool refused(struct fake_host *host, const char *what, const struct answer *answer)
{
    free(host->wrong);
    host->wrong = xasprintf("%s: %d %s", what, answer->status, answer->text);
    return false;
}

bool fake_host_join(struct fake_host *host)
{
    autofree char *path = xasprintf("%s/data/join.token", host->cloud->dir);
    autofree char *secret = secret_of(path);
    struct buf auto_buf text = {0};
    struct json_writer w = JSON_WRITER(&text);
    json_open(&w, NULL, '{');
    json_put_str(&w, "name", "fake1");
    json_put_str(&w, "host_uuid", "99999999-2222-4333-8444-555555555555");
    json_put_str(&w, "boot_id", boot_id);
    json_put_str(&w, "version", MINICLOUD_VERSION);
    json_put_i64(&w, "protocol", 1);
    put_capacity(&w);
    json_close(&w, '}');
    struct answer auto_answer_json joined =
        cloud_call_as(host->cloud, secret, NULL, "POST", "/v1/nodes", text.data);
    if (!answer_str(&joined, "token"))
        return refused(host, "POST /v1/nodes", &joined);
    free(host->token);
    host->token = xstrdup(answer_str(&joined, "token"));
    return true;
}

struct fake_guest *fake_host_guest(struct fake_host *host, const char *id)
{
    for (int i = 0; i < host->count; i++) {
        if (strcmp(host->guests[i].id, id) == 0)
            return &host->guests[i];
    }
    host->guests = xrealloc(host->guests, (size_t)(host->count + 1) * sizeof(*host->guests));
    struct fake_guest *guest = &host->guests[host->count++];
    memset(guest, 0, sizeof(*guest));
    snprintf(guest->id, sizeof(guest->id), "%s", id);
    return guest;
}

static void put_guest(struct fake_host *host, struct json_writer *w, const struct fake_guest *guest)
{
    json_open(w, NULL, '{');
    json_put_str(w, "id", guest->id);
    json_put_str(w, "epoch", host->epoch);
    json_put_i64(w, "generation", guest->generation);
    json_put_bool(w, "converged", true);
    json_put_str(w, "state", guest->absent ? "absent" : guest->running ? "running" : "stopped");
    json_put_i64(w, "run", guest->run);
    json_put_str(w, "cause", guest->running || guest->absent ? "none" : "forced");
    json_put_i64(w, "vcpus", guest->vcpus);
    json_put_i64(w, "memory_mib", guest->memory_mib);
    json_put_i64(w, "disk_gib", guest->disk_gib);
    json_put_i64(w, "disk_number", guest->disk_number);
    json_put_i64(w, "uid", guest->uid);
    json_close(w, '}');
}

static void put_evidence(struct fake_host *host, struct json_writer *w,
                         const struct fake_guest *guest)
{
    json_open(w, NULL, '{');
    json_put_str(w, "boot_id", boot_id);
    json_put_str(w, "incarnation", host->incarnation);
    json_put_i64(w, "sequence", ++host->evidence);
    json_put_str(w, "kind", guest->absent ? "gone" : guest->running ? "started" : "stopped");
    json_put_str(w, "instance", guest->id);
    json_put_i64(w, "run", guest->run);
    json_put_str(w, "cause", guest->running || guest->absent ? "none" : "forced");
    json_put_i64(w, "boottime_ms", clock_boottime_ms());
    json_put_i64(w, "wall_ms", clock_wall_ms());
    json_put_i64(w, "vcpus", guest->vcpus);
    json_put_i64(w, "memory_mib", guest->memory_mib);
    json_put_i64(w, "disk_gib", guest->disk_gib);
    json_close(w, '}');
}

static void put_head(struct fake_host *host, struct json_writer *w, bool full)
{
    json_put_i64(w, "protocol", 1);
    json_put_str(w, "version", MINICLOUD_VERSION);
    if (host->epoch[0])
        json_put_str(w, "epoch", host->epoch);
    json_put_i64(w, "revision", host->revision);
    json_put_str(w, "boot_id", boot_id);
    json_put_str(w, "incarnation", host->incarnation);
    json_put_i64(w, "sequence", ++host->report);
    json_put_i64(w, "boottime_ms", clock_boottime_ms());
    json_put_i64(w, "wall_ms", clock_wall_ms());
    json_put_bool(w, "full", full);
    put_capacity(w);
}

static void learn(struct fake_host *host, const struct answer *answer)
{
    const char *epoch = answer_str(answer, "epoch");
    if (epoch)
        snprintf(host->epoch, sizeof(host->epoch), "%s", epoch);
    if (answer_i64(answer, "revision") > host->revision)
        host->revision = answer_i64(answer, "revision");
}

/* `changed` guests, or all; evidence for the changed ones. */
static bool report(struct fake_host *host, const bool *changed, bool full)
{
    struct buf auto_buf text = {0};
    struct json_writer w = JSON_WRITER(&text);
    json_open(&w, NULL, '{');
    put_head(host, &w, full);
    json_open(&w, "instances", '[');
    for (int i = 0; i < host->count; i++) {
        if (full ? !host->guests[i].absent : changed[i])
            put_guest(host, &w, &host->guests[i]);
    }
    json_close(&w, ']');
    json_open(&w, "observations", '[');
    for (int i = 0; !full && i < host->count; i++) {
        if (changed[i])
            put_evidence(host, &w, &host->guests[i]);
    }
    json_close(&w, ']');
    json_close(&w, '}');
    struct answer auto_answer_json ack =
        cloud_call_as(host->cloud, host->token, NULL, "POST", "/v1/node/observed", text.data);
    if (ack.status != 200)
        return refused(host, "POST /v1/node/observed", &ack);
    learn(host, &ack);
    if (host->reported)
        host->reported(host, host->ctx);
    return true;
}

bool fake_host_report_all(struct fake_host *host)
{
    id_new(host->incarnation);
    host->report = host->evidence = host->after = 0;
    return report(host, NULL, true);
}

static int64_t number(const struct json *node, const char *name)
{
    int64_t value = 0;
    const struct json *member = json_get(node, name);
    return member && json_i64(member, &value) ? value : 0;
}

static void obey(struct fake_host *host, const struct json *desired)
{
    struct fake_guest *guest = fake_host_guest(host, json_str(json_get(desired, "id")));
    const char *power = json_str(json_get(desired, "power"));
    bool deleted = false;
    json_bool(json_get(desired, "deleted"), &deleted);
    guest->generation = number(desired, "generation");
    guest->absent = deleted;
    guest->running = !deleted && power && strcmp(power, "running") == 0;
    guest->run = number(desired, "run");
    guest->disk_number = number(desired, "disk_number");
    guest->vcpus = number(desired, "vcpus");
    guest->memory_mib = number(desired, "memory_mib");
    guest->disk_gib = number(desired, "disk_gib");
    guest->uid = number(desired, "uid");
}

bool fake_host_step(struct fake_host *host, int wait_ms)
{
    autofree char *path = xasprintf("/v1/node/desired?epoch=%s&after=%lld&wait=%dms", host->epoch,
                                    (long long)host->after, wait_ms);
    struct answer auto_answer_json page =
        cloud_call_as(host->cloud, host->token, NULL, "GET", path, NULL);
    if (page.status != 200)
        return refused(host, path, &page);
    learn(host, &page);
    host->after = answer_i64(&page, "revision");
    const struct json *first = json_first(answer_at(&page, "instances"));
    if (!first)
        return true;
    for (const struct json *at = first; at; at = json_next(at))
        obey(host, at);
    bool *changed = xcalloc((size_t)host->count, sizeof(bool));
    for (const struct json *at = first; at; at = json_next(at))
        changed[fake_host_guest(host, json_str(json_get(at, "id"))) - host->guests] = true;
    bool alive = report(host, changed, false);
    free(changed);
    return alive;
}

void fake_host_release(struct fake_host *host)
{
    free(host->token);
    free(host->guests);
    free(host->wrong);
    memset(host, 0, sizeof(*host));
}
