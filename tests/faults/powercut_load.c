/* The recorded life: every kind of change, alone and many at once, a clean restart in the
 * middle, with marks of what was asked and what was promised. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/id.h"
#include "api/base/mem.h"
#include "tests/faults/fake_host.h"
#include "tests/faults/powercut.h"
#include "tests/faults/trace.h"
#include "tests/lib/cloud.h"
#include "tests/lib/guard.h"

enum { IMAGE_BYTES = 300 * 1024, BURST_THREADS = 4, BURST_EACH = 3 };

void powercut_env(const struct cloud *cloud, const char *root, const char *trace, char *env[4])
{
    env[0] = xasprintf("LD_PRELOAD=%s/cutshim.so", cloud->bin);
    env[1] = xasprintf(CUTSHIM_ROOT "=%s", root);
    env[2] = xasprintf(CUTSHIM_TRACE "=%s", trace);
    env[3] = NULL;
}

static void start(struct recording *rec)
{
    char *env[4];
    powercut_env(rec->cloud, rec->root, rec->trace, env);
    cloud_start_controller(rec->cloud, (const char *const *)env, NULL);
    for (int i = 0; i < 3; i++)
        free(env[i]);
}

/* ---- requests with their marks ---- */

static struct answer post(struct recording *rec, const char *key, const char *path,
                          const char *object, const char *state, const char *body)
{
    trace_mark(rec->trace, "sent %s %s", object, state);
    trace_mark(rec->trace, "post %s\n%s\n%s", key, path, body);
    struct answer answer = cloud_call_as(rec->cloud, rec->cloud->token, key, "POST", path, body);
    if (answer.status < 200 || answer.status > 299)
        cloud_fail("POST %s %s: %d %s", path, body, answer.status, answer.text);
    const char *secret = answer_str(&answer, "secret");
    trace_mark(rec->trace, "reply %s\n%d\n%s", key, secret ? 409 : answer.status,
               secret ? "" : answer.text);
    const char *id = answer_str(&answer, answer.status == 202 ? "instance.id" : "id");
    trace_mark(rec->trace, "ack %s %s %s %s", object, state, id, secret ? secret : "");
    return answer;
}

static struct answer change(struct recording *rec, const char *method, const char *path,
                            const char *object, const char *state, const char *body)
{
    trace_mark(rec->trace, "sent %s %s", object, state);
    struct answer answer = cloud_call_as(rec->cloud, rec->cloud->token, NULL, method, path, body);
    if (answer.status < 200 || answer.status > 299)
        cloud_fail("%s %s: %d %s", method, path, answer.status, answer.text);
    trace_mark(rec->trace, "ack %s %s", object, state);
    return answer;
}

static void await_operation(struct recording *rec, const struct answer *asked)
{
    const char *id = answer_str(asked, "operation.id");
    if (!id)
        cloud_fail("no operation in %s", asked->text);
    autofree char *path = xasprintf("/v1/operations/%s?wait=20s", id);
    struct answer auto_answer_json ended =
        cloud_call_as(rec->cloud, rec->cloud->token, NULL, "GET", path, NULL);
    const char *state = answer_str(&ended, "state");
    if (!state || strcmp(state, "done") != 0)
        cloud_fail("operation: %s", ended.text);
    trace_mark(rec->trace, "ack operation/%s done %s", id, id);
}

static void create(struct recording *rec, const char *name)
{
    autofree char *object = xasprintf("instance/%s", name);
    autofree char *key = xasprintf("create-%s", name);
    autofree char *body = xasprintf("{\"name\":\"%s\",\"image\":\"blank\",\"vcpus\":1,"
                                    "\"memory_mib\":128,\"disk_gib\":1,\"keys\":[\"mine\"],"
                                    "\"user_data\":\"hello\"}",
                                    name);
    struct answer auto_answer_json made = post(rec, key, "/v1/instances", object, "running", body);
    await_operation(rec, &made);
}

static void act(struct recording *rec, const char *name, const char *verb, const char *state)
{
    autofree char *object = xasprintf("instance/%s", name);
    autofree char *path = xasprintf("/v1/instances/%s/%s", name, verb);
    autofree char *key = xasprintf("%s-%s", verb, name);
    struct answer auto_answer_json asked = post(rec, key, path, object, state, "{}");
    await_operation(rec, &asked);
}

