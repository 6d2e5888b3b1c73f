/* Tells the controller what is: what changed at once, everything now and then, evidence
 * until it is acknowledged, and that we live. A thread of its own, woken by changes. */
#include "node-agent/link/report.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "api/json/json.h"
#include "node-agent/evidence/exits.h"
#include "node-agent/evidence/spool.h"
#include "node-agent/host/health.h"
#include "node-agent/instance/console.h"
#include "node-agent/instance/evidence.h"
#include "node-agent/instance/registry.h"
#include "node-agent/link/client.h"

enum { COALESCE_MS = 4, CONSOLE_QUEUE = 32, CONSOLES_A_TURN = 2, POST_MS = 30000 };

struct report {
    struct agent *agent;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool roused, full, first_taken;
    char *token;
    struct http_client *client;
    char incarnation[ID_TEXT_MAX];
    int64_t sequence, posted_at;
    struct console_request console[CONSOLE_QUEUE];
    size_t console_count;
    bool refused; /* our token is not known: said once */
};

/* ---- what goes into a report ---- */

struct gathering {
    bool full;
    int64_t upto;
    struct node_capacity capacity;
    struct health health;
    struct observed *items;
    size_t count, room;
};

static void gather(void *ctx, struct instance *instance)
{
    struct gathering *g = ctx;
    if (!instance->seen || (!g->full && instance->reported >= instance->changed))
        return;
    if (g->count == g->room) {
        g->room = g->room ? g->room * 2 : 16;
        g->items = xrealloc(g->items, g->room * sizeof *g->items);
    }
    g->items[g->count++] = instance->observed;
}

static char *or_null(char *text)
{
    return text[0] ? text : NULL;
}

static struct observed_instance *wire_instances(struct gathering *g)
{
    struct observed_instance *out = xcalloc(g->count + 1, sizeof *out);
    for (size_t i = 0; i < g->count; i++) {
        struct observed *o = &g->items[i];
        out[i] = (struct observed_instance){.id = o->id,
                                            .epoch = or_null(o->epoch),
                                            .generation = o->generation,
                                            .converged = o->converged,
                                            .state = o->state,
                                            .reason = or_null(o->reason),
                                            .final = o->final,
                                            .run = o->run,
                                            .cause = o->cause,
                                            .vcpus = o->vcpus,
                                            .memory_mib = o->memory_mib,
                                            .disk_gib = o->disk_gib,
                                            .disk_number = o->disk_number,
                                            .uid = o->uid,
                                            .address = or_null(o->address),
                                            .name = or_null(o->name),
                                            .quarantined = o->quarantined};
    }
    return out;
}

static size_t wire_conditions(struct health *health, struct node_condition out[HEALTH_CODES])
{
    static char names[HEALTH_CODES][LIMIT_CONDITION_CODE + 1];
    size_t count = 0;
    for (int code = 0; code < HEALTH_CODES; code++) {
        if (!health->text[code][0])
            continue;
        text_copy(names[code], sizeof names[code], health_names[code]);
        out[count++] = (struct node_condition){names[code], health->text[code]};
    }
    return count;
}

/* The epoch and revision of this process, or what its forerunner had noted. */
static void seen_revision(struct agent *agent, char epoch[EPOCH_MAX], int64_t *ret_revision,
                          char mark[NODE_MARK_MAX + 1])
{
    pthread_mutex_lock(&agent->lock);
    text_copy(epoch, EPOCH_MAX, agent->epoch);
    *ret_revision = agent->revision;
    text_copy(mark, NODE_MARK_MAX + 1, agent->mark);
    pthread_mutex_unlock(&agent->lock);
    if (!epoch[0])
        spool_noted(agent->spool, epoch, ret_revision, mark);
}

/* Evidence that goes along, and the clocks of before it was gathered: what happened up to then
 * is in it, or `more` is true. */
struct batch {
    int64_t boottime_ms, wall_ms;
    struct observation *items;
    size_t count;
    bool more;
};

static void encode(struct report *report, struct gathering *g, const struct batch *batch,
                   struct buf *out)
{
    static char version[] = MINICLOUD_VERSION;
    struct agent *agent = report->agent;
    char epoch[EPOCH_MAX], mark[NODE_MARK_MAX + 1];
    struct node_condition conditions[HEALTH_CODES];
    size_t condition_count = wire_conditions(&g->health, conditions);
    autofree struct observed_instance *instances = wire_instances(g);
    struct node_report r = {.protocol = NODE_PROTOCOL,
                            .version = version,
                            .boot_id = agent->boot_id,
                            .boot_order = spool_boot_order(agent->spool, agent->boot_id),
                            .incarnation = report->incarnation,
                            .sequence = ++report->sequence,
                            .boottime_ms = batch->boottime_ms,
                            .wall_ms = batch->wall_ms,
                            .full = g->full,
                            .capacity = g->capacity,
                            .conditions = {conditions, condition_count},
                            .instances = {instances, g->count},
                            .observations = {batch->items, batch->count},
                            .more = batch->more};
    seen_revision(agent, epoch, &r.revision, mark);
    r.epoch = or_null(epoch);
    r.mark = or_null(mark);
    struct json_writer w = JSON_WRITER(out);
    wire_encode(&node_report_wire, &r, &w, NULL);
}

