/* Places from a recording and a table of system calls; each (program, site, occurrence) once. */
#include "tests/faults/kill_plan.h"

#include <stdio.h>

#include "api/base/mem.h"
#include "tests/lib/cloud.h"

enum { MAX_OCCURRENCE = 16 };

const char *const phase_names[] = {"create", "stop", "start", "delete"};

static struct kill_place *find(struct kill_plan *plan, enum program program, const char *site,
                               int n)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct kill_place *at = &plan->places[i];
        if (at->program == program && at->n == n && strcmp(at->site, site) == 0)
            return at;
    }
    return NULL;
}

static size_t count_phase(const struct kill_plan *plan, enum program program, int phase)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++)
        count += plan->places[i].program == program && plan->places[i].phase == phase;
    return count;
}

/* A place seen in several phases goes to the one that has fewest. */
static void add(struct kill_plan *plan, enum program program, int phase, bool traced,
                const char *site, int n)
{
    struct kill_place *old = find(plan, program, site, n);
    if (old) {
        if (count_phase(plan, program, phase) + 1 < count_phase(plan, program, old->phase))
            old->phase = phase;
        return;
    }
    plan->places = xrealloc(plan->places, (plan->count + 1) * sizeof(*plan->places));
    struct kill_place *new = &plan->places[plan->count++];
    *new = (struct kill_place){.program = program, .traced = traced, .n = n, .phase = phase};
    snprintf(new->site, sizeof(new->site), "%s", site);
}

void kill_plan_add_log(struct kill_plan *plan, enum program program, int phase, const char *path)
{
    FILE *in = fopen(path, "r");
    char site[64];
    int n;
    if (!in)
        cloud_fail("no failpoint log %s", path);
    while (fscanf(in, "%63s %d", site, &n) == 2) {
        if (n <= MAX_OCCURRENCE)
            add(plan, program, phase, false, site, n);
    }
    fclose(in);
}

void kill_plan_add_calls(struct kill_plan *plan)
{
    static const struct {
        enum program program;
        const char *call;
        int most;
    } calls[] = {
        {CONTROLLER, "pwrite64", 48}, {CONTROLLER, "fdatasync", 20}, {CONTROLLER, "sendmsg", 8},
        {CONTROLLER, "write", 8},     {AGENT, "write", 32},          {AGENT, "sendto", 24},
        {AGENT, "fsync", 4},
    };
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        for (int n = 1; n <= calls[i].most; n++)
            add(plan, calls[i].program, n % PHASES, true, calls[i].call, n);
    }
}

static struct kill_place *pick_one(struct kill_plan *plan, enum program program, int phase,
                                   bool far, struct kill_place *const *taken, size_t taken_count)
{
    struct kill_place *best = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        struct kill_place *at = &plan->places[i];
        bool mine = at->program == program && at->phase == phase && !at->tried;
        for (size_t j = 0; j < taken_count; j++)
            mine = mine && taken[j] != at;
        if (mine && (!best || (far ? at->n > best->n : at->n < best->n)))
            best = at;
    }
    return best;
}

size_t kill_plan_pick(struct kill_plan *plan, enum program program, int phase,
                      struct kill_place **out, size_t room)
{
    size_t count = 0;
    while (count < room) {
        struct kill_place *place = pick_one(plan, program, phase, count == 0, out, count);
        if (!place)
            break;
        out[count++] = place;
    }
    return count;
}

void kill_plan_retry(struct kill_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        plan->places[i].tried = plan->places[i].fired;
}

size_t kill_plan_fired(const struct kill_plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++)
        count += plan->places[i].fired;
    return count;
}

void kill_plan_release(struct kill_plan *plan)
{
    free(plan->places);
}
