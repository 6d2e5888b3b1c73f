/* What the link's threads share on their way to the controller. */
#include "node-agent/link/client.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/id.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "node-agent/world.h"

enum { BACKOFF_MS = 100, BACKOFF_MOST_MS = 5000, TOKEN_MAX = 4096, STACK_BYTES = 512 * 1024 };

struct client {
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

void client_new(struct agent *agent)
{
    struct client *client = agent->client = xcalloc(1, sizeof *client);
    pthread_condattr_t attributes;
    pthread_mutex_init(&client->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&client->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void client_free(struct agent *agent)
{
    free(agent->client);
    agent->client = NULL;
}

void client_back_off(struct agent *agent, int64_t *delay_ms)
{
    struct client *client = agent->client;
    struct timespec until;
    uint16_t dice;
    int64_t delay = *delay_ms ? *delay_ms * 2 : BACKOFF_MS;
    *delay_ms = delay = delay > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : delay;
    random_bytes(&dice, sizeof dice);
    /* Half to one and a half, so that a thousand hosts do not come back in step. */
    delay = delay / 2 + delay * dice / UINT16_MAX;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += delay / 1000;
    until.tv_nsec += delay % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&client->lock);
    while (!agent->stopping && pthread_cond_timedwait(&client->changed, &client->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&client->lock);
}

void client_wake(struct agent *agent)
{
    pthread_mutex_lock(&agent->client->lock);
    pthread_cond_broadcast(&agent->client->changed);
    pthread_mutex_unlock(&agent->client->lock);
}

/* ---- token and client ---- */

int agent_client(struct agent *agent, const char *token, struct http_client **ret, struct err *err)
{
    struct http_client_settings settings = {.url = agent->settings.controller,
                                            .token = token,
                                            .user_agent = "cloud-node-agent/" MINICLOUD_VERSION};
    return http_client_new(&settings, ret, err);
}

int agent_token_read(const char *path, struct buf *out, struct err *err)
{
    if (file_read(path, TOKEN_MAX, out, err))
        return -1;
    if (out->len > 0)
        out->data[strcspn(out->data, " \t\r\n")] = '\0';
    if (out->len == 0 || !out->data[0])
        return err_set(err, ERR_INVALID, "%s is empty", path);
    return 0;
}

int agent_token(struct agent *agent, struct buf *out, struct err *err)
{
    return agent_token_read(agent->settings.token_file, out, err);
}

/* Each join takes the last token away: a node that could not keep its new one would join
 * for ever. So it is tried out first, with a file beside it. */
int agent_token_place(struct agent *agent, struct err *err)
{
    autofree char *probe = xasprintf("%s.probe", agent->settings.token_file);
    if (file_write("token_probe", probe, "", 0, 0600, err) ||
        file_unlink("token_probe", probe, err))
        return err_context(err, "this node's token could not be kept");
    return 0;
}

/* ---- threads ---- */

int agent_start_thread(pthread_t *ret, void *(*run)(void *), void *arg, const char *name,
                       struct err *err)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int r = pthread_create(ret, &attributes, run, arg);
    pthread_attr_destroy(&attributes);
    if (r != 0)
        return err_set(err, ERR_INTERNAL, "no thread for %s: %s", name, strerror(r));
    pthread_setname_np(*ret, name);
    return 0;
}