static void delete (struct recording *rec, const char *kind, const char *name)
{
    autofree char *object = xasprintf("%s/%s", kind, name);
    autofree char *path = xasprintf("/v1/%ss/%s", kind, name);
    struct answer auto_answer_json asked = change(rec, "DELETE", path, object, "none", NULL);
    if (strcmp(kind, "instance") == 0)
        await_operation(rec, &asked);
}

static void add_key(struct recording *rec, const char *name)
{
    /* The body of an ed25519 key: its own length and name, then 32 bytes. */
    autofree char *object = xasprintf("key/%s", name);
    autofree char *key = xasprintf("key-%s", name);
    autofree char *body =
        xasprintf("{\"name\":\"%s\",\"public_key\":\"ssh-ed25519 "
                  "AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g %s\"}",
                  name, name);
    struct answer made = post(rec, key, "/v1/keys", object, "present", body);
    answer_release(&made);
}

/* Owned by the caller: the token's id. */
static char *add_token(struct recording *rec, const char *name)
{
    autofree char *object = xasprintf("token/%s", name);
    autofree char *key = xasprintf("token-%s", name);
    autofree char *body = xasprintf("{\"name\":\"%s\",\"role\":\"member\"}", name);
    struct answer auto_answer_json made = post(rec, key, "/v1/tokens", object, "present", body);
    return xstrdup(answer_str(&made, "id"));
}

static void add_image(struct recording *rec, const char *name)
{
    autofree char *object = xasprintf("image/%s", name);
    autofree char *key = xasprintf("image-%s", name);
    autofree char *body = xasprintf("{\"name\":\"%s\",\"format\":\"raw\"}", name);
    autofree char *path = xasprintf("/v1/images/%s/content", name);
    autofree char *file = xasprintf("%s.%s", rec->trace, name);
    autofree char *bytes = xmalloc(IMAGE_BYTES);
    struct err auto_err err = {0};
    random_bytes(bytes, IMAGE_BYTES);
    if (file_write("test", file, bytes, IMAGE_BYTES, 0600, &err) < 0)
        cloud_fail("%s", err.msg);
    struct answer auto_answer_json made = post(rec, key, "/v1/images", object, "made", body);
    uint8_t hash[SHA256_BYTES];
    char text[SHA256_TEXT_MAX];
    sha256(bytes, IMAGE_BYTES, hash);
    sha256_text(hash, text);
    trace_mark(rec->trace, "sent %s ready", object);
    struct answer auto_answer_json sent = cloud_upload(rec->cloud, path, file);
    if (sent.status < 200 || sent.status > 299)
        cloud_fail("upload: %d %s", sent.status, sent.text);
    trace_mark(rec->trace, "ack %s ready %s %s", object, answer_str(&made, "id"), text);
}

/* ---- the host beside it ---- */

struct host_thread {
    struct recording *rec;
    struct fake_host host;
    pthread_t thread;
    atomic_bool stop;
};

static void mark_reported(struct fake_host *host, void *ctx)
{
    struct recording *rec = ctx;
    trace_mark(rec->trace, "seen %s %lld", host->epoch, (long long)host->revision);
    for (int i = 0; i < host->count; i++) {
        const struct fake_guest *guest = &host->guests[i];
        trace_mark(rec->trace, "guest %s %lld %lld %d %d %lld %lld", guest->id,
                   (long long)guest->generation, (long long)guest->run, guest->running,
                   guest->absent, (long long)guest->disk_number, (long long)guest->uid);
    }
}

static void *host_main(void *ctx)
{
    struct host_thread *at = ctx;
    bool well = fake_host_report_all(&at->host);
    while (well && !at->stop)
        well = fake_host_step(&at->host, 300);
    if (!well)
        cloud_fail("the host: %s", at->host.wrong);
    return NULL;
}

static void host_start(struct host_thread *at)
{
    at->stop = false;
    if (pthread_create(&at->thread, NULL, host_main, at) != 0)
        abort();
}

static void host_stop(struct host_thread *at)
{
    at->stop = true;
    pthread_join(at->thread, NULL);
}

/* ---- the life ---- */

struct burst {
    struct recording *rec;
    int number;
};