/* ---- sending ---- */

static void note_reported(void *ctx, struct instance *instance)
{
    const struct gathering *g = ctx;
    if (instance->changed <= g->upto)
        instance->reported = instance->changed;
}

static void taken(struct report *report, struct gathering *g, const struct http_answer *answer)
{
    struct agent *agent = report->agent;
    struct node_report_ack ack = {0};
    auto_err struct err err = {0};
    pthread_mutex_lock(&agent->lock);
    registry_each(agent, note_reported, g);
    registry_tidy(agent);
    pthread_mutex_unlock(&agent->lock);
    if (wire_parse(&node_report_ack_wire, answer->body.data, answer->body.len, WIRE_LENIENT, &ack,
                   &err)) {
        log_warn("report.bad_answer", "error=\"%s\"", err.msg);
        return;
    }
    spool_acknowledge(agent->spool, ack.spool, ack.acknowledged);
    spool_boot_settled(agent->spool, agent->boot_id, ack.boot_order);
    wire_release(&node_report_ack_wire, &ack);
}

static int post(struct report *report, const struct buf *body, struct http_answer *answer,
                struct err *err)
{
    struct agent *agent = report->agent;
    struct http_call call = {.method = "POST",
                             .path = "/v1/node/observed",
                             .body = body->data,
                             .body_len = body->len,
                             .timeout_ms = POST_MS,
                             .cancel = &agent->cancel};
    if (!report->client && agent_client(agent, report->token, &report->client, err))
        return -1;
    if (http_client_call(report->client, &call, answer, err))
        return -1;
    return http_answer_err(answer, err);
}

static int send_report(struct report *report, bool full, struct err *err)
{
    struct agent *agent = report->agent;
    auto_buf struct buf body = {0};
    auto_answer struct http_answer answer = {0};
    struct gathering g = {.full = full};
    struct batch batch = {.boottime_ms = clock_boottime_ms(), .wall_ms = clock_wall_ms()};
    evidence_line(agent);
    exits_look(agent->exits);
    if (spool_sync(agent->spool, err))
        return -1;
    batch.items = spool_batch(agent->spool, &batch.count, &batch.more);
    pthread_mutex_lock(&agent->lock);
    g.upto = agent->changes;
    g.capacity = agent->capacity;
    g.health = *agent->health;
    registry_each(agent, gather, &g);
    pthread_mutex_unlock(&agent->lock);
    encode(report, &g, &batch, &body);
    spool_batch_free(batch.items, batch.count);
    int r = post(report, &body, &answer, err);
    if (r == 0)
        taken(report, &g, &answer);
    free(g.items);
    return r;
}

static void complain(struct report *report, const struct err *err)
{
    if (err->code == ERR_UNAUTHENTICATED && !report->refused)
        log_error("report.token_refused",
                  "controller=%s token_file=%s hint=\"the controller does not know this node's "
                  "token; guests are left as they are. Remove the file to join anew\"",
                  report->agent->settings.controller, report->agent->settings.token_file);
    else if (err->code != ERR_UNAUTHENTICATED)
        log_warn("report.failed", "error=\"%s\"", err->msg);
    report->refused = err->code == ERR_UNAUTHENTICATED;
}

/* ---- consoles ---- */

static void answer_console(struct report *report, const struct console_request *request)
{
    struct agent *agent = report->agent;
    auto_buf struct buf path = {0}, tail = {0};
    auto_err struct err err = {0};
    auto_answer struct http_answer answer = {0};
    buf_puts(&path, "/v1/node/console/");
    http_encode(&path, request->id);
    if (console_tail(agent->settings.console_dir, request->instance, request->bytes, &tail, &err))
        log_warn("console.unreadable", "id=%s error=\"%s\"", request->instance, err.msg);
    err_clear(&err);
    struct http_call call = {.method = "POST",
                             .path = path.data,
                             .body = tail.data ? tail.data : "",
                             .body_len = tail.len,
                             .timeout_ms = POST_MS,
                             .cancel = &agent->cancel};
    if (!report->client && agent_client(agent, report->token, &report->client, &err))
        return;
    if (http_client_call(report->client, &call, &answer, &err) || http_answer_err(&answer, &err))
        log_debug("console.not_taken", "request=%s error=\"%s\"", request->id, err.msg);
}

static bool next_console(struct report *report, struct console_request *ret)
{
    bool any;
    pthread_mutex_lock(&report->lock);
    any = report->console_count > 0;
    if (any) {
        *ret = report->console[0];
        report->console_count--;
        memmove(report->console, report->console + 1,
                report->console_count * sizeof *report->console);
    }
    pthread_mutex_unlock(&report->lock);
    return any;
}

