/* Finds the rows that cannot be, and cuts them; see instance_mend.h. */
#include "controller/instance/instance_mend.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/base/log.h"
#include "controller/db/db.h"
#include "controller/instance/instance.h"
#include "controller/instance/store_instance.h"
#include "controller/placement/hosts.h"
#include "controller/tx/writer.h"

enum { REASON_MAX = 160 };

/* A row's counters grow from what a host may claim: twice that is far. */
#define ROW_COUNTER (2 * LIMIT_COUNTER)

/* 1: there is one behind `after`; 0; -1. */
static int next_wrong(struct db *db, int64_t after, int64_t *ret_key, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT min(key) FROM instance INDEXED BY instance_live"
                    " WHERE gone_ms IS NULL AND key > ?1"
                    " AND (vcpus > ?2 OR memory_mib > ?3 OR disk_gib > ?4 OR run > ?5"
                    "  OR generation > ?5 OR disk_number > ?5 OR observed_run > ?5"
                    "  OR observed_generation > ?5)");
    stmt_bind(stmt, "iiiii", after, (int64_t)LIMIT_VCPUS, (int64_t)LIMIT_MEMORY_MIB,
              (int64_t)LIMIT_DISK_GIB, ROW_COUNTER);
    if (stmt_step(stmt, err) != 1)
        return -1;
    *ret_key = stmt_i64(stmt, 0);
    return !stmt_null(stmt, 0);
}

/* The first one that is cut is the one that is told of. */
static void cut_to(int64_t *value, int64_t most, int64_t to, const char *what,
                   char reason[REASON_MAX])
{
    if (*value <= most)
        return;
    if (!*reason)
        snprintf(reason, REASON_MAX,
                 "its row said %s %" PRId64 ", and at most %" PRId64 " can be; its host is asked",
                 what, *value, most);
    *value = to;
}

static void cut(int64_t *value, int64_t most, const char *what, char reason[REASON_MAX])
{
    cut_to(value, most, most, what, reason);
}

/* What the table of hosts counted of it (store_hosts.c). */
static int64_t counted(int64_t amount)
{
    return amount < LIMIT_HOST_AMOUNT ? amount : LIMIT_HOST_AMOUNT;
}

static void cut_sizes(struct tx *tx, struct instance *instance, char reason[REASON_MAX])
{
    struct sizes *now = &instance->sizes, was = *now;
    cut(&now->vcpus, LIMIT_VCPUS, "vcpus", reason);
    cut(&now->memory_mib, LIMIT_MEMORY_MIB, "memory_mib", reason);
    cut(&now->disk_gib, LIMIT_DISK_GIB, "disk_gib", reason);
    struct sizes delta = {now->vcpus - counted(was.vcpus),
                          now->memory_mib - counted(was.memory_mib),
                          now->disk_gib - counted(was.disk_gib)};
    if (delta.vcpus || delta.memory_mib || delta.disk_gib)
        hosts_use(tx->hosts, instance->node_key, &delta, 0);
}

static int mend(struct tx *tx, int64_t key, struct err *err)
{
    struct instance auto_instance instance = {0};
    char reason[REASON_MAX] = "";
    if (store_instance_get(tx->db, key, &instance, err) != 0)
        return -1;
    cut_sizes(tx, &instance, reason);
    /* A run that no host has started would be started: of runs and disks the host's own count. */
    cut_to(&instance.run, ROW_COUNTER, 0, "run", reason);
    cut_to(&instance.observed_run, ROW_COUNTER, 0, "run", reason);
    cut_to(&instance.disk_number, ROW_COUNTER, 1, "disk_number", reason);
    cut(&instance.generation, LIMIT_COUNTER, "generation", reason);
    cut(&instance.observed_generation, LIMIT_COUNTER, "generation", reason);
    log_warn("instance.row", "instance=%s reason=\"%s\"", instance.id, reason);
    /* A tombstone is not adopted. */
    instance.adopt = !instance.deleted_ms;
    instance.observed_state = STATE_ERROR;
    instance.observed_reason = reason;
    if (instance_change(tx, &instance, "state:error", err) != 0)
        return -1;
    return store_instance_set_observed(tx->db, &instance, err);
}

int instances_mend(struct tx *tx, void *unused, struct err *err)
{
    int64_t key = 0;
    int rc;
    (void)unused;
    while ((rc = next_wrong(tx->db, key, &key, err)) == 1) {
        if (mend(tx, key, err) != 0)
            return -1;
    }
    return rc;
}
