/* The columns of each noun: what tables and CSV show of the API's objects. The
 * order is the order on the screen. Names give way on a narrow terminal; ids, times, meters,
 * numbers and money do not. */
#include "cli/line/command.h"

/* clang-format off */
const struct column instance_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"state", "STATE", "state", CELL_TEXT, COLUMN_BOTH},
    {"reason", "REASON", "reason", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"desired", "DESIRED", "desired", CELL_TEXT, COLUMN_SHOW},
    {"node", "NODE", "node", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"address", "ADDRESS", "addresses.address", CELL_TEXT, COLUMN_BOTH},
    {"network", "NETWORK", "addresses.network", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"mac", "MAC", "addresses.mac", CELL_TEXT, COLUMN_SHOW},
    {"hostname", "HOSTNAME", "hostname", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"flavor", "FLAVOR", "flavor", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"vcpus", "VCPUS", "vcpus", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"memory", "MEMORY", "memory_mib", CELL_MIB, COLUMN_SHOW | COLUMN_RIGHT},
    {"disk", "DISK", "disk_gib", CELL_GIB, COLUMN_SHOW | COLUMN_RIGHT},
    {"image", "IMAGE", "image", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"image-id", "IMAGE ID", "image_id", CELL_TEXT, COLUMN_SHOW},
    {"keys", "KEYS", "keys", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"labels", "LABELS", "labels", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"generation", "GENERATION", "generation", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"run", "RUN", "run", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"stop-cause", "STOP CAUSE", "stop_cause", CELL_TEXT, COLUMN_SHOW},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {"started", "UP", "started_at", CELL_TIME, COLUMN_SHOW | COLUMN_RIGHT},
    {"deleted", "DELETED", "deleted_at", CELL_TIME, COLUMN_SHOW | COLUMN_RIGHT},
    {0},
};

const struct column image_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"state", "STATE", "state", CELL_TEXT, COLUMN_BOTH},
    {"format", "FORMAT", "format", CELL_TEXT, COLUMN_BOTH},
    {"size", "SIZE", "size_bytes", CELL_BYTES, COLUMN_BOTH | COLUMN_RIGHT},
    {"virtual", "VIRTUAL", "virtual_bytes", CELL_BYTES, COLUMN_BOTH | COLUMN_RIGHT},
    {"public", "PUBLIC", "public", CELL_TEXT, COLUMN_BOTH},
    {"sha256", "SHA256", "sha256", CELL_TEXT, COLUMN_SHOW},
    {"labels", "LABELS", "labels", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {0},
};

const struct column orphan_columns[] = {
    {"file", "FILE", "file", CELL_TEXT, COLUMN_BOTH},
    {"size", "SIZE", "size_bytes", CELL_BYTES, COLUMN_BOTH | COLUMN_RIGHT},
    {"modified", "AGE", "modified_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"format", "FORMAT", "format", CELL_TEXT, COLUMN_SHOW | COLUMN_CSV},
    {"sha256", "SHA256", "sha256", CELL_TEXT, COLUMN_SHOW | COLUMN_CSV},
    {"importable", "IMPORTABLE", "importable", CELL_TEXT, COLUMN_SHOW | COLUMN_CSV},
    {"reason", "WHY", "reason", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {0},
};

const struct column flavor_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"vcpus", "VCPUS", "vcpus", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"memory", "MEMORY", "memory_mib", CELL_MIB, COLUMN_BOTH | COLUMN_RIGHT},
    {"disk", "DISK", "disk_gib", CELL_GIB, COLUMN_BOTH | COLUMN_RIGHT},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_SHOW | COLUMN_RIGHT},
    {0},
};

const struct column key_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"fingerprint", "FINGERPRINT", "fingerprint", CELL_TEXT, COLUMN_BOTH},
    {"public-key", "PUBLIC KEY", "public_key", CELL_TEXT, COLUMN_SHOW},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {0},
};

const struct column node_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
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
    {"conditions", "CONDITIONS", "conditions.code", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"cure", "CURE", "conditions.text", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"quarantined", "QUARANTINED", "quarantined.name", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"quarantined-address", "THEIR ADDRESSES", "quarantined.address", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"seen", "SEEN", "last_seen_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {0},
};

const struct column project_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"id", "ID", "id", CELL_TEXT, COLUMN_BOTH},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {0},
};

const struct column token_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"id", "ID", "id", CELL_TEXT, COLUMN_BOTH},
    {"role", "ROLE", "role", CELL_TEXT, COLUMN_BOTH},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {"secret", "SECRET", "secret", CELL_TEXT, COLUMN_SHOW},
    {0},
};