/* A few each turn: consoles must not hold up what the controller waits to hear. */
static void answer_consoles(struct report *report)
{
    struct console_request request;
    for (int i = 0; i < CONSOLES_A_TURN; i++) {
        if (report->agent->stopping || !next_console(report, &request))
            return;
        answer_console(report, &request);
        free(request.id);
        free(request.instance);
    }
}

/* ---- the thread ---- */

/* What there is to do, once something is or the heartbeat is due. Before the host was
 * listed or the node has joined, nothing is. */
static bool wait_for_news(struct report *report, bool *ret_full)
{
    struct agent *agent = report->agent;
    struct timespec until;
    int64_t due = report->posted_at + agent->settings.heartbeat;
    pthread_mutex_lock(&report->lock);
    while (!agent->stopping) {
        bool may = report->token && (report->first_taken || report->full);
        int64_t left = due - clock_boottime_ms();
        if (may && (report->roused || report->full || report->console_count > 0 || left <= 0))
            break;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += may ? left / 1000 + 1 : 3600;
        pthread_cond_timedwait(&report->changed, &report->lock, &until);
    }
    report->roused = false;
    *ret_full = report->full;
    report->full = false;
    pthread_mutex_unlock(&report->lock);
    return !agent->stopping;
}

static void after_success(struct report *report, bool full)
{
    report->posted_at = clock_boottime_ms();
    report->refused = false;
    pthread_mutex_lock(&report->lock);
    report->first_taken = report->first_taken || full;
    /* More evidence than fits into one report. */
    report->roused = report->roused || spool_pending(report->agent->spool);
    pthread_cond_broadcast(&report->changed);
    pthread_mutex_unlock(&report->lock);
}

static void *report_run(void *arg)
{
    struct report *report = arg;
    int64_t delay = 0;
    bool full;
    while (wait_for_news(report, &full)) {
        auto_err struct err err = {0};
        /* Under load let a few changes come together; the first goes out at once. */
        if (clock_boottime_ms() - report->posted_at < COALESCE_MS)
            usleep(COALESCE_MS * 1000);
        if (send_report(report, full, &err) == 0) {
            delay = 0;
            after_success(report, full);
            answer_consoles(report);
            continue;
        }
        if (!report->agent->stopping)
            complain(report, &err);
        pthread_mutex_lock(&report->lock);
        report->full = report->full || full;
        report->roused = true;
        pthread_mutex_unlock(&report->lock);
        client_back_off(report->agent, &delay);
    }
    return NULL;
}

int report_start(struct agent *agent, struct err *err)
{
    struct report *report = agent->report;
    return agent_start_thread(&report->thread, report_run, report, "report", err);
}

void report_new(struct agent *agent)
{
    struct report *report = agent->report = xcalloc(1, sizeof *report);
    pthread_condattr_t attributes;
    report->agent = agent;
    agent->report_wake = report_wake;
    id_new(report->incarnation);
    pthread_mutex_init(&report->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&report->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void report_stop(struct agent *agent)
{
    struct report *report = agent->report;
    struct console_request request;
    report_wake(agent);
    pthread_join(report->thread, NULL);
    while (next_console(report, &request)) {
        free(request.id);
        free(request.instance);
    }
    http_client_free(report->client);
    free(report->token);
    free(report);
    agent->report = NULL;
}

void report_wake(struct agent *agent)
{
    pthread_mutex_lock(&agent->report->lock);
    agent->report->roused = true;
    pthread_cond_broadcast(&agent->report->changed);
    pthread_mutex_unlock(&agent->report->lock);
}

void report_full(struct agent *agent)
{
    pthread_mutex_lock(&agent->report->lock);
    agent->report->full = true;
    pthread_cond_broadcast(&agent->report->changed);
    pthread_mutex_unlock(&agent->report->lock);
}

void report_set_token(struct agent *agent, const char *token)
{
    pthread_mutex_lock(&agent->report->lock);
    agent->report->token = xstrdup(token);
    pthread_cond_broadcast(&agent->report->changed);
    pthread_mutex_unlock(&agent->report->lock);
}

void report_console(struct agent *agent, const struct console_request *request)
{
    struct report *report = agent->report;
    pthread_mutex_lock(&report->lock);
    if (request->id && request->instance && report->console_count < CONSOLE_QUEUE) {
        report->console[report->console_count++] =
            (struct console_request){.id = xstrdup(request->id),
                                     .instance = xstrdup(request->instance),
                                     .bytes = request->bytes};
        pthread_cond_broadcast(&report->changed);
    }
    pthread_mutex_unlock(&report->lock);
}

bool report_wait_first(struct agent *agent)
{
    struct report *report = agent->report;
    pthread_mutex_lock(&report->lock);
    while (!report->first_taken && !agent->stopping)
        pthread_cond_wait(&report->changed, &report->lock);
    pthread_mutex_unlock(&report->lock);
    return !agent->stopping;
}
