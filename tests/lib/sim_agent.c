/* The simulated agent's life, and how it hears what is desired; sim_report.c has the rest. */
#include "tests/lib/sim_internal.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "api/json/json.h"

enum { RETRY_MS = 100 };

/* ---- calls ---- */

static int open_client(const struct sim_agent *agent, const char *token,
                       struct http_client **ret_client, struct err *err)
{
    struct http_client_settings settings = {
        .url = agent->url, .token = token, .user_agent = "sim-agent"};
    return http_client_new(&settings, ret_client, err);
}

int64_t sim_now_ms(const struct sim_agent *agent)
{
    return clock_boottime_ms() + agent->passed_ms;
}

int sim_post(struct http_client *client, const char *path, const struct buf *body,
             struct http_answer *answer, struct err *err)
{
    struct http_call call = {
        .method = "POST", .path = path, .body = body->data, .body_len = body->len};
    return http_client_call(client, &call, answer, err);
}

static int join(struct sim_agent *agent, struct err *err)
{
    struct buf auto_buf body = {0};
    struct http_answer auto_answer answer = {0};
    struct json_writer w = JSON_WRITER(&body);
    struct http_client *client = NULL;
    struct node_joined joined = {0};
    struct node_join join = {.name = agent->name,
                             .host_uuid = agent->name,
                             .boot_id = agent->host.boot_id,
                             .version = agent->name,
                             .protocol = NODE_PROTOCOL,
                             .capacity = agent->capacity};
    wire_encode(&node_join_wire, &join, &w, NULL);
    int rc = open_client(agent, agent->join_token, &client, err);
    if (rc == 0)
        rc = sim_post(client, "/v1/nodes", &body, &answer, err);
    if (rc == 0)
        rc = http_answer_err(&answer, err);
    if (rc == 0)
        rc = wire_parse(&node_joined_wire, answer.body.data, answer.body.len, WIRE_LENIENT, &joined,
                        err);
    http_client_free(client);
    if (rc != 0)
        return -1;
    agent->token = xstrdup(joined.token);
    snprintf(agent->node_id, sizeof(agent->node_id), "%s", joined.id);
    wire_release(&node_joined_wire, &joined);
    return 0;
}

/* ---- pages ---- */

static void answer_console(struct sim_agent *agent, const struct desired_page *page)
{
    const struct console_request *items = page->console.items;
    for (size_t i = 0; i < page->console.count; i++) {
        struct err auto_err err = {0};
        struct http_answer auto_answer answer = {0};
        struct buf auto_buf body = {0};
        autofree char *path = xasprintf("/v1/node/console/%s", items[i].id);
        buf_printf(&body, "console of %s\n", items[i].instance);
        pthread_mutex_lock(&agent->talk);
        sim_post(agent->teller, path, &body, &answer, &err);
        pthread_mutex_unlock(&agent->talk);
    }
}

/* The controller was restored from a copy, and must hear so. */
static void report_first(struct sim_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    agent->needs_full = true;
    pthread_mutex_unlock(&agent->lock);
}

static int ask(struct sim_agent *agent, int64_t wait_ms, struct err *err)
{
    struct http_answer auto_answer answer = {0};
    struct desired_page page = {0};
    pthread_mutex_lock(&agent->lock);
    autofree char *path =
        *agent->host.epoch
            ? xasprintf("/v1/node/desired?epoch=%s&after=%" PRId64 "&mark=%s&wait=%" PRId64 "ms",
                        agent->host.epoch, agent->host.revision, agent->host.mark, wait_ms)
            : xstrdup("/v1/node/desired");
    pthread_mutex_unlock(&agent->lock);
    struct http_call call = {
        .method = "GET", .path = path, .timeout_ms = (int)wait_ms + 10000, .cancel = &agent->stop};
    if (http_client_call(agent->asker, &call, &answer, err) != 0 ||
        http_answer_err(&answer, err) != 0 ||
        wire_parse(&desired_page_wire, answer.body.data, answer.body.len, WIRE_LENIENT, &page,
                   err) != 0) {
        if (err->code == ERR_CONFLICT)
            report_first(agent);
        return -1;
    }
    pthread_mutex_lock(&agent->lock);
    agent->pages++;
    sim_host_desired(&agent->host, &page, sim_now_ms(agent));
    pthread_mutex_unlock(&agent->lock);
    answer_console(agent, &page);
    wire_release(&desired_page_wire, &page);
    return 0;
}

int sim_round(struct sim_agent *agent, bool full, int64_t wait_ms, struct err *err)
{
    pthread_mutex_lock(&agent->lock);
    int64_t now = sim_now_ms(agent);
    int64_t next = sim_host_step(&agent->host, now);
    bool due = now - agent->reported_ms >= agent->heartbeat_ms;
    bool news = full || agent->needs_full || sim_host_news(&agent->host) || due;
    int64_t beat = agent->reported_ms + agent->heartbeat_ms;
    int64_t passed = agent->passed_ms;
    pthread_mutex_unlock(&agent->lock);
    if (news && sim_tell(agent, full, err) != 0)
        return -1;
    next = next < beat ? next : beat;
    int64_t left = next - passed - clock_boottime_ms();
    wait_ms = left < wait_ms ? left : wait_ms;
    return ask(agent, news || wait_ms < 0 ? 0 : wait_ms, err);
}