const struct column network_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {"cidr", "CIDR", "cidr", CELL_TEXT, COLUMN_BOTH},
    {"gateway", "GATEWAY", "gateway", CELL_TEXT, COLUMN_BOTH},
    {"nat", "NAT", "nat", CELL_TEXT, COLUMN_BOTH},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {0},
};

const struct column operation_columns[] = {
    {"id", "ID", "id", CELL_TEXT, COLUMN_BOTH},
    {"kind", "KIND", "kind", CELL_TEXT, COLUMN_BOTH},
    {"instance", "INSTANCE", "instance_name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"instance-id", "INSTANCE ID", "instance", CELL_TEXT, COLUMN_SHOW},
    {"state", "STATE", "state", CELL_TEXT, COLUMN_BOTH},
    {"error", "ERROR", "error.code", CELL_TEXT, COLUMN_SHOW},
    {"detail", "DETAIL", "error.detail", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"forced", "FORCED", "forced", CELL_TEXT, COLUMN_SHOW},
    {"deadline", "DEADLINE S", "timeout_s", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"created", "AGE", "created_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {"finished", "FINISHED", "finished_at", CELL_TIME, COLUMN_SHOW | COLUMN_RIGHT},
    {0},
};

const struct column event_columns[] = {
    {"revision", "REVISION", "revision", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"time", "AGE", "time", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {"actor", "ACTOR", "actor", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"kind", "KIND", "kind", CELL_TEXT, COLUMN_BOTH},
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"what", "WHAT", "what", CELL_TEXT, COLUMN_BOTH},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"id", "ID", "id", CELL_TEXT, COLUMN_SHOW},
    {0},
};

/* Of rows that usage_rows.c makes out of the API's. */
const struct column usage_columns[] = {
    {"period", "PERIOD", "period", CELL_TEXT, COLUMN_BOTH},
    {"start", "START", "start", CELL_TEXT, COLUMN_SHOW},
    {"end", "END", "end", CELL_TEXT, COLUMN_SHOW},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"project-id", "PROJECT ID", "project_id", CELL_TEXT, COLUMN_SHOW},
    {"instance", "INSTANCE", "instance", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"instance-id", "INSTANCE ID", "instance_id", CELL_TEXT, COLUMN_SHOW},
    {"resource", "RESOURCE", "resource", CELL_TEXT, COLUMN_SHOW},
    {"flavor", "FLAVOR", "flavor", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"node", "NODE", "node", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {"meter", "METER", "meter", CELL_TEXT, COLUMN_BOTH},
    {"unit", "UNIT", "unit", CELL_TEXT, COLUMN_SHOW},
    {"quantity", "QUANTITY", "quantity", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"unverified", "UNVERIFIED", "unverified", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"correction", "CORRECTION", "correction", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"cost", "COST", "cost", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"currency", "CURRENCY", "currency", CELL_TEXT, COLUMN_SHOW},
    {"mark", "", "mark", CELL_TEXT, COLUMN_SHOW},
    {0},
};

const struct column forecast_columns[] = {
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"per-hour", "NEXT HOUR", "per-hour", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"so-far", "MONTH SO FAR", "so-far", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"month-end", "AT MONTH'S END", "month-end", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"currency", "CURRENCY", "currency", CELL_TEXT, COLUMN_SHOW},
    {0},
};

const struct column seal_columns[] = {
    {"until", "UNTIL (UTC)", "until", CELL_DATE, COLUMN_BOTH},
    {"sealed", "AGE", "sealed_at", CELL_TIME, COLUMN_BOTH | COLUMN_RIGHT},
    {"observations", "EVIDENCE", "observations", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"segments", "SEGMENTS", "segments", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"chain", "CHAIN", "chain", CELL_HASH, COLUMN_BOTH},
    {0},
};

