/* What the simulated agent tells the controller, and what it does with the answers. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "api/json/json.h"
#include "tests/lib/sim_internal.h"

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
        .boot_order = host->boot_order,
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
    int rc = sim_post(agent->teller, "/v1/node/observed", body, &answer, err);
    if (rc == 0)
        rc = http_answer_err(&answer, err);
    if (rc == 0)
        rc = wire_parse(&node_report_ack_wire, answer.body.data, answer.body.len, WIRE_LENIENT,
                        &ack, err);
    pthread_mutex_lock(&agent->lock);
    agent->reports++;
    agent->needs_full = rc != 0;
    agent->reported_ms = sim_now_ms(agent);
    if (rc == 0) {
        agent->host.heard = sequence;
        acknowledge(&agent->host, &ack);
    }
    pthread_mutex_unlock(&agent->lock);
    if (rc == 0)
        wire_release(&node_report_ack_wire, &ack);
    return rc;
}

int sim_tell(struct sim_agent *agent, bool full, struct err *err)
{
    struct buf auto_buf body = {0};
    pthread_mutex_lock(&agent->talk);
    pthread_mutex_lock(&agent->lock);
    bool silent = agent->silent;
    int64_t sequence = silent ? 0 : render(agent, full || agent->needs_full, &body);
    pthread_mutex_unlock(&agent->lock);
    int rc = silent ? 0 : send_report(agent, sequence, &body, err);
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
