/* Requests of a test to its cloud, and waiting on what they bring about. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "tests/lib/cloud.h"

static struct answer take_answer(struct http_answer *from)
{
    struct answer answer = {.status = from->status};
    struct err auto_err err = {0};
    answer.etag = take(from->etag);
    answer.text = buf_take(&from->body);
    if (json_parse(answer.text, strlen(answer.text), &answer.json, &err) < 0)
        answer.json = NULL;
    http_answer_release(from);
    return answer;
}

static struct answer send_call(struct cloud *cloud, struct http_client *client,
                               const struct http_call *call)
{
    struct http_answer got = {0};
    struct err auto_err err = {0};
    if (!client || http_client_call(client, call, &got, &err) < 0) {
        struct answer none = {.status = 0, .text = xstrdup(err.msg)};
        return none;
    }
    (void)cloud;
    return take_answer(&got);
}

struct answer cloud_call_as(struct cloud *cloud, const char *token, const char *key,
                            const char *method, const char *path, const char *body)
{
    struct http_call call = {.method = method,
                             .path = path,
                             .body = body,
                             .body_len = body ? strlen(body) : 0,
                             .idempotency_key = key,
                             .timeout_ms = 90000};
    if (!token)
        return send_call(cloud, cloud->client, &call);
    struct http_client *client = NULL;
    struct err auto_err err = {0};
    struct http_client_settings settings = {
        .url = cloud->url, .token = token, .user_agent = "minicloud-tests"};
    if (http_client_new(&settings, &client, &err) < 0)
        cloud_fail("no client: %s", err.msg);
    struct answer answer = send_call(cloud, client, &call);
    http_client_free(client);
    return answer;
}

struct answer cloud_call(struct cloud *cloud, const char *method, const char *path,
                         const char *body, ...)
{
    autofree char *text = NULL;
    if (body) {
        va_list args;
        va_start(args, body);
        text = xvasprintf(body, args);
        va_end(args);
    }
    return cloud_call_as(cloud, NULL, NULL, method, path, text);
}

struct answer cloud_upload(struct cloud *cloud, const char *path, const char *file)
{
    autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        cloud_fail("cannot read %s", file);
    struct http_call call = {.method = "PUT",
                             .path = path,
                             .upload = true,
                             .upload_fd = fd,
                             .upload_size = st.st_size,
                             .timeout_ms = -1};
    return send_call(cloud, cloud->client, &call);
}

void answer_release(struct answer *answer)
{
    json_free(answer->json);
    free(answer->text);
    free(answer->etag);
    memset(answer, 0, sizeof(*answer));
}

struct json *answer_at(const struct answer *answer, const char *path)
{
    autofree char *copy = xstrdup(path);
    struct json *node = answer->json;
    for (char *rest = copy, *part; node && (part = strsep(&rest, "."));) {
        if (json_type(node) == JSON_ARRAY) {
            long index = strtol(part, NULL, 10);
            for (node = json_first(node); node && index > 0; index--)
                node = json_next(node);
        } else {
            node = json_get(node, part);
        }
    }
    return node;
}

const char *answer_str(const struct answer *answer, const char *path)
{
    return json_str(answer_at(answer, path));
}

int64_t answer_i64(const struct answer *answer, const char *path)
{
    int64_t value = -1;
    const struct json *node = answer_at(answer, path);
    return node && json_i64(node, &value) ? value : -1;
}

struct answer cloud_operation(struct cloud *cloud, const char *id, int timeout_ms)
{
    autofree char *path = xasprintf("/v1/operations/%s?wait=30s", id);
    int64_t deadline = clock_boottime_ms() + timeout_ms;
    for (;;) {
        struct answer answer = cloud_call(cloud, "GET", path, NULL);
        const char *state = answer_str(&answer, "state");
        if (answer.status != 200 || !state || strcmp(state, "running") != 0 ||
            clock_boottime_ms() > deadline)
            return answer;
        answer_release(&answer);
    }
}

void cloud_done(struct cloud *cloud, const char *method, const char *path, const char *body, ...)
{
    autofree char *text = NULL;
    if (body) {
        va_list args;
        va_start(args, body);
        text = xvasprintf(body, args);
        va_end(args);
    }
    struct answer auto_answer_json first = cloud_call_as(cloud, NULL, NULL, method, path, text);
    const char *id = answer_str(&first, "operation.id");
    if (first.status != 202 || !id)
        cloud_fail("%s %s gave %d: %s", method, path, first.status, first.text);
    struct answer auto_answer_json last = cloud_operation(cloud, id, 180000);
    const char *state = answer_str(&last, "state");
    if (!state || strcmp(state, "done") != 0)
        cloud_fail("%s %s did not end done: %s", method, path, last.text);
}

/* A member as text, whatever its type. */
static bool member_is(const struct answer *answer, const char *path, const char *value)
{
    const struct json *node = answer_at(answer, path);
    if (!node)
        return false;
    if (json_str(node))
        return strcmp(json_str(node), value) == 0;
    struct buf auto_buf text = {0};
    json_print(node, false, &text);
    return strcmp(text.data, value) == 0;
}

int64_t cloud_await(struct cloud *cloud, const char *resource, const char *path, const char *value,
                    int timeout_ms)
{
    int64_t start = clock_boottime_ms();
    for (;;) {
        /* The revision first: a change between the two requests ends the wait at once. */
        struct answer auto_answer_json log = cloud_call(cloud, "GET", "/v1/healthz", NULL);
        struct answer auto_answer_json now = cloud_call(cloud, "GET", resource, NULL);
        if (now.status == 200 && member_is(&now, path, value))
            return clock_boottime_ms() - start;
        if (clock_boottime_ms() - start > timeout_ms)
            cloud_fail("%s: %s is not %s after %d ms: %s", resource, path, value, timeout_ms,
                       now.text);
        autofree char *wait = xasprintf("/v1/events?after=%lld&wait=2s&limit=1",
                                        (long long)answer_i64(&log, "revision"));
        struct answer auto_answer_json moved = cloud_call(cloud, "GET", wait, NULL);
        if (moved.status == 0)
            cloud_fail("the controller is gone: %s", moved.text);
    }
}

void cloud_add_image(struct cloud *cloud, const char *name, const char *file, const char *format)
{
    struct answer auto_answer_json made = cloud_call(
        cloud, "POST", "/v1/images", "{\"name\":\"%s\",\"format\":\"%s\"}", name, format);
    if (made.status != 201)
        cloud_fail("image %s: %d %s", name, made.status, made.text);
    autofree char *path = xasprintf("/v1/images/%s/content", name);
    struct answer auto_answer_json sent = cloud_upload(cloud, path, file);
    if (sent.status != 200 && sent.status != 201 && sent.status != 204)
        cloud_fail("upload of %s: %d %s", file, sent.status, sent.text);
}