static bool stops(const struct sim_agent *agent)
{
    return __atomic_load_n(&agent->stop, __ATOMIC_RELAXED);
}

/* Until there is something to say and someone to say it to. */
static void wait_while_silent(struct sim_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    while (agent->silent && !stops(agent))
        pthread_cond_wait(&agent->changed, &agent->lock);
    pthread_mutex_unlock(&agent->lock);
}

static void pause_before_retry(struct sim_agent *agent)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += RETRY_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&agent->lock);
    if (!stops(agent))
        pthread_cond_timedwait(&agent->changed, &agent->lock, &until);
    pthread_mutex_unlock(&agent->lock);
}

static void *sim_main(void *ctx)
{
    struct sim_agent *agent = ctx;
    for (;;) {
        struct err auto_err err = {0};
        wait_while_silent(agent);
        if (stops(agent))
            return NULL;
        if (sim_round(agent, false, agent->heartbeat_ms, &err) != 0)
            pause_before_retry(agent);
    }
}

/* ---- life ---- */

static int start(struct sim_agent *agent, const struct sim_settings *settings, struct err *err)
{
    if (!agent->token && join(agent, err) != 0)
        return -1;
    if (open_client(agent, agent->token, &agent->asker, err) != 0 ||
        open_client(agent, agent->token, &agent->teller, err) != 0)
        return -1;
    if (settings->passive)
        return 0;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 * 1024); /* a fleet of them in one process */
    agent->has_thread = pthread_create(&agent->thread, &attr, sim_main, agent) == 0;
    pthread_attr_destroy(&attr);
    return agent->has_thread ? 0 : err_errno(err, "cannot start a simulated agent");
}

int sim_new(const struct sim_settings *settings, struct sim_agent **ret_agent, struct err *err)
{
    struct sim_agent *agent = xcalloc(1, sizeof(*agent));
    agent->url = xstrdup(settings->url);
    agent->join_token = xstrdup(settings->join_token);
    agent->name = xstrdup(settings->name);
    agent->token = xstrdup(settings->token);
    agent->capacity = settings->capacity;
    if (!agent->capacity.cpus)
        agent->capacity = (struct node_capacity){
            .cpus = 64, .memory_mib = 256 * 1024, .disk_gib = 10 * 1024, .virt = VIRT_QEMU};
    agent->heartbeat_ms = settings->heartbeat_ms ? settings->heartbeat_ms : 10000;
    agent->needs_full = true;
    id_new(agent->incarnation);
    pthread_mutex_init(&agent->talk, NULL);
    pthread_mutex_init(&agent->lock, NULL);
    pthread_cond_init(&agent->changed, NULL);
    sim_host_init(&agent->host, &settings->delays);
    if (settings->boot_id)
        snprintf(agent->host.boot_id, sizeof(agent->host.boot_id), "%s", settings->boot_id);
    if (start(agent, settings, err) != 0) {
        sim_free(agent);
        return -1;
    }
    *ret_agent = agent;
    return 0;
}

void sim_free(struct sim_agent *agent)
{
    if (!agent)
        return;
    pthread_mutex_lock(&agent->lock);
    __atomic_store_n(&agent->stop, true, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&agent->changed);
    pthread_mutex_unlock(&agent->lock);
    if (agent->has_thread)
        pthread_join(agent->thread, NULL);
    http_client_free(agent->asker);
    http_client_free(agent->teller);
    for (size_t i = 0; i < REPORTS_KEPT; i++)
        free(agent->sent[i]);
    sim_host_release(&agent->host);
    pthread_mutex_destroy(&agent->talk);
    pthread_mutex_destroy(&agent->lock);
    pthread_cond_destroy(&agent->changed);
    free(agent->url);
    free(agent->join_token);
    free(agent->name);
    free(agent->token);
    free(agent);
}

const char *sim_token(const struct sim_agent *agent)
{
    return agent->token;
}

const char *sim_node_id(const struct sim_agent *agent)
{
    return agent->node_id;
}

const char *sim_boot_id(const struct sim_agent *agent)
{
    return agent->host.boot_id;
}

/* ---- happenings ---- */

static void tell_now(struct sim_agent *agent)
{
    struct err auto_err err = {0};
    if (agent->has_thread)
        sim_tell(agent, false, &err);
}

void sim_silence(struct sim_agent *agent, bool silent)
{
    pthread_mutex_lock(&agent->lock);
    agent->silent = silent;
    pthread_cond_broadcast(&agent->changed);
    pthread_mutex_unlock(&agent->lock);
}

void sim_pass(struct sim_agent *agent, int64_t ms)
{
    pthread_mutex_lock(&agent->lock);
    agent->passed_ms += ms;
    pthread_mutex_unlock(&agent->lock);
}

