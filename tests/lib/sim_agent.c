/* The simulated agent's talk with the controller. */
#include "tests/lib/sim_agent.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/buf.h"
#include "api/clock.h"
#include "api/err.h"
#include "api/http_client.h"
#include "api/json.h"
#include "api/mem.h"

enum { REPORTS_KEPT = 8, PAUSE_MS = 100 };

struct sim_agent {
    char *url, *join_token, *name, *token;
    char node_id[ID_TEXT_MAX];
    struct node_capacity capacity;
    int64_t heartbeat_ms;
    pthread_t thread;
    bool has_thread;
    volatile bool stop;
    atomic_bool silent;
    struct http_client *asker; /* the loop's own: long polls */

    pthread_mutex_t talk; /* one report at a time; taken before `lock` */
    struct http_client *teller;
    char *sent[REPORTS_KEPT]; /* texts of the last reports, newest first */

    pthread_mutex_t lock; /* everything below */
    struct sim_host host;
    char incarnation[ID_TEXT_MAX];
    int64_t sequence;
    bool needs_full;
    int64_t reported_ms;
    char claim_epoch[ID_TEXT_MAX];
    int64_t claim_revision;
    int64_t reports, pages;
};

/* ---- calls ---- */

static int open_client(const struct sim_agent *agent, const char *token,
                       struct http_client **ret_client, struct err *err)
{
    struct http_client_settings settings = {
        .url = agent->url, .token = token, .user_agent = "sim-agent"};
    return http_client_new(&settings, ret_client, err);
}

