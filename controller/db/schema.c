/* The schema: an append-only array of migrations. A migration that was released is
 * never edited. `user_version` is the number of those applied. STRICT tables, foreign
 * keys and CHECKs, so that the database refuses what must not be.
 *
 * Conventions: `key` is a never-reused integer for joins, `id` the UUIDv7 that people
 * see; `*_ms` are wall milliseconds; a deleted row stays for a while (store_retention.c) with
 * deleted_ms, and its name is free at once. Every row of a tenant has its project. */
#include "controller/db/schema.h"

static const char *const migrations[] = {
    /* 1: everything of the first release. */
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"

    "CREATE TABLE project ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    "  revision INTEGER NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER) STRICT;"
    "CREATE UNIQUE INDEX project_name ON project(name) WHERE deleted_ms IS NULL;"

    /* A host. `sequence` orders reports within (boot_id, incarnation); `last_seen_ms` (and
     * the host's own boottime then) is written at most once a minute: liveness itself is kept in
     * memory; `silent` is written when a lease ends and when the host is heard again. */
    "CREATE TABLE node ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    "  host_uuid TEXT NOT NULL, schedulable INTEGER NOT NULL DEFAULT 1 CHECK (schedulable IN "
    "(0,1)),"
    "  cpus INTEGER NOT NULL CHECK (cpus >= 0), memory_mib INTEGER NOT NULL CHECK (memory_mib >= "
    "0),"
    "  disk_gib INTEGER NOT NULL CHECK (disk_gib >= 0), virt INTEGER NOT NULL,"
    "  version TEXT, protocol INTEGER NOT NULL, boot_id TEXT, incarnation TEXT,"
    "  sequence INTEGER NOT NULL DEFAULT 0, last_seen_ms INTEGER, seen_boottime_ms INTEGER,"
    "  boot_order INTEGER NOT NULL DEFAULT 0,"
    "  silent INTEGER NOT NULL DEFAULT 0 CHECK (silent IN (0,1)),"
    "  revision INTEGER NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER) STRICT;"
    "CREATE UNIQUE INDEX node_name ON node(name) WHERE deleted_ms IS NULL;"
    "CREATE UNIQUE INDEX node_host ON node(host_uuid) WHERE deleted_ms IS NULL;"

    /* Boots and agent processes of a host that were replaced by later ones: a report of
     * theirs is late and is refused. */
    "CREATE TABLE node_past ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, node_key INTEGER NOT NULL REFERENCES node(key),"
    "  boot_id TEXT NOT NULL, incarnation TEXT NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX node_past_identity ON node_past(node_key, boot_id, incarnation);"

    /* Only the hash of a secret is stored. An operator's token has no project; a node's has
     * its node. */
    "CREATE TABLE token ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    "  project_key INTEGER REFERENCES project(key), node_key INTEGER REFERENCES node(key),"
    "  role INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),"
    "  revision INTEGER NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER) STRICT;"
    "CREATE UNIQUE INDEX token_name ON token(ifnull(project_key, 0), name)"
    "  WHERE deleted_ms IS NULL AND node_key IS NULL;"

    "CREATE TABLE flavor ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  project_key INTEGER NOT NULL REFERENCES project(key), name TEXT NOT NULL,"
    "  vcpus INTEGER NOT NULL CHECK (vcpus > 0), memory_mib INTEGER NOT NULL CHECK (memory_mib > "
    "0),"
    "  disk_gib INTEGER NOT NULL CHECK (disk_gib > 0),"
    "  revision INTEGER NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER) STRICT;"
    "CREATE UNIQUE INDEX flavor_name ON flavor(name) WHERE deleted_ms IS NULL;"

    /* What a unit of a meter costs, from now or later on. It is never changed, so that what is
     * past keeps its price: it ends (ended_ms; valid_until_ms is the end that was planned), or
     * is withdrawn before it began (deleted_ms). project_key, flavor_key NULL: any; grain_ms
     * NULL: billed by what was counted. */
    "CREATE TABLE price ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  meter TEXT NOT NULL CHECK (meter <> 'gap'),"
    "  project_key INTEGER REFERENCES project(key), flavor_key INTEGER REFERENCES flavor(key),"
    "  nanos INTEGER NOT NULL CHECK (nanos BETWEEN 0 AND 9000000000000000),"
    "  grain_ms INTEGER CHECK (grain_ms IN (1000, 60000, 3600000)),"
    "  minimum_ms INTEGER NOT NULL CHECK (minimum_ms BETWEEN 0 AND 86400000),"
    "  monthly_cap_nanos INTEGER CHECK (monthly_cap_nanos BETWEEN 1 AND 9000000000000000),"
    "  valid_from_ms INTEGER NOT NULL CHECK (valid_from_ms >= created_ms),"
    "  valid_until_ms INTEGER CHECK (valid_until_ms > valid_from_ms),"
    "  ended_ms INTEGER CHECK (ended_ms >= valid_from_ms),"
    "  revision INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    "  deleted_ms INTEGER CHECK (deleted_ms < valid_from_ms),"
    "  CHECK (grain_ms IS NOT NULL OR minimum_ms = 0),"
    "  CHECK (ended_ms IS NULL OR deleted_ms IS NULL)) STRICT;"
    "CREATE TRIGGER price_only_ends BEFORE UPDATE ON price WHEN"
    "  (NEW.key, NEW.id, NEW.meter, NEW.project_key, NEW.flavor_key, NEW.nanos, NEW.grain_ms,"
    "   NEW.minimum_ms, NEW.monthly_cap_nanos, NEW.valid_from_ms, NEW.valid_until_ms,"
    "   NEW.created_ms) IS NOT"
    "  (OLD.key, OLD.id, OLD.meter, OLD.project_key, OLD.flavor_key, OLD.nanos, OLD.grain_ms,"
    "   OLD.minimum_ms, OLD.monthly_cap_nanos, OLD.valid_from_ms, OLD.valid_until_ms,"
    "   OLD.created_ms)"
    "  OR (OLD.ended_ms IS NOT NULL AND NEW.ended_ms IS NOT OLD.ended_ms)"
    "  OR (OLD.deleted_ms IS NOT NULL AND NEW.deleted_ms IS NOT OLD.deleted_ms)"
    "  BEGIN SELECT RAISE(ABORT, 'prices end, and do not change'); END;"
    "CREATE TRIGGER price_no_delete BEFORE DELETE ON price"
    "  BEGIN SELECT RAISE(ABORT, 'prices end, and do not go'); END;"

    /* The file is images/<id> beside the database, there exactly when state is 1 (ready);
     * it goes when the row is deleted and no instance needs it any more (file_gone_ms). */
    "CREATE TABLE image ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  project_key INTEGER NOT NULL REFERENCES project(key), name TEXT NOT NULL,"
    "  public INTEGER NOT NULL CHECK (public IN (0,1)), format INTEGER NOT NULL,"
    "  state INTEGER NOT NULL CHECK (state IN (0,1)), size_bytes INTEGER, virtual_bytes INTEGER,"
    "  sha256 TEXT, expected_sha256 TEXT, labels TEXT NOT NULL DEFAULT '{}',"
    "  revision INTEGER NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER,"
    "  file_gone_ms INTEGER,"
    "  CHECK (state = 0 OR (size_bytes IS NOT NULL AND virtual_bytes IS NOT NULL"
    "         AND sha256 IS NOT NULL))) STRICT;"
    "CREATE UNIQUE INDEX image_name ON image(project_key, name) WHERE deleted_ms IS NULL;"

    "CREATE TABLE ssh_key ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  project_key INTEGER NOT NULL REFERENCES project(key), name TEXT NOT NULL,"
    "  public_key TEXT NOT NULL, fingerprint TEXT NOT NULL,"
    "  revision INTEGER NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER) STRICT;"
    "CREATE UNIQUE INDEX ssh_key_name ON ssh_key(project_key, name) WHERE deleted_ms IS NULL;"

    "CREATE TABLE network ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  project_key INTEGER NOT NULL REFERENCES project(key), name TEXT NOT NULL,"
    "  cidr TEXT NOT NULL, gateway TEXT NOT NULL, nat INTEGER NOT NULL CHECK (nat IN (0,1)),"
    "  public INTEGER NOT NULL CHECK (public IN (0,1)), generation INTEGER NOT NULL DEFAULT 1,"
    "  revision INTEGER NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER) STRICT;"
    "CREATE UNIQUE INDEX network_name ON network(project_key, name) WHERE deleted_ms IS NULL;"

    /* Desired columns, then observed ones (observed_*). `desired_revision` is the revision of the
     * last change an agent must see; `revision` of the last change anyone sees (the ETag).
     * deleted_ms: delete was accepted, the name is free. gone_ms: the host proved that nothing
     * is left (or the node was removed): capacity, address and uid are free. */
    "CREATE TABLE instance ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  project_key INTEGER NOT NULL REFERENCES project(key), name TEXT NOT NULL,"
    "  hostname TEXT NOT NULL, labels TEXT NOT NULL DEFAULT '{}',"
    "  node_key INTEGER NOT NULL REFERENCES node(key), flavor_key INTEGER REFERENCES flavor(key),"
    "  image_key INTEGER NOT NULL REFERENCES image(key),"
    "  vcpus INTEGER NOT NULL CHECK (vcpus > 0), memory_mib INTEGER NOT NULL CHECK (memory_mib > "
    "0),"
    "  disk_gib INTEGER NOT NULL CHECK (disk_gib > 0), uid INTEGER NOT NULL CHECK (uid >= 200000),"
    "  key_names TEXT NOT NULL DEFAULT '[]',"
    "  power INTEGER NOT NULL CHECK (power IN (0,1)), generation INTEGER NOT NULL,"
    "  run INTEGER NOT NULL, disk_number INTEGER NOT NULL, stop_force INTEGER NOT NULL DEFAULT 0,"
    "  stop_timeout_ms INTEGER NOT NULL, adopt INTEGER NOT NULL DEFAULT 0,"
    "  desired_revision INTEGER NOT NULL,"
    "  observed_state INTEGER NOT NULL DEFAULT 0, observed_reason TEXT,"
    "  observed_generation INTEGER NOT NULL DEFAULT 0, observed_run INTEGER NOT NULL DEFAULT 0,"
    "  observed_cause INTEGER NOT NULL DEFAULT 0, observed_boot TEXT, started_ms INTEGER,"
    "  revision INTEGER NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER,"
    "  gone_ms INTEGER, CHECK (gone_ms IS NULL OR deleted_ms IS NOT NULL)) STRICT;"
    "CREATE UNIQUE INDEX instance_name ON instance(project_key, name) WHERE deleted_ms IS NULL;"
    "CREATE INDEX instance_list ON instance(project_key, key) WHERE deleted_ms IS NULL;"
    "CREATE INDEX instance_all ON instance(key) WHERE deleted_ms IS NULL;"
    "CREATE INDEX instance_live ON instance(node_key, key) WHERE gone_ms IS NULL;"
    "CREATE INDEX instance_desired ON instance(node_key, desired_revision) WHERE gone_ms IS NULL;"
    "CREATE UNIQUE INDEX instance_uid ON instance(uid) WHERE gone_ms IS NULL;"
    "CREATE INDEX instance_image ON instance(image_key) WHERE gone_ms IS NULL;"

    /* What the guest is given at its first boot, apart from the row above, so that lists and
     * reports do not carry it along; only where there is any. It goes with the instance. */
    "CREATE TABLE instance_seed ("
    "  instance_key INTEGER PRIMARY KEY REFERENCES instance(key),"
    "  key_lines TEXT NOT NULL, user_data BLOB CHECK (length(user_data) <= 65536)) STRICT;"

    /* One NIC: an address of a network, held until released_ms. */
    "CREATE TABLE interface ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  instance_key INTEGER NOT NULL REFERENCES instance(key),"
    "  network_key INTEGER NOT NULL REFERENCES network(key), position INTEGER NOT NULL,"
    "  address TEXT NOT NULL, address_number INTEGER NOT NULL, mac TEXT NOT NULL,"
    "  released_ms INTEGER) STRICT;"
    "CREATE UNIQUE INDEX interface_address ON interface(network_key, address_number)"
    "  WHERE released_ms IS NULL;"
    "CREATE INDEX interface_held ON interface(address) WHERE released_ms IS NULL;"
    "CREATE UNIQUE INDEX interface_place ON interface(instance_key, position);"

    /* Domains on a host that this database does not know: counted in capacity, their uid and
     * address are not given out, never touched. */
    "CREATE TABLE quarantine ("
    "  node_key INTEGER NOT NULL REFERENCES node(key), domain TEXT NOT NULL, name TEXT,"
    "  state INTEGER NOT NULL, vcpus INTEGER NOT NULL, memory_mib INTEGER NOT NULL,"
    "  disk_gib INTEGER NOT NULL, uid INTEGER, address TEXT, first_seen_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (node_key, domain)) STRICT;"

    /* `run`: the instance's when it was asked for. Evidence of that run's end speaks of it. */
    "CREATE TABLE operation ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  project_key INTEGER NOT NULL REFERENCES project(key),"
    "  instance_key INTEGER NOT NULL REFERENCES instance(key), kind TEXT NOT NULL,"
    "  generation INTEGER NOT NULL, run INTEGER NOT NULL DEFAULT 0,"
    "  state INTEGER NOT NULL CHECK (state IN (0,1,2)),"
    "  timeout_ms INTEGER NOT NULL, forced INTEGER NOT NULL DEFAULT 0,"
    "  error_code TEXT, error_detail TEXT, token_key INTEGER REFERENCES token(key),"
    "  revision INTEGER NOT NULL, created_ms INTEGER NOT NULL, finished_ms INTEGER,"
    "  CHECK ((state = 0) = (finished_ms IS NULL))) STRICT;"
    "CREATE INDEX operation_running ON operation(instance_key) WHERE state = 0;"
    "CREATE INDEX operation_list ON operation(project_key, key);"
    "CREATE INDEX operation_instance ON operation(instance_key, key);"

    /* The revision log. node_key: the agent that must look; NULL: none. */
    "CREATE TABLE event ("
    "  revision INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, actor TEXT NOT NULL,"
    "  project_key INTEGER REFERENCES project(key), node_key INTEGER REFERENCES node(key),"
    "  kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT, what TEXT NOT NULL) STRICT;"
    "CREATE INDEX event_project ON event(project_key, revision);"

    /* Who asked for what; its retention is its own. */
    "CREATE TABLE audit ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, actor TEXT NOT NULL,"
    "  project_key INTEGER, action TEXT NOT NULL, target TEXT, request_id TEXT NOT NULL,"
    "  revision INTEGER NOT NULL) STRICT;"

    "CREATE TABLE idempotency ("
    "  token_key INTEGER NOT NULL REFERENCES token(key), route TEXT NOT NULL, value TEXT NOT NULL,"
    "  body_hash BLOB NOT NULL, status INTEGER NOT NULL, secret INTEGER NOT NULL,"
    "  reply TEXT NOT NULL, location TEXT, etag TEXT, created_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (token_key, route, value)) STRICT;"
    "CREATE INDEX idempotency_age ON idempotency(created_ms);"

    /* Evidence, append-only; a repeat meets the unique index and changes nothing. What the
     * controller itself witnessed has no incarnation; node_key NULL: on its own machine.
     * resource_id '': of the machine as a whole. Each row is chained to the one before. */
    "CREATE TABLE observation ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, node_key INTEGER REFERENCES node(key),"
    "  boot_id TEXT NOT NULL, boot_order INTEGER NOT NULL, incarnation TEXT NOT NULL,"
    "  sequence INTEGER NOT NULL, kind INTEGER NOT NULL, resource_id TEXT NOT NULL, run INTEGER "
    "NOT NULL,"
    "  cause INTEGER NOT NULL, noticed INTEGER NOT NULL, boottime_ms INTEGER NOT NULL,"
    "  wall_ms INTEGER NOT NULL, vcpus INTEGER NOT NULL, memory_mib INTEGER NOT NULL,"
    "  disk_gib INTEGER NOT NULL, flavor_key INTEGER REFERENCES flavor(key),"
    "  bytes INTEGER NOT NULL, cpu_ns INTEGER NOT NULL,"
    "  ingress_bytes INTEGER NOT NULL, egress_bytes INTEGER NOT NULL,"
    "  received_ms INTEGER NOT NULL, chain BLOB NOT NULL CHECK (length(chain) = 32)) STRICT;"
    "CREATE UNIQUE INDEX observation_identity"
    "  ON observation(node_key, incarnation, sequence) WHERE incarnation <> '';"
    "CREATE INDEX observation_resource ON observation(resource_id, key) WHERE resource_id <> '';"
    /* Without the samples of counters (kind 4), which are most of all there is. */
    "CREATE INDEX observation_fact ON observation(resource_id, key)"
    "  WHERE resource_id <> '' AND kind <> 4;"
    /* Kinds 0 to 4 are the hosts' own, 5 is seen, 6 deleted, 7 clock, 8 booted, 9 priced (enum
     * observation_kind). */
    "CREATE INDEX observation_line ON observation(node_key, boot_id, boottime_ms)"
    "  WHERE kind <= 4;"
    "CREATE INDEX observation_priced ON observation(resource_id, key) WHERE kind = 9;"
    "CREATE INDEX observation_booted ON observation(node_key, boot_id, key) WHERE kind = 8;"
    "CREATE INDEX observation_order ON observation(node_key, boot_id, boot_order)"
    "  WHERE kind <> 4 AND kind <> 5 AND boot_order > 0;"
    "CREATE INDEX observation_of_boot ON observation(node_key, boot_id, resource_id)"
    "  WHERE resource_id <> '' AND kind <> 4;"
    "CREATE INDEX observation_seen ON observation(node_key, boot_id, boottime_ms)"
    "  WHERE kind = 5;"
    "CREATE INDEX observation_counted ON observation(resource_id, node_key, boot_id, boottime_ms)"
    "  WHERE kind = 4;"
    "CREATE INDEX observation_last_seen ON observation(node_key, key) WHERE kind = 5;"
    "CREATE INDEX observation_clock ON observation(node_key, boot_id, key) WHERE kind = 7;"
    "CREATE TRIGGER observation_no_update BEFORE UPDATE ON observation"
    "  BEGIN SELECT RAISE(ABORT, 'observations are append-only'); END;"
    "CREATE TRIGGER observation_no_delete BEFORE DELETE ON observation"
    "  BEGIN SELECT RAISE(ABORT, 'observations are append-only'); END;"

    /* Boots whose clock was found off (what it is off from: 0 its own line of time, 1 ours, 2 the
     * last seal), of a host or (node_key NULL) of the controller's own machine. Sealing waits
     * while any has not been confirmed. A row stays when it has been: so far (kept_*) that clock
     * may be off. */
    "CREATE TABLE clock_hold ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, node_key INTEGER REFERENCES node(key),"
    "  boot_id TEXT NOT NULL, step_ms INTEGER NOT NULL,"
    "  against INTEGER NOT NULL CHECK (against IN (0,1,2)), noted_ms INTEGER NOT NULL,"
    "  confirmed_ms INTEGER, kept_step_ms INTEGER NOT NULL, kept_line_ms INTEGER NOT NULL)"
    "  STRICT;"
    "CREATE UNIQUE INDEX clock_hold_boot ON clock_hold(ifnull(node_key, 0), boot_id);"

    /* Which flavor an instance was of, before a resize changed it: evidence knows sizes only. */
    "CREATE TABLE instance_flavor_past ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  instance_key INTEGER NOT NULL REFERENCES instance(key), vcpus INTEGER NOT NULL,"
    "  memory_mib INTEGER NOT NULL, flavor_key INTEGER REFERENCES flavor(key)) STRICT;"
    "CREATE INDEX instance_flavor_past_of ON instance_flavor_past(instance_key, key);"

    /* A seal: the moment up to which the ledger speaks, and the last evidence it knew; of that
     * from news_key on speaks of later time as well. The chains are those of the newest rows
     * then. */
    "CREATE TABLE seal ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, until_ms INTEGER NOT NULL UNIQUE,"
    "  observation_key INTEGER NOT NULL, observation_chain BLOB NOT NULL,"
    "  news_key INTEGER NOT NULL,"
    "  segment_ordinal INTEGER NOT NULL, segment_chain BLOB NOT NULL,"
    "  sealed_ms INTEGER NOT NULL, chain BLOB NOT NULL CHECK (length(chain) = 32)) STRICT;"
    "CREATE TRIGGER seal_no_update BEFORE UPDATE ON seal"
    "  BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;"
    "CREATE TRIGGER seal_no_delete BEFORE DELETE ON seal"
    "  BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;"

    /* The ledger (segment.h). An open row may be closed, once; nothing else of a row changes
     * ever. `ordinal`: its place in the chain, given when it closes. */
    "CREATE TABLE segment ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT, ordinal INTEGER UNIQUE, seal_key INTEGER NOT NULL,"
    "  close_seal_key INTEGER, kind INTEGER NOT NULL, sign INTEGER NOT NULL CHECK (sign IN (-1,1)),"
    "  reverses INTEGER REFERENCES segment(key),"
    "  corrects_until_ms INTEGER NOT NULL,"
    "  resource INTEGER NOT NULL, resource_key INTEGER NOT NULL,"
    "  project_key INTEGER NOT NULL REFERENCES project(key),"
    "  node_key INTEGER REFERENCES node(key), flavor_key INTEGER REFERENCES flavor(key),"
    "  run INTEGER NOT NULL, start_ms INTEGER NOT NULL, origin_ms INTEGER NOT NULL,"
    "  end_ms INTEGER, verified INTEGER NOT NULL, amount0 INTEGER NOT NULL,"
    "  amount1 INTEGER NOT NULL, amount2 INTEGER NOT NULL, chain BLOB,"
    "  CHECK (end_ms > start_ms), CHECK ((sign = -1) = (reverses IS NOT NULL)),"
    "  CHECK ((end_ms IS NULL) = (ordinal IS NULL)),"
    "  CHECK ((end_ms IS NULL) = (chain IS NULL)),"
    "  CHECK ((end_ms IS NULL) = (close_seal_key IS NULL))) STRICT;"
    "CREATE INDEX segment_time ON segment(start_ms);"
    "CREATE INDEX segment_project ON segment(project_key, start_ms);"
    /* Counters (kind 4) have rows for every hour, and of the old ones nobody asks. */
    "CREATE INDEX segment_resource ON segment(resource, resource_key, start_ms) WHERE kind <> 4;"
    "CREATE INDEX segment_counted ON segment(resource, resource_key, start_ms) WHERE kind = 4;"
    "CREATE INDEX segment_open ON segment(node_key) WHERE end_ms IS NULL;"
    /* Rows that were open across a seal; most are closed by the seal that writes them. */
    "CREATE INDEX segment_closed ON segment(close_seal_key, seal_key)"
    "  WHERE close_seal_key > seal_key;"
    "CREATE UNIQUE INDEX segment_reversed ON segment(reverses) WHERE reverses IS NOT NULL;"
    "CREATE TRIGGER segment_no_update BEFORE UPDATE ON segment WHEN OLD.end_ms IS NOT NULL"
    "  OR NEW.key <> OLD.key OR NEW.seal_key <> OLD.seal_key OR NEW.kind <> OLD.kind"
    "  OR NEW.sign <> OLD.sign OR NEW.corrects_until_ms <> OLD.corrects_until_ms"
    "  OR NEW.resource <> OLD.resource OR NEW.resource_key <> OLD.resource_key"
    "  OR NEW.project_key <> OLD.project_key OR NEW.node_key IS NOT OLD.node_key"
    "  OR NEW.flavor_key IS NOT OLD.flavor_key OR NEW.run <> OLD.run"
    "  OR NEW.start_ms <> OLD.start_ms OR NEW.origin_ms <> OLD.origin_ms"
    "  OR NEW.amount0 <> OLD.amount0 OR NEW.amount1 <> OLD.amount1"
    "  OR NEW.amount2 <> OLD.amount2"
    "  BEGIN SELECT RAISE(ABORT, 'segments are append-only'); END;"
    "CREATE TRIGGER segment_no_delete BEFORE DELETE ON segment"
    "  BEGIN SELECT RAISE(ABORT, 'segments are append-only'); END;",

    /* 2: a node's own epoch, since its word alone began one; NULL: the database's. */
    "ALTER TABLE node ADD COLUMN epoch TEXT;",

    /* 3: what was deleted goes after a while, and lists read what they show. Of an instance that
     * went this stays, for ever, since segments and evidence speak of it: bills name it, proofs
     * look up whose it was, and a host that still has it must not seem to know of another past.
     * labels NULL: none. */
    "CREATE TABLE instance_past ("
    "  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    "  project_key INTEGER NOT NULL REFERENCES project(key), name TEXT NOT NULL, labels TEXT,"
    "  node_key INTEGER NOT NULL REFERENCES node(key), flavor_key INTEGER REFERENCES flavor(key),"
    "  vcpus INTEGER NOT NULL, memory_mib INTEGER NOT NULL, generation INTEGER NOT NULL) STRICT;"
    "CREATE INDEX instance_past_project ON instance_past(project_key);"
    /* Of an image that was stored once, and so has evidence. */
    "CREATE TABLE image_past ("
    "  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    "  project_key INTEGER NOT NULL REFERENCES project(key), name TEXT NOT NULL, labels TEXT)"
    "  STRICT;"
    "CREATE INDEX image_past_project ON image_past(project_key);"

    /* All that there ever was, for who needs no more than that. */
    "CREATE VIEW instance_ever AS"
    "  SELECT key, id, project_key, name, labels, node_key, flavor_key, vcpus, memory_mib,"
    "   generation, revision, deleted_ms FROM instance UNION ALL"
    "  SELECT key, id, project_key, name, ifnull(labels, '{}'), node_key, flavor_key, vcpus,"
    "   memory_mib, generation, 0, 0 FROM instance_past;"
    "CREATE VIEW image_ever AS"
    "  SELECT key, id, project_key, name, labels, public, revision, deleted_ms FROM image"
    "  UNION ALL SELECT key, id, project_key, name, ifnull(labels, '{}'), 0, 0, 0 FROM image_past;"

    /* By age. An entry is made when the row is deleted, so that creating pays nothing. */
    "CREATE INDEX instance_gone ON instance(gone_ms) WHERE gone_ms IS NOT NULL;"
    "CREATE INDEX image_deleted ON image(deleted_ms) WHERE deleted_ms IS NOT NULL;"
    "CREATE INDEX token_deleted ON token(deleted_ms) WHERE deleted_ms IS NOT NULL;"
    "CREATE INDEX ssh_key_deleted ON ssh_key(deleted_ms) WHERE deleted_ms IS NOT NULL;"
    /* Deleting a row looks for others that point at it. Operations no longer say whose token
     * asked for them, so that this one holds what is left of those that did. */
    "CREATE INDEX operation_token ON operation(token_key) WHERE token_key IS NOT NULL;"
    "DROP INDEX instance_image;"
    "CREATE INDEX instance_image ON instance(image_key, gone_ms);"

    /* Of a project: what there is now, and (first columns alone) what there ever was. */
    "DROP INDEX instance_list;"
    "CREATE INDEX instance_list ON instance(project_key, deleted_ms);"
    "CREATE INDEX image_list ON image(project_key, deleted_ms);"
    "CREATE INDEX image_public ON image(key) WHERE public = 1 AND deleted_ms IS NULL;"
    "CREATE INDEX image_all ON image(key) WHERE deleted_ms IS NULL;"
    "CREATE INDEX image_file ON image(key) WHERE file_gone_ms IS NULL;"
    "CREATE INDEX ssh_key_list ON ssh_key(project_key, key) WHERE deleted_ms IS NULL;"
    "CREATE INDEX ssh_key_all ON ssh_key(key) WHERE deleted_ms IS NULL;"
    "CREATE INDEX token_list ON token(project_key, key) WHERE deleted_ms IS NULL;"
    "CREATE INDEX token_all ON token(key) WHERE deleted_ms IS NULL;"
    "CREATE INDEX price_list ON price(project_key, key) WHERE deleted_ms IS NULL;",

    /* 4: what hosts said is amiss with them, as of their last reports. */
    "CREATE TABLE node_condition ("
    "  node_key INTEGER NOT NULL REFERENCES node(key), code TEXT NOT NULL, text TEXT NOT NULL,"
    "  since_ms INTEGER NOT NULL, PRIMARY KEY (node_key, code)) STRICT;",

    /* 5: since when the file of a ready image is not there, though nobody deleted it: as with a
     * database from before the image was deleted. */
    ("ALTER TABLE image ADD COLUMN file_missing_ms INTEGER;"
     "CREATE INDEX image_missing ON image(key) WHERE file_missing_ms IS NOT NULL;"),
};

const char *const *schema_migrations(int *ret_count)
{
    *ret_count = (int)(sizeof(migrations) / sizeof(migrations[0]));
    return migrations;
}