static bool end_guest(struct sim_agent *agent, const char *id, enum stop_cause cause)
{
    pthread_mutex_lock(&agent->lock);
    bool ended = sim_host_end_guest(&agent->host, id, cause);
    pthread_mutex_unlock(&agent->lock);
    if (ended)
        tell_now(agent);
    return ended;
}

bool sim_guest_shutdown(struct sim_agent *agent, const char *id)
{
    return end_guest(agent, id, CAUSE_GUEST);
}

bool sim_guest_crash(struct sim_agent *agent, const char *id)
{
    return end_guest(agent, id, CAUSE_CRASHED);
}

void sim_guest_stubborn(struct sim_agent *agent, const char *id)
{
    pthread_mutex_lock(&agent->lock);
    struct sim_guest *guest = sim_host_find(&agent->host, id);
    if (guest)
        guest->stubborn = true;
    pthread_mutex_unlock(&agent->lock);
}

void sim_fail_next(struct sim_agent *agent, const char *reason, bool final)
{
    pthread_mutex_lock(&agent->lock);
    snprintf(agent->host.fail_reason, sizeof(agent->host.fail_reason), "%s", reason);
    agent->host.fail_final = final;
    pthread_mutex_unlock(&agent->lock);
}

/* With the lock held. */
static void begin_anew(struct sim_agent *agent)
{
    id_new(agent->incarnation);
    agent->sequence = agent->host.heard = 0;
    agent->needs_full = true;
    agent->host.epoch[0] = '\0';
    agent->host.revision = 0;
    agent->host.mark[0] = '\0';
    sim_host_forget_desired(&agent->host);
}

void sim_restart(struct sim_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    begin_anew(agent);
    pthread_mutex_unlock(&agent->lock);
    tell_now(agent);
}

void sim_reboot(struct sim_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    sim_host_boot(&agent->host);
    begin_anew(agent);
    pthread_mutex_unlock(&agent->lock);
    tell_now(agent);
}

void sim_forget_boots(struct sim_agent *agent, int64_t boot_order)
{
    pthread_mutex_lock(&agent->lock);
    agent->host.boot_order = boot_order - 1;
    pthread_mutex_unlock(&agent->lock);
}

void sim_foreign(struct sim_agent *agent, const char *id, int64_t vcpus, int64_t memory_mib,
                 int64_t uid, const char *address)
{
    pthread_mutex_lock(&agent->lock);
    struct sim_guest *guest = sim_host_add(&agent->host, id);
    guest->exists = guest->foreign = guest->changed = true;
    guest->state = STATE_RUNNING;
    guest->vcpus = vcpus;
    guest->memory_mib = memory_mib;
    guest->uid = uid;
    snprintf(guest->name, sizeof(guest->name), "stranger");
    snprintf(guest->address, sizeof(guest->address), "%s", address ? address : "");
    pthread_mutex_unlock(&agent->lock);
    tell_now(agent);
}

void sim_lose(struct sim_agent *agent, const char *id)
{
    pthread_mutex_lock(&agent->lock);
    struct sim_guest *guest = sim_host_find(&agent->host, id);
    if (guest) {
        guest->exists = false;
        guest->changed = true;
        guest->state = STATE_ABSENT;
        guest->generation = guest->run = guest->disk_number = 0;
        guest->epoch[0] = '\0';
    }
    pthread_mutex_unlock(&agent->lock);
    tell_now(agent);
}

void sim_blind(struct sim_agent *agent, bool blind)
{
    pthread_mutex_lock(&agent->lock);
    agent->host.blind = blind;
    pthread_mutex_unlock(&agent->lock);
}

void sim_claim(struct sim_agent *agent, const char *epoch, int64_t revision)
{
    pthread_mutex_lock(&agent->lock);
    snprintf(agent->claim_epoch, sizeof(agent->claim_epoch), "%s", epoch ? epoch : "");
    agent->claim_revision = revision;
    pthread_mutex_unlock(&agent->lock);
}

void sim_say(struct sim_agent *agent, const char *id, const struct observation *what)
{
    pthread_mutex_lock(&agent->lock);
    sim_host_say(&agent->host, id, what);
    pthread_mutex_unlock(&agent->lock);
}

bool sim_guest(struct sim_agent *agent, const char *id, struct sim_guest *ret_guest)
{
    pthread_mutex_lock(&agent->lock);
    const struct sim_guest *guest = sim_host_find(&agent->host, id);
    if (guest) {
        *ret_guest = *guest;
        ret_guest->desired = NULL;
    }
    pthread_mutex_unlock(&agent->lock);
    return guest != NULL;
}

void sim_count(struct sim_agent *agent, struct sim_count *ret_count)
{
    pthread_mutex_lock(&agent->lock);
    const struct sim_host *host = &agent->host;
    *ret_count = (struct sim_count){.guests = (int64_t)host->count,
                                    .starts = host->starts,
                                    .double_starts = host->double_starts,
                                    .reports = agent->reports,
                                    .pages = agent->pages};
    for (size_t i = 0; i < host->count; i++)
        ret_count->running += host->guests[i].state == STATE_RUNNING;
    pthread_mutex_unlock(&agent->lock);
}
