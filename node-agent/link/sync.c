/* Asks the controller what should be: joins once, then waits for news in long polls. */
#include "node-agent/link/sync.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/base/notify.h"
#include "api/http/http_client.h"
#include "api/json/json.h"
#include "node-agent/evidence/spool.h"
#include "node-agent/host/hypervisor.h"
#include "node-agent/instance/registry.h"
#include "node-agent/link/client.h"
#include "node-agent/link/images.h"
#include "node-agent/link/report.h"

enum { POLL_SLACK_MS = 15000 };
/* Doubled before it is waited for, half of that to one and a half: at least a second. */
enum { HASTY_MS = 1000 };

struct sync {
    struct agent *agent;
    pthread_t thread;
    struct http_client *client;
    bool complained;
    int hasty; /* pages in a row that came early and told nothing */
};

/* ---- joining ---- */

static void describe_self(struct agent *agent, struct buf *out)
{
    static char version[] = MINICLOUD_VERSION;
    pthread_mutex_lock(&agent->lock);
    struct node_join join = {.name = agent->settings.name,
                             .host_uuid = agent->info->uuid,
                             .boot_id = agent->boot_id,
                             .version = version,
                             .protocol = NODE_PROTOCOL,
                             .capacity = agent->capacity};
    struct json_writer w = JSON_WRITER(out);
    wire_encode(&node_join_wire, &join, &w, NULL);
    pthread_mutex_unlock(&agent->lock);
}

static int keep_token(struct agent *agent, const struct http_answer *answer, struct err *err)
{
    struct node_joined joined = {0};
    if (wire_parse(&node_joined_wire, answer->body.data, answer->body.len, WIRE_LENIENT, &joined,
                   err))
        return -1;
    int r = file_write("token", agent->settings.token_file, joined.token, strlen(joined.token),
                       0600, err);
    if (r == 0)
        log_info("node.joined", "id=%s name=%s controller=%s", joined.id,
                 joined.name ? joined.name : "", agent->settings.controller);
    wire_release(&node_joined_wire, &joined);
    return r;
}

static int join(struct agent *agent, struct err *err)
{
    auto_buf struct buf token = {0}, body = {0};
    auto_answer struct http_answer answer = {0};
    struct http_client *client = NULL;
    if (agent_token_read(agent->settings.join_token_file, &token, err))
        return err_context(err, "this node has not joined yet, and needs a join token");
    if (agent_token_place(agent, err))
        return -1;
    describe_self(agent, &body);
    struct http_call call = {.method = "POST",
                             .path = "/v1/nodes",
                             .body = body.data,
                             .body_len = body.len,
                             .cancel = &agent->cancel};
    if (agent_client(agent, token.data, &client, err))
        return -1;
    int r = http_client_call(client, &call, &answer, err);
    if (r == 0)
        r = http_answer_err(&answer, err);
    if (r == 0)
        r = keep_token(agent, &answer, err);
    http_client_free(client);
    return r;
}

/* The host must be known before it can introduce itself. */
static bool host_known(struct agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    bool known = agent->session > 0;
    pthread_mutex_unlock(&agent->lock);
    return known;
}

static bool get_token(struct sync *sync, struct buf *token)
{
    struct agent *agent = sync->agent;
    int64_t delay = 0;
    while (!agent->stopping) {
        auto_err struct err err = {0};
        buf_reset(token);
        if (agent_token(agent, token, &err) == 0)
            return true;
        if (err.code == ERR_NOT_FOUND && host_known(agent)) {
            err_clear(&err);
            if (join(agent, &err) == 0)
                continue;
        }
        if (host_known(agent))
            log_warn("node.join", "error=\"%s\"", err.msg);
        client_back_off(agent, &delay);
    }
    return false;
}

/* ---- news ---- */

static int ask(struct sync *sync, struct desired_page *page, struct err *err)
{
    struct agent *agent = sync->agent;
    auto_buf struct buf path = {0};
    auto_answer struct http_answer answer = {0};
    /* Only this thread changes them. */
    buf_puts(&path, "/v1/node/desired?epoch=");
    http_encode(&path, agent->epoch);
    buf_puts(&path, "&mark=");
    http_encode(&path, agent->mark);
    buf_printf(&path, "&after=%lld&wait=%llds", (long long)agent->revision,
               (long long)(agent->settings.poll_wait / 1000));
    struct http_call call = {.method = "GET",
                             .path = path.data,
                             .timeout_ms = (int)(agent->settings.poll_wait + POLL_SLACK_MS),
                             .cancel = &agent->cancel};
    if (http_client_call(sync->client, &call, &answer, err) || http_answer_err(&answer, err))
        return -1;
    if (answer.body.len == 0)
        return err_set(err, ERR_INVALID, "the controller's page of desired state is empty");
    return wire_parse(&desired_page_wire, answer.body.data, answer.body.len, WIRE_LENIENT, page,
                      err);
}

