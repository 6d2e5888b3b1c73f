/* What an instance tells the evidence; see instance_evidence.h. */
#include "controller/instance/instance_evidence.h"

#include "api/base/err.h"
#include "api/node_protocol.h"
#include "controller/instance/store_instance.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/placement/hosts.h"
#include "controller/tx/writer.h"

int instance_witness_flavor(struct tx *tx, const struct instance *instance, struct err *err)
{
    const struct host *host = hosts_find(tx->hosts, instance->node_key);
    if (!host || !*host->boot_id || instance->observed_state == STATE_PROVISIONING)
        return 0;
    int64_t at = evidence_host_now(tx, host, err);
    if (at < 0)
        return -1;
    return evidence_witness(tx,
                            &(struct witnessed){.kind = OBS_ALLOCATED,
                                                .node_key = host->key,
                                                .boot_id = host->boot_id,
                                                .resource_id = instance->id,
                                                .boottime_ms = at,
                                                .wall_ms = tx->now_ms,
                                                .vcpus = instance->sizes.vcpus,
                                                .memory_mib = instance->sizes.memory_mib,
                                                .disk_gib = instance->sizes.disk_gib,
                                                .flavor_key = instance->flavor_key},
                            err);
}

static int witness_report(struct tx *tx, int64_t node_key, int kind,
                          const struct node_report *report, const struct observed_instance *seen,
                          struct err *err)
{
    struct observation sizes = {
        .kind = kind, .instance = seen->id, .vcpus = seen->vcpus, .memory_mib = seen->memory_mib};
    int64_t flavor_key;
    if (seen->vcpus <= 0 || seen->memory_mib <= 0)
        return 0;
    if (store_instance_flavor_of(tx->db, &sizes, &flavor_key, err) != 0)
        return -1;
    return evidence_witness(tx,
                            &(struct witnessed){.kind = kind,
                                                .node_key = node_key,
                                                .boot_id = report->boot_id,
                                                .resource_id = seen->id,
                                                .run = seen->run,
                                                .boottime_ms = report->boottime_ms,
                                                .wall_ms = report->wall_ms,
                                                .vcpus = seen->vcpus,
                                                .memory_mib = seen->memory_mib,
                                                .disk_gib = seen->disk_gib,
                                                .flavor_key = flavor_key},
                            err);
}

int instance_witness_there(struct tx *tx, int64_t node_key, const struct node_report *report,
                           const struct observed_instance *seen, struct err *err)
{
    return witness_report(tx, node_key, OBS_ALLOCATED, report, seen, err);
}

int instance_witness_taken_over(struct tx *tx, int64_t node_key, const struct node_report *report,
                                const struct observed_instance *seen, struct err *err)
{
    if (evidence_ended(tx, node_key, report, seen, err) != 0)
        return -1;
    if (seen->state == STATE_ABSENT)
        return evidence_witness(tx,
                                &(struct witnessed){.kind = OBS_GONE,
                                                    .node_key = node_key,
                                                    .boot_id = report->boot_id,
                                                    .resource_id = seen->id,
                                                    .boottime_ms = report->boottime_ms,
                                                    .wall_ms = report->wall_ms},
                                err);
    int kind = seen->state == STATE_RUNNING ? OBS_STARTED : OBS_ALLOCATED;
    return witness_report(tx, node_key, kind, report, seen, err);
}
