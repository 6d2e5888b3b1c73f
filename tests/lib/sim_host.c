/* The modelled host. */
#include "tests/lib/sim_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/mem.h"

void sim_host_init(struct sim_host *host, const struct sim_delays *delays)
{
    *host = (struct sim_host){.delays = *delays};
    host->boot_order = clock_wall_ms();
    id_new(host->boot_id);
    id_new(host->spool);
}

static void drop_desired(struct sim_guest *guest)
{
    if (!guest->desired)
        return;
    wire_release(&desired_instance_wire, guest->desired);
    free(guest->desired);
    guest->desired = NULL;
}

void sim_host_forget_desired(struct sim_host *host)
{
    for (size_t i = 0; i < host->count; i++) {
        drop_desired(&host->guests[i]);
        host->guests[i].converged = false;
        host->guests[i].due_ms = 0;
    }
}

void sim_host_release(struct sim_host *host)
{
    sim_host_forget_desired(host);
    free(host->guests);
    for (size_t i = 0; i < host->observation_count; i++)
        free(host->observations[i].instance);
    free(host->observations);
}

struct sim_guest *sim_host_find(struct sim_host *host, const char *id)
{
    for (size_t i = 0; i < host->count; i++) {
        if (strcmp(host->guests[i].id, id) == 0)
            return &host->guests[i];
    }
    return NULL;
}

struct sim_guest *sim_host_add(struct sim_host *host, const char *id)
{
    if (host->count == host->cap) {
        host->cap = host->cap ? 2 * host->cap : 8;
        host->guests = xrealloc(host->guests, host->cap * sizeof(*host->guests));
    }
    struct sim_guest *guest = &host->guests[host->count++];
    *guest = (struct sim_guest){.state = STATE_ABSENT};
    snprintf(guest->id, sizeof(guest->id), "%s", id);
    return guest;
}

static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

/* ---- evidence ---- */

void sim_host_say(struct sim_host *host, const char *id, const struct observation *what)
{
    if (host->observation_count == host->observation_cap) {
        host->observation_cap = host->observation_cap ? 2 * host->observation_cap : 16;
        host->observations =
            xrealloc(host->observations, host->observation_cap * sizeof(*host->observations));
    }
    struct observation *o = &host->observations[host->observation_count++];
    *o = *what;
    o->boot_id = host->boot_id;
    o->boot_order = host->boot_order;
    o->incarnation = host->spool;
    o->sequence = ++host->spool_sequence;
    o->instance = xstrdup(id);
    o->boottime_ms = what->boottime_ms ? what->boottime_ms : clock_boottime_ms();
    o->wall_ms = what->wall_ms ? what->wall_ms : clock_wall_ms();
}

static void observe(struct sim_host *host, const struct sim_guest *guest, int kind, int cause)
{
    struct observation what = {.kind = kind,
                               .run = guest->run,
                               .cause = cause,
                               .vcpus = guest->vcpus,
                               .memory_mib = guest->memory_mib,
                               .disk_gib = guest->disk_gib};
    sim_host_say(host, guest->id, &what);
}

/* ---- steps ---- */

static void set_state(struct sim_guest *guest, int state, int cause)
{
    guest->state = state;
    guest->cause = cause;
    guest->changed = true;
}

static void end_run(struct sim_host *host, struct sim_guest *guest, int cause)
{
    set_state(guest, cause == CAUSE_CRASHED ? STATE_CRASHED : STATE_STOPPED, cause);
    observe(host, guest, OBS_STOPPED, cause);
}

static bool wants_start(const struct sim_guest *guest)
{
    return guest->desired->power == POWER_RUNNING && guest->run < guest->desired->run;
}

/* How long what is to be done takes; 0: nothing is to be done. */
static int64_t work_ms(const struct sim_host *host, const struct sim_guest *guest)
{
    const struct desired_instance *d = guest->desired;
    bool running = guest->state == STATE_RUNNING;
    if (d->deleted)
        return host->delays.delete_ms + 1;
    int64_t ms = 0;
    if (!guest->exists || guest->disk_number != d->disk_number)
        ms += host->delays.create_ms + 1;
    bool ends = running && (d->power == POWER_STOPPED || wants_start(guest));
    if (ends)
        ms += (guest->stubborn && !d->force ? d->stop_timeout_ms : host->delays.stop_ms) + 1;
    if (wants_start(guest))
        ms += host->delays.start_ms + 1;
    if (guest->generation != d->generation || strcmp(guest->epoch, host->epoch) != 0)
        ms += 1;
    return ms;
}

static void remove_guest(struct sim_host *host, struct sim_guest *guest)
{
    if (guest->state == STATE_RUNNING)
        end_run(host, guest, CAUSE_FORCED);
    if (guest->exists)
        observe(host, guest, OBS_GONE, CAUSE_NONE);
    guest->exists = false;
    guest->gone = true;
    guest->generation = guest->desired->generation;
    guest->converged = true;
    set_state(guest, STATE_ABSENT, CAUSE_NONE);
}

static void start_run(struct sim_host *host, struct sim_guest *guest)
{
    if (*host->fail_reason) {
        copy(guest->reason, sizeof(guest->reason), host->fail_reason);
        guest->failed = true;
        guest->final = host->fail_final;
        host->fail_reason[0] = '\0';
        set_state(guest, STATE_ERROR, CAUSE_NONE);
        return;
    }
    host->double_starts += guest->run >= guest->desired->run;
    host->starts++;
    guest->run = guest->desired->run;
    set_state(guest, STATE_RUNNING, CAUSE_NONE);
    observe(host, guest, OBS_STARTED, CAUSE_NONE);
}