static void take_page(struct agent *agent, struct desired_page *page)
{
    const struct console_request *consoles = page->console.items;
    auto_err struct err err = {0};
    if (page->instances.count > 0 || page->full)
        log_info("sync.page", "revision=%lld full=%d instances=%zu", (long long)page->revision,
                 page->full, page->instances.count);
    registry_apply(agent, page);
    if (page->full)
        notify_supervisor("READY=1"); /* it knows all that it should do; repeats do no harm */
    /* At once, not with the next start: guests may run already. */
    if (page->networks.count > 0 && registry_nat(agent, &err))
        log_warn("network.rules", "error=\"%s\"", err.msg);
    spool_note(agent->spool, page->epoch, page->revision, page->mark);
    for (size_t i = 0; i < page->console.count; i++)
        report_console(agent, &consoles[i]);
    if (page->full)
        images_gone(agent, &page->images_gone);
}

/* Nothing of a controller that was restored from a copy may be obeyed, or be taken for the
 * newest that was seen: it must hear from a report how far it once was, and begin a new epoch. */
static bool from_the_past(struct agent *agent, const struct desired_page *page)
{
    if (strcmp(page->epoch, agent->epoch) != 0 || page->revision >= agent->revision)
        return false;
    log_warn("sync.past", "revision=%lld seen=%lld action=\"report first\"",
             (long long)page->revision, (long long)agent->revision);
    report_full(agent);
    return true;
}

static void complain(struct sync *sync, const struct err *err)
{
    if (sync->agent->stopping || sync->complained)
        return;
    sync->complained = true;
    log_warn("sync.failed", "controller=%s error=\"%s\" hint=\"guests go on; trying again\"",
             sync->agent->settings.controller, err->msg);
}

bool sync_hasty(const struct desired_page *page, int64_t took_ms, int64_t wait_ms)
{
    return !page->full && page->instances.count == 0 && page->console.count == 0 &&
           took_ms < wait_ms / 2;
}

/* After a page. One that tells nothing may come early now and then, but not all the time. */
static void after_page(struct sync *sync, bool hasty, int64_t *delay)
{
    enum { FREE = 2 };
    sync->hasty = hasty ? sync->hasty + 1 : 0;
    if (sync->hasty <= FREE) {
        *delay = 0;
        return;
    }
    *delay = *delay < HASTY_MS ? HASTY_MS : *delay;
    client_back_off(sync->agent, delay);
}

static void *sync_run(void *arg)
{
    struct sync *sync = arg;
    struct agent *agent = sync->agent;
    auto_buf struct buf token = {0};
    auto_err struct err err = {0};
    int64_t delay = 0;
    if (!get_token(sync, &token))
        return NULL;
    report_set_token(agent, token.data);
    if (agent_client(agent, token.data, &sync->client, &err)) {
        log_error("sync.client", "error=\"%s\"", err.msg);
        return NULL;
    }
    if (!report_wait_first(agent))
        return NULL;
    while (!agent->stopping) {
        struct desired_page page = {0};
        int64_t began = clock_boottime_ms();
        err_clear(&err);
        if (ask(sync, &page, &err) == 0) {
            bool hasty = sync_hasty(&page, clock_boottime_ms() - began, agent->settings.poll_wait);
            bool past = from_the_past(agent, &page);
            sync->complained = false;
            if (!past)
                take_page(agent, &page);
            wire_release(&desired_page_wire, &page);
            if (!past) {
                after_page(sync, hasty, &delay);
                continue;
            }
        } else {
            complain(sync, &err);
            if (err.code == ERR_CONFLICT) /* the same, seen by the mark: it must hear of it */
                report_full(agent);
        }
        client_back_off(agent, &delay);
    }
    return NULL;
}

int sync_start(struct agent *agent, struct err *err)
{
    struct sync *sync = agent->sync = xcalloc(1, sizeof *sync);
    sync->agent = agent;
    return agent_start_thread(&sync->thread, sync_run, sync, "sync", err);
}

void sync_stop(struct agent *agent)
{
    client_wake(agent);
    pthread_join(agent->sync->thread, NULL);
    http_client_free(agent->sync->client);
    free(agent->sync);
    agent->sync = NULL;
}