static void *burst_main(void *ctx)
{
    const struct burst *burst = ctx;
    for (int i = 0; i < BURST_EACH; i++) {
        autofree char *name = xasprintf("burst%d-%d", burst->number, i);
        add_key(burst->rec, name);
        create(burst->rec, name);
        if (i == 0)
            delete (burst->rec, "instance", name);
    }
    return NULL;
}

/* Many at once, so that one COMMIT carries several promises. */
static void run_burst(struct recording *rec)
{
    pthread_t threads[BURST_THREADS];
    struct burst bursts[BURST_THREADS];
    for (int i = 0; i < BURST_THREADS; i++) {
        bursts[i] = (struct burst){rec, i};
        if (pthread_create(&threads[i], NULL, burst_main, &bursts[i]) != 0)
            abort();
    }
    for (int i = 0; i < BURST_THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void first_half(struct recording *rec)
{
    add_key(rec, "mine");
    add_image(rec, "blank");
    free(add_token(rec, "kept"));
    autofree char *dropped = add_token(rec, "dropped");
    create(rec, "web1");
    create(rec, "web2");
    act(rec, "web1", "stop", "stopped");
    act(rec, "web1", "start", "running");
    autofree char *path = xasprintf("/v1/tokens/%s", dropped);
    struct answer gone = change(rec, "DELETE", path, "token/dropped", "none", NULL);
    answer_release(&gone);
    gone = change(rec, "PATCH", "/v1/instances/web1", "label/web1", "blue",
                  "{\"labels\":{\"is\":\"blue\"}}");
    answer_release(&gone);
    delete (rec, "instance", "web2");
    run_burst(rec);
}

static void second_half(struct recording *rec)
{
    add_image(rec, "other");
    create(rec, "web3");
    delete (rec, "image", "other");
    act(rec, "web3", "stop", "stopped");
    delete (rec, "key", "burst0-1");
    delete (rec, "instance", "burst1-1");
}

/* The writer moves the WAL into the database when nothing came for a while. */
static void await_checkpoint(struct recording *rec)
{
    autofree char *path = xasprintf("%s/data/minicloud.db", rec->cloud->dir);
    autoclose int fd = inotify_init1(IN_CLOEXEC);
    struct pollfd moved = {.fd = fd, .events = POLLIN};
    if (inotify_add_watch(fd, path, IN_MODIFY) < 0 || poll(&moved, 1, 10000) != 1)
        cloud_fail("no checkpoint of %s in 10 s without requests", path);
}

static void mark_first_start(struct recording *rec)
{
    autofree char *path = xasprintf("%s/data/join.token", rec->cloud->dir);
    struct buf auto_buf join = {0};
    struct err auto_err err = {0};
    if (file_read(path, 4096, &join, &err) < 0)
        cloud_fail("%s", err.msg);
    join.data[strcspn(join.data, "\r\n")] = '\0';
    trace_mark(rec->trace, "ack token/admin present - %s", rec->cloud->token);
    trace_mark(rec->trace, "ack join/first present - %s", join.data);
}

struct recording powercut_record(void)
{
    struct recording rec = {.cloud = cloud_new("cut")};
    autofree char *folder = guard_tempdir("trace");
    rec.root = xstrdup(rec.cloud->dir);
    rec.trace = xasprintf("%s/trace", folder);
    start(&rec);
    mark_first_start(&rec);
    struct host_thread at = {.rec = &rec,
                             .host = {.cloud = rec.cloud, .reported = mark_reported, .ctx = &rec}};
    if (!fake_host_join(&at.host))
        cloud_fail("%s", at.host.wrong);
    trace_mark(rec.trace, "host %s", at.host.token);
    host_start(&at);
    first_half(&rec);
    host_stop(&at);
    await_checkpoint(&rec);
    host_start(&at);
    delete (&rec, "key", "burst0-0");
    host_stop(&at);
    proc_stop(&rec.cloud->controller, 20000);
    start(&rec);
    host_start(&at);
    second_half(&rec);
    host_stop(&at);
    proc_kill(&rec.cloud->controller);
    fake_host_release(&at.host);
    return rec;
}

void recording_release(struct recording *recording)
{
    cloud_free(recording->cloud);
    free(recording->root);
    free(recording->trace);
}
