/* Reads the marks; powercut.h says what they look like. */
#include "tests/faults/promises.h"

#include "api/base/mem.h"
#include "tests/faults/fake_host.h"
#include "tests/faults/replay.h"
#include "tests/lib/cloud.h"

static struct promise *find(struct promises *promises, const char *object)
{
    const char *slash = strchr(object, '/');
    size_t kind_len = (size_t)(slash - object);
    for (size_t i = 0; i < promises->count; i++) {
        struct promise *at = &promises->items[i];
        if (strncmp(at->kind, object, kind_len) == 0 && !at->kind[kind_len] &&
            strcmp(at->name, slash + 1) == 0)
            return at;
    }
    size_t size = (promises->count + 1) * sizeof(*promises->items);
    promises->items = xrealloc(promises->items, size);
    struct promise *new = &promises->items[promises->count++];
    *new = (struct promise){.kind = xstrndup(object, kind_len), .name = xstrdup(slash + 1)};
    return new;
}

const struct promise *promises_find(const struct promises *promises, const char *kind,
                                    const char *name)
{
    for (size_t i = 0; i < promises->count; i++) {
        const struct promise *at = &promises->items[i];
        if (strcmp(at->kind, kind) == 0 && strcmp(at->name, name) == 0)
            return at;
    }
    return NULL;
}

bool promise_allows(const struct promise *promise, const char *state)
{
    if (strcmp(promise->acked ? promise->acked : "none", state) == 0)
        return true;
    for (int i = 0; i < promise->maybe_count; i++) {
        if (strcmp(promise->maybe[i], state) == 0)
            return true;
    }
    return false;
}

static void forget_maybe(struct promise *promise)
{
    while (promise->maybe_count > 0)
        free(promise->maybe[--promise->maybe_count]);
}

static void read_sent(struct promises *promises, char *rest)
{
    struct promise *promise = find(promises, strsep(&rest, " "));
    if (promise->maybe_count == PROMISE_MAYBE)
        cloud_fail("too many requests for %s without an answer", promise->name);
    promise->maybe[promise->maybe_count++] = xstrdup(strsep(&rest, " "));
}

static void replace(char **text, const char *by)
{
    if (!by || !*by)
        return;
    free(*text);
    *text = xstrdup(by);
}

static void read_ack(struct promises *promises, char *rest)
{
    struct promise *promise = find(promises, strsep(&rest, " "));
    replace(&promise->acked, strsep(&rest, " "));
    forget_maybe(promise);
    if (!promise->id)
        replace(&promise->id, strsep(&rest, " "));
    else
        strsep(&rest, " ");
    replace(&promise->detail, rest);
}

static void read_post(struct promises *promises, char *rest)
{
    size_t size = (promises->post_count + 1) * sizeof(*promises->posts);
    promises->posts = xrealloc(promises->posts, size);
    struct posted *post = &promises->posts[promises->post_count++];
    *post = (struct posted){0};
    post->key = xstrdup(strsep(&rest, "\n"));
    post->path = xstrdup(strsep(&rest, "\n"));
    post->body = xstrdup(rest);
}

static void read_reply(struct promises *promises, char *rest)
{
    const char *key = strsep(&rest, "\n");
    for (size_t i = 0; i < promises->post_count; i++) {
        if (strcmp(promises->posts[i].key, key) != 0)
            continue;
        promises->posts[i].status = (int)strtol(strsep(&rest, "\n"), NULL, 10);
        promises->posts[i].reply = xstrdup(rest);
        return;
    }
}

static void read_seen(struct promises *promises, char *rest)
{
    snprintf(promises->epoch, sizeof(promises->epoch), "%s", strsep(&rest, " "));
    int64_t revision = strtoll(rest, NULL, 10);
    if (revision > promises->revision)
        promises->revision = revision;
}

struct promises promises_read(const struct replay *replay, size_t end)
{
    struct promises promises = {0};
    for (size_t i = 0; i < end; i++) {
        const struct replay_op *op = replay_at(replay, i);
        if (op->head.kind != TRACE_MARK)
            continue;
        autofree char *copy = xstrdup(op->data);
        char *rest = copy;
        const char *word = strsep(&rest, " ");
        if (strcmp(word, "sent") == 0)
            read_sent(&promises, rest);
        else if (strcmp(word, "ack") == 0)
            read_ack(&promises, rest);
        else if (strcmp(word, "post") == 0)
            read_post(&promises, rest);
        else if (strcmp(word, "reply") == 0)
            read_reply(&promises, rest);
        else if (strcmp(word, "seen") == 0)
            read_seen(&promises, rest);
        else if (strcmp(word, "host") == 0)
            replace(&promises.host_token, rest);
    }
    return promises;
}

void promises_release(struct promises *promises)
{
    for (size_t i = 0; i < promises->count; i++) {
        struct promise *at = &promises->items[i];
        forget_maybe(at);
        free(at->kind);
        free(at->name);
        free(at->acked);
        free(at->id);
        free(at->detail);
    }
    for (size_t i = 0; i < promises->post_count; i++) {
        free(promises->posts[i].key);
        free(promises->posts[i].path);
        free(promises->posts[i].body);
        free(promises->posts[i].reply);
    }
    free(promises->items);
    free(promises->posts);
    free(promises->host_token);
    memset(promises, 0, sizeof(*promises));
}

void promises_fill_host(const struct replay *replay, size_t end, struct fake_host *host)
{
    for (size_t i = 0; i < end; i++) {
        const struct replay_op *op = replay_at(replay, i);
        char id[40];
        long long generation, run, disk, uid;
        int running, absent;
        if (op->head.kind != TRACE_MARK ||
            sscanf(op->data, "guest %39s %lld %lld %d %d %lld %lld", id, &generation, &run,
                   &running, &absent, &disk, &uid) != 7)
            continue;
        struct fake_guest *guest = fake_host_guest(host, id);
        guest->generation = generation;
        guest->run = run;
        guest->running = running;
        guest->absent = absent;
        guest->disk_number = disk;
        guest->uid = uid;
        guest->vcpus = guest->disk_gib = 1;
        guest->memory_mib = 128;
    }
}