static int post(struct http_client *client, const char *path, const struct buf *body,
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
        rc = post(client, "/v1/nodes", &body, &answer, err);
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

/* ---- reports ---- */

static struct observed_instance observed_of(struct sim_guest *guest)
{
    return (struct observed_instance){
        .id = guest->id,
        .epoch = guest->exists && *guest->epoch ? guest->epoch : NULL,
        .generation = guest->generation,
        .converged = guest->desired && (guest->converged || guest->desired->adopt),
        .state = guest->exists || guest->failed ? guest->state : STATE_ABSENT,
        .reason = *guest->reason ? guest->reason : NULL,
        .final = guest->failed && guest->final,
        .run = guest->run,
        .cause = guest->cause,
        .vcpus = guest->vcpus,
        .memory_mib = guest->memory_mib,
        .disk_gib = guest->disk_gib,
        .disk_number = guest->disk_number,
        .uid = guest->uid,
        .address = *guest->address ? guest->address : NULL,
        .name = *guest->name ? guest->name : NULL,
        .quarantined = guest->foreign,
    };
}

/* libvirt is away: nothing is found, and that proves nothing. */
static struct observed_instance unseen(struct sim_guest *guest)
{
    return (struct observed_instance){.id = guest->id,
                                      .generation = guest->desired ? guest->desired->generation : 0,
                                      .state = STATE_ABSENT};
}

/* What was never told of and is not there yet is no news. */
static bool worth_telling(const struct sim_guest *guest, bool full)
{
    bool known = guest->exists || guest->gone || guest->failed || guest->told ||
                 (guest->desired && guest->desired->adopt);
    return known && (full || guest->changed);
}

/* With the lock held. */
static int64_t render(struct sim_agent *agent, bool full, struct buf *out)
{
    struct sim_host *host = &agent->host;
    autofree struct observed_instance *items = xcalloc(host->count + 1, sizeof(*items));
    size_t count = 0;
    agent->sequence++;
    for (size_t i = 0; i < host->count; i++) {
        struct sim_guest *guest = &host->guests[i];
        if (!worth_telling(guest, full))
            continue;
        items[count++] = host->blind ? unseen(guest) : observed_of(guest);
        guest->changed = false;
        guest->told = agent->sequence;
    }
    char *epoch = *agent->claim_epoch ? agent->claim_epoch : host->epoch;
    struct node_report report = {
        .protocol = NODE_PROTOCOL,
        .version = agent->name,
        .epoch = *epoch ? epoch : NULL,
        .revision = agent->claim_revision ? agent->claim_revision : host->revision,
        .mark = *host->mark && !agent->claim_revision ? host->mark : NULL,
        .boot_id = host->boot_id,
        .incarnation = agent->incarnation,
        .sequence = agent->sequence,
        .boottime_ms = clock_boottime_ms(),
        .wall_ms = clock_wall_ms(),
        .full = full,
        .capacity = agent->capacity,
        .instances = {.items = items, .count = count},
        .observations = {.items = host->observations, .count = host->observation_count},
    };
    struct json_writer w = JSON_WRITER(out);
    wire_encode(&node_report_wire, &report, &w, NULL);
    return agent->sequence;
}

static void acknowledge(struct sim_host *host, const struct node_report_ack *ack)
{
    size_t kept = 0;
    bool same = ack->spool && strcmp(ack->spool, host->spool) == 0;
    for (size_t i = 0; i < host->observation_count; i++) {
        if (same && host->observations[i].sequence <= ack->acknowledged)
            free(host->observations[i].instance);
        else
            host->observations[kept++] = host->observations[i];
    }
    host->observation_count = kept;
}

static void keep_sent(struct sim_agent *agent, const struct buf *body)
{
    free(agent->sent[REPORTS_KEPT - 1]);
    memmove(agent->sent + 1, agent->sent, (REPORTS_KEPT - 1) * sizeof(agent->sent[0]));
    agent->sent[0] = xstrdup(body->data);
}

/* With `talk` held. A report that did not arrive is followed by a full one. */
static int send_report(struct sim_agent *agent, int64_t sequence, const struct buf *body,
                       struct err *err)
{
    struct http_answer auto_answer answer = {0};
    struct node_report_ack ack = {0};
    keep_sent(agent, body);
    int rc = post(agent->teller, "/v1/node/observed", body, &answer, err);
    if (rc == 0)
        rc = http_answer_err(&answer, err);
    if (rc == 0)
        rc = wire_parse(&node_report_ack_wire, answer.body.data, answer.body.len, WIRE_LENIENT,
                        &ack, err);
    pthread_mutex_lock(&agent->lock);
    agent->reports++;
    agent->needs_full = rc != 0;
    agent->reported_ms = clock_boottime_ms();
    if (rc == 0) {
        agent->host.heard = sequence;
        acknowledge(&agent->host, &ack);
    }
    pthread_mutex_unlock(&agent->lock);
    if (rc == 0)
        wire_release(&node_report_ack_wire, &ack);
    return rc;
}

static int tell(struct sim_agent *agent, bool full, struct err *err)
{
    struct buf auto_buf body = {0};
    if (agent->silent)
        return 0;
    pthread_mutex_lock(&agent->talk);
    pthread_mutex_lock(&agent->lock);
    int64_t sequence = render(agent, full || agent->needs_full, &body);
    pthread_mutex_unlock(&agent->lock);
    int rc = send_report(agent, sequence, &body, err);
    pthread_mutex_unlock(&agent->talk);
    return rc;
}

int sim_replay(struct sim_agent *agent, unsigned back)
{
    struct err auto_err err = {0};
    struct http_answer auto_answer answer = {0};
    pthread_mutex_lock(&agent->talk);
    const char *text = back < REPORTS_KEPT ? agent->sent[back] : NULL;
    int status = -1;
    if (text) {
        struct http_call call = {
            .method = "POST", .path = "/v1/node/observed", .body = text, .body_len = strlen(text)};
        if (http_client_call(agent->teller, &call, &answer, &err) == 0)
            status = answer.status;
    }
    pthread_mutex_unlock(&agent->talk);
    return status;
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
        post(agent->teller, path, &body, &answer, &err);
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
    sim_host_desired(&agent->host, &page, clock_boottime_ms());
    pthread_mutex_unlock(&agent->lock);
    answer_console(agent, &page);
    wire_release(&desired_page_wire, &page);
    return 0;
}

int sim_round(struct sim_agent *agent, bool full, int64_t wait_ms, struct err *err)
{
    pthread_mutex_lock(&agent->lock);
    int64_t now = clock_boottime_ms();
    int64_t next = sim_host_step(&agent->host, now);
    bool due = now - agent->reported_ms >= agent->heartbeat_ms;
    bool news = full || agent->needs_full || sim_host_news(&agent->host) || due;
    int64_t beat = agent->reported_ms + agent->heartbeat_ms;
    pthread_mutex_unlock(&agent->lock);
    if (news && tell(agent, full, err) != 0)
        return -1;
    next = next < beat ? next : beat;
    int64_t left = next - clock_boottime_ms();
    wait_ms = left < wait_ms ? left : wait_ms;
    return ask(agent, news || wait_ms < 0 ? 0 : wait_ms, err);
}

static void pause_ms(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void *sim_main(void *ctx)
{
    struct sim_agent *agent = ctx;
    while (!__atomic_load_n(&agent->stop, __ATOMIC_RELAXED)) {
        struct err auto_err err = {0};
        if (agent->silent || sim_round(agent, false, agent->heartbeat_ms, &err) != 0)
            pause_ms(PAUSE_MS);
    }
    return NULL;
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
    __atomic_store_n(&agent->stop, true, __ATOMIC_RELAXED);
    if (agent->has_thread)
        pthread_join(agent->thread, NULL);
    http_client_free(agent->asker);
    http_client_free(agent->teller);
    for (size_t i = 0; i < REPORTS_KEPT; i++)
        free(agent->sent[i]);
    sim_host_release(&agent->host);
    pthread_mutex_destroy(&agent->talk);
    pthread_mutex_destroy(&agent->lock);
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
        tell(agent, false, &err);
}

void sim_silence(struct sim_agent *agent, bool silent)
{
    agent->silent = silent;
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