static void make(struct sim_host *host, struct sim_guest *guest)
{
    const struct desired_instance *d = guest->desired;
    const struct desired_interface *interfaces = d->interfaces.items;
    bool running = guest->state == STATE_RUNNING;
    bool forced = d->force || guest->stubborn;
    if (running && (d->power == POWER_STOPPED || wants_start(guest)))
        end_run(host, guest, forced ? CAUSE_FORCED : CAUSE_ASKED);
    if (!guest->exists || guest->disk_number != d->disk_number) {
        observe(host, guest, OBS_ALLOCATED, CAUSE_NONE);
        if (!guest->exists)
            guest->state = STATE_STOPPED;
    }
    guest->exists = true;
    guest->disk_number = d->disk_number;
    guest->vcpus = d->vcpus;
    guest->memory_mib = d->memory_mib;
    guest->disk_gib = d->disk_gib;
    guest->uid = d->uid;
    copy(guest->name, sizeof(guest->name), d->name);
    copy(guest->address, sizeof(guest->address), d->interfaces.count ? interfaces[0].address : "");
    guest->failed = false;
    guest->reason[0] = '\0';
    if (wants_start(guest))
        start_run(host, guest);
    guest->generation = d->generation;
    copy(guest->epoch, sizeof(guest->epoch), host->epoch);
    guest->converged = !guest->failed;
    guest->changed = true;
}

/* A failure that is final waits for another generation. */
static bool idle(const struct sim_guest *guest)
{
    return !guest->desired || guest->desired->adopt || guest->gone ||
           (guest->failed && guest->final && guest->generation == guest->desired->generation);
}

static void plan(struct sim_host *host, struct sim_guest *guest, int64_t now_ms)
{
    if (idle(guest)) {
        guest->due_ms = 0;
        return;
    }
    int64_t ms = work_ms(host, guest);
    if (ms == 0 && !guest->converged) {
        guest->converged = guest->changed = true;
        guest->due_ms = 0;
    } else if (ms > 0) {
        guest->converged = false;
        if (!guest->due_ms)
            guest->due_ms = now_ms + ms - 1;
    }
}

static void forget_gone(struct sim_host *host)
{
    size_t kept = 0;
    for (size_t i = 0; i < host->count; i++) {
        struct sim_guest *guest = &host->guests[i];
        if (guest->gone && !guest->changed && guest->told <= host->heard)
            drop_desired(guest);
        else
            host->guests[kept++] = host->guests[i];
    }
    host->count = kept;
}

int64_t sim_host_step(struct sim_host *host, int64_t now_ms)
{
    int64_t next = INT64_MAX;
    if (host->blind)
        return next;
    forget_gone(host);
    for (size_t i = 0; i < host->count; i++) {
        struct sim_guest *guest = &host->guests[i];
        plan(host, guest, now_ms);
        if (guest->due_ms && guest->due_ms <= now_ms) {
            guest->due_ms = 0;
            if (guest->desired->deleted)
                remove_guest(host, guest);
            else
                make(host, guest);
        } else if (guest->due_ms) {
            next = guest->due_ms < next ? guest->due_ms : next;
        }
    }
    return next;
}

bool sim_host_news(const struct sim_host *host)
{
    for (size_t i = 0; i < host->count; i++) {
        if (host->guests[i].changed)
            return true;
    }
    return false;
}

/* ---- pages ---- */

static void take_one(struct sim_host *host, struct desired_instance *row)
{
    struct sim_guest *guest = sim_host_find(host, row->id);
    if (!guest)
        guest = sim_host_add(host, row->id);
    drop_desired(guest);
    guest->desired = xmemdup(row, sizeof(*row));
    guest->foreign = false;
    guest->gone = false;
    /* An adopted one is reported as it is. */
    guest->changed |= row->adopt;
    guest->converged = false;
    guest->due_ms = 0;
    *row = (struct desired_instance){0};
}

void sim_host_desired(struct sim_host *host, struct desired_page *page, int64_t now_ms)
{
    struct desired_instance *rows = page->instances.items;
    if (strcmp(host->epoch, page->epoch) != 0)
        sim_host_forget_desired(host);
    copy(host->epoch, sizeof(host->epoch), page->epoch);
    host->revision = page->revision;
    copy(host->mark, sizeof(host->mark), page->mark);
    for (size_t i = 0; i < page->instances.count; i++)
        take_one(host, &rows[i]);
    if (page->full) {
        /* Absence never means delete: what we were not told of is someone else's. */
        for (size_t i = 0; i < host->count; i++)
            host->guests[i].foreign = !host->guests[i].desired && host->guests[i].exists;
    }
    sim_host_step(host, now_ms);
}

/* ---- happenings ---- */

bool sim_host_end_guest(struct sim_host *host, const char *id, enum stop_cause cause)
{
    struct sim_guest *guest = sim_host_find(host, id);
    if (!guest || guest->state != STATE_RUNNING)
        return false;
    end_run(host, guest, cause);
    if (cause == CAUSE_CRASHED)
        copy(guest->reason, sizeof(guest->reason), "the guest's kernel panicked");
    return true;
}

void sim_host_boot(struct sim_host *host)
{
    for (size_t i = 0; i < host->count; i++) {
        if (host->guests[i].state == STATE_RUNNING)
            set_state(&host->guests[i], STATE_STOPPED, CAUSE_UNSEEN);
    }
    for (size_t i = 0; i < host->observation_count; i++)
        free(host->observations[i].instance);
    host->observation_count = 0; /* the fields below are what they pointed to */
    host->boot_order++;
    id_new(host->boot_id);
    id_new(host->spool);
    host->spool_sequence = 0;
    sim_host_forget_desired(host);
}