const struct column segment_columns[] = {
    {"kind", "KIND", "kind", CELL_TEXT, COLUMN_BOTH},
    {"start", "START (UTC)", "start", CELL_DATE, COLUMN_BOTH},
    {"end", "END (UTC)", "end", CELL_DATE, COLUMN_BOTH},
    {"what", "WHAT", "kind", CELL_SEGMENT, COLUMN_TABLE},
    {"vcpus", "VCPUS", "vcpus", CELL_TEXT, COLUMN_CSV | COLUMN_SHOW | COLUMN_RIGHT},
    {"memory", "MEMORY", "memory_mib", CELL_MIB, COLUMN_CSV | COLUMN_SHOW | COLUMN_RIGHT},
    {"disk", "DISK", "disk_gib", CELL_GIB, COLUMN_CSV | COLUMN_SHOW | COLUMN_RIGHT},
    {"cpu", "CPU", "cpu_ns", CELL_NANOSECONDS, COLUMN_CSV | COLUMN_SHOW | COLUMN_RIGHT},
    {"ingress", "IN", "ingress_bytes", CELL_BYTES, COLUMN_CSV | COLUMN_SHOW | COLUMN_RIGHT},
    {"egress", "OUT", "egress_bytes", CELL_BYTES, COLUMN_CSV | COLUMN_SHOW | COLUMN_RIGHT},
    {"note", "NOTE", "kind", CELL_SEGMENT_NOTE, COLUMN_SHOW},
    {"reversal", "REVERSAL", "reversal", CELL_TEXT, COLUMN_CSV | COLUMN_SHOW},
    {"correction", "CORRECTION", "correction", CELL_TEXT, COLUMN_CSV | COLUMN_SHOW},
    {"verified", "VERIFIED", "verified", CELL_SEGMENT_PROOF, COLUMN_CSV | COLUMN_SHOW},
    {"run", "RUN", "run", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {"flavor", "FLAVOR", "flavor", CELL_TEXT, COLUMN_SHOW},
    {"node", "NODE", "node", CELL_TEXT, COLUMN_SHOW},
    {"open", "OPEN", "open", CELL_TEXT, COLUMN_SHOW},
    {"segment", "SEGMENT", "segment", CELL_TEXT, COLUMN_SHOW | COLUMN_RIGHT},
    {0},
};

const struct column verdict_columns[] = {
    {"verified", "VERIFIED", "verified", CELL_TEXT, COLUMN_BOTH},
    {"difference", "DIFFERENCE", "difference", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"seals", "SEALS", "seals", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"segments", "SEGMENTS", "segments", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"observations", "EVIDENCE", "observations", CELL_TEXT, COLUMN_BOTH | COLUMN_RIGHT},
    {"until", "UNTIL", "sealed_until", CELL_TEXT, COLUMN_BOTH},
    {"chain", "CHAIN", "chain", CELL_TEXT, COLUMN_BOTH},
    {0},
};

const struct column price_columns[] = {
    {"id", "ID", "id", CELL_TEXT, COLUMN_BOTH},
    {"meter", "METER", "meter", CELL_TEXT, COLUMN_BOTH},
    {"flavor", "FLAVOR", "flavor", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"price", "PRICE", "nanos", CELL_PRICE, COLUMN_BOTH | COLUMN_RIGHT},
    {"currency", "CURRENCY", "currency", CELL_TEXT, COLUMN_CSV},
    {"unit", "UNIT", "unit", CELL_TEXT, COLUMN_CSV},
    {"billed", "BILLED", "per", CELL_PRICE_GRAIN, COLUMN_CSV | COLUMN_SHOW},
    {"minimum", "MINIMUM", "minimum_seconds", CELL_SECONDS, COLUMN_CSV | COLUMN_SHOW | COLUMN_RIGHT},
    {"monthly-cap", "MONTHLY CAP", "monthly_cap_nanos", CELL_SUM, COLUMN_CSV | COLUMN_SHOW | COLUMN_RIGHT},
    {"state", "STATE", "valid_from", CELL_PRICE_STATE, COLUMN_BOTH},
    {"from", "FROM (UTC)", "valid_from", CELL_DATE, COLUMN_BOTH},
    {"until", "UNTIL (UTC)", "valid_until", CELL_DATE, COLUMN_BOTH},
    {"withdrawn", "WITHDRAWN", "deleted_at", CELL_DATE, COLUMN_SHOW},
    {"created", "CREATED", "created_at", CELL_DATE, COLUMN_SHOW},
    {0},
};

const struct column context_columns[] = {
    {"name", "NAME", "name", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"current", "CURRENT", "current", CELL_TEXT, COLUMN_BOTH},
    {"url", "URL", "url", CELL_TEXT, COLUMN_BOTH},
    {"project", "PROJECT", "project", CELL_TEXT, COLUMN_BOTH | COLUMN_YIELDS},
    {"file", "FILE", "file", CELL_TEXT, COLUMN_SHOW | COLUMN_YIELDS},
    {0},
};
/* clang-format on */
