/* The columns of each noun: what tables and CSV show of the API's objects. The
 * order is the order on the screen; the COLUMN_LIST ones of a noun fit 80 columns. */
#include "cli/command.h"

/* clang-format off */
const struct column instance_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_SHOW},
    {"state", "STATE", "state", CELL_TEXT, COLUMN_BOTH},
    {"reason", "REASON", "reason", CELL_TEXT, COLUMN_SHOW},
    {"desired", "DESIRED", "desired", CELL_TEXT, COLUMN_SHOW},
    {"node", "NODE", "node", CELL_TEXT, COLUMN_BOTH},
    {"address", "ADDRESS", "addresses.address", CELL_TEXT, COLUMN_BOTH},
    {"network", "NETWORK", "addresses.network", CELL_TEXT, COLUMN_SHOW},
    {"mac", "MAC", "addresses.mac", CELL_TEXT, COLUMN_SHOW},
    {"hostname", "HOSTNAME", "hostname", CELL_TEXT, COLUMN_SHOW},
    {"flavor", "FLAVOR", "flavor", CELL_TEXT, COLUMN_BOTH},
    {"vcpus", "VCPUS", "vcpus", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"memory", "MEMORY", "memory_mib", CELL_MIB, COLUMN_SHOW | COLUMN_RIGHT},
    {"disk", "DISK", "disk_gib", CELL_GIB, COLUMN_SHOW | COLUMN_RIGHT},
    {"image", "IMAGE", "image", CELL_TEXT, COLUMN_BOTH},
    {"image-id", "IMAGE ID", "image_id", CELL_TEXT, COLUMN_SHOW},
    {"keys", "KEYS", "keys", CELL_TEXT, COLUMN_SHOW},
    {"labels", "LABELS", "labels", CELL_TEXT, COLUMN_SHOW},
    {"generation", "GENERATION", "generation", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"run", "RUN", "run", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"stop-cause", "STOP CAUSE", "stop_cause", CELL_TEXT, COLUMN_SHOW},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {"started", "UP", "started_at", CELL_TIME, COLUMN_SHOW | COLUMN_RIGHT},
    {"deleted", "DELETED", "deleted_at", CELL_TIME, COLUMN_SHOW | COLUMN_RIGHT},
    {0},
};

const struct column image_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_SHOW},
    {"state", "STATE", "state", CELL_TEXT, COLUMN_BOTH},
    {"format", "FORMAT", "format", CELL_TEXT, COLUMN_BOTH},
    {"size", "SIZE", "size_bytes", CELL_BYTES, COLUMN_BOTH | COLUMN_RIGHT},
    {"virtual", "VIRTUAL", "virtual_bytes", CELL_BYTES, COLUMN_BOTH | COLUMN_RIGHT},
    {"public", "PUBLIC", "public", CELL_TEXT, COLUMN_BOTH},
    {"sha256", "SHA256", "sha256", CELL_TEXT, COLUMN_SHOW},
    {"labels", "LABELS", "labels", CELL_TEXT, COLUMN_SHOW},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {0},
};

const struct column flavor_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"vcpus", "VCPUS", "vcpus", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"memory", "MEMORY", "memory_mib", CELL_MIB, COLUMN_BOTH | COLUMN_RIGHT},
    {"disk", "DISK", "disk_gib", CELL_GIB, COLUMN_BOTH | COLUMN_RIGHT},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_SHOW | COLUMN_RIGHT},
    {0},
};

const struct column key_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_SHOW},
    {"fingerprint", "FINGERPRINT", "fingerprint", CELL_TEXT, COLUMN_BOTH},
    {"public-key", "PUBLIC KEY", "public_key", CELL_TEXT, COLUMN_SHOW},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {0},
};

const struct column node_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"state", "STATE", "state", CELL_TEXT, COLUMN_BOTH},
    {"schedulable", "SCHED", "schedulable", CELL_TEXT, COLUMN_BOTH},
    {"instances", "INST", "instances", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"cpus", "CPUS", "cpus", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"used-cpus", "USED", "used_cpus", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"memory", "MEMORY", "memory_mib", CELL_MIB, COLUMN_BOTH | COLUMN_RIGHT},
    {"used-memory", "USED", "used_memory_mib", CELL_MIB, COLUMN_BOTH | COLUMN_RIGHT},
    {"disk", "DISK", "disk_gib", CELL_GIB, COLUMN_BOTH | COLUMN_RIGHT},
    {"used-disk", "USED", "used_disk_gib", CELL_GIB, COLUMN_BOTH | COLUMN_RIGHT},
    {"virt", "VIRT", "virt", CELL_TEXT, COLUMN_SHOW},
    {"version", "VERSION", "version", CELL_TEXT, COLUMN_SHOW},
    {"boot-id", "BOOT ID", "boot_id", CELL_TEXT, COLUMN_SHOW},
    {"quarantined", "QUARANTINED", "quarantined.name", CELL_TEXT, COLUMN_SHOW},
    {"seen", "SEEN", "last_seen_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {0},
};

const struct column project_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH},
    {"id", "ID", "id", CELL_TEXT, COLUMN_BOTH},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {0},
};

const struct column token_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH},
    {"id", "ID", "id", CELL_TEXT, COLUMN_BOTH},
    {"role", "ROLE", "role", CELL_TEXT, COLUMN_BOTH},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_BOTH},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {"secret", "SECRET", "secret", CELL_TEXT, COLUMN_SHOW},
    {0},
};

const struct column network_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"cidr", "CIDR", "cidr", CELL_TEXT, COLUMN_BOTH},
    {"gateway", "GATEWAY", "gateway", CELL_TEXT, COLUMN_BOTH},
    {"nat", "NAT", "nat", CELL_TEXT, COLUMN_BOTH},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_SHOW},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {0},
};

const struct column operation_columns[] = {
    {"id", "ID", "id", CELL_TEXT, COLUMN_BOTH},
    {"kind", "KIND", "kind", CELL_TEXT, COLUMN_BOTH},
    {"instance", "INSTANCE", "instance_name", CELL_TEXT, COLUMN_BOTH},
    {"instance-id", "INSTANCE ID", "instance", CELL_TEXT, COLUMN_SHOW},
    {"state", "STATE", "state", CELL_TEXT, COLUMN_BOTH},
    {"error", "ERROR", "error.code", CELL_TEXT, COLUMN_SHOW},
    {"detail", "DETAIL", "error.detail", CELL_TEXT, COLUMN_SHOW},
    {"forced", "FORCED", "forced", CELL_TEXT, COLUMN_SHOW},
    {"deadline", "DEADLINE S", "timeout_s", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {"finished", "FINISHED", "finished_at", CELL_TIME, COLUMN_SHOW | COLUMN_RIGHT},
    {0},
};

const struct column event_columns[] = {
    {"revision", "REVISION", "revision", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"time", "AGE", "time", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {"actor", "ACTOR", "actor", CELL_TEXT, COLUMN_BOTH},
    {"kind", "KIND", "kind", CELL_TEXT, COLUMN_BOTH},
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH},
    {"what", "WHAT", "what", CELL_TEXT, COLUMN_BOTH},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_SHOW},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {0},
};

const struct column context_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH},
    {"current", "CURRENT", "current", CELL_TEXT, COLUMN_BOTH},
    {"url", "URL", "url", CELL_TEXT, COLUMN_BOTH},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_BOTH},
    {"file", "FILE", "file", CELL_TEXT, COLUMN_SHOW},
    {0},
};
/* clang-format on */
