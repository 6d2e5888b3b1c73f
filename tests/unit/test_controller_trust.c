/* What a host says is believed for its own share, and within limits: one host's token in bad
 * hands changes nothing of other hosts' guests, and nothing for good. */
#include <inttypes.h>

#include "api/base/limits.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/tx/readers.h"
#include "tests/unit/evil_host.h"

/* ---- histories that were never ---- */

/* A later revision of the present epoch, with this mark. */
static void claim_later(struct evil *evil, const char *mark)
{
    autofree char *epoch = evil_epoch(evil, 2);
    autofree char *more =
        xasprintf("\"epoch\":\"%s\",\"revision\":900000,\"mark\":\"%s\",", epoch, mark);
    evil_said(evil, 200, &(struct claim){.more = more});
}

static int64_t adopting(struct evil *evil, const char *name)
{
    return world_number(evil->world, strcmp(name, "one") == 0
                                         ? "SELECT adopt FROM instance WHERE name = 'one'"
                                         : "SELECT adopt FROM instance WHERE name = 'two'");
}

static void
test_trust__a_history_that_one_host_makes_up_is_believed_for_that_host_only(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    autofree char *stop = world_act(evil.world, evil.one, "stop", "{}");
    autofree char *before = evil_epoch(&evil, 1);
    evil_begin(&evil);
    claim_later(&evil, "");
    autofree char *good = evil_epoch(&evil, 1), *own = evil_epoch(&evil, 2);
    assert_string_equal(before, good);
    assert_string_not_equal(before, own);
    assert_int_equal(adopting(&evil, "one"), 0);
    assert_int_equal(adopting(&evil, "two"), 1);
    /* What was acknowledged comes about. */
    world_settle(evil.good);
    world_see(evil.world, stop, "state", "done");
    world_see(evil.world, evil.one_path, "state", "stopped");
    /* And the host's own guests are taken over as soon as an honest agent looks. */
    sim_restart(evil.host);
    world_settle(evil.host);
    world_see(evil.world, evil.two_path, "state", "running");
    assert_int_equal(adopting(&evil, "two"), 0);
}

static void test_trust__a_mark_cannot_be_made_up(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    autofree char *before = evil_epoch(&evil, 1);
    evil_begin(&evil);
    claim_later(&evil, "0123456789abcdef0123456789abcdef01234567");
    autofree char *good = evil_epoch(&evil, 1);
    assert_string_equal(before, good);
    assert_int_equal(adopting(&evil, "one"), 0);
}

/* The mark of a revision that was given for another one proves nothing of this one. */
static void test_trust__a_mark_is_good_for_its_own_revision_and_epoch_only(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    struct answer auto_answer_json page = cloud_call_as(&evil.world->cloud, sim_token(evil.host),
                                                        NULL, "GET", "/v1/node/desired", NULL);
    const char *mark = answer_str(&page, "mark");
    assert_int_equal(strlen(mark), NODE_MARK_MAX);
    evil_begin(&evil);
    claim_later(&evil, mark);
    assert_int_equal(adopting(&evil, "one"), 0);
    autofree char *future = xasprintf("\"epoch\":\"ffffffff-ffff-7fff-8fff-ffffffffffff\","
                                      "\"revision\":%" PRId64 ",\"mark\":\"%s\",",
                                      answer_i64(&page, "revision"), mark);
    evil_said(&evil, 200, &(struct claim){.more = future});
    assert_int_equal(adopting(&evil, "one"), 0);
}

/* With a join token it has itself a second node; but what was signed for the first one's own
 * epoch is no news. */
static void test_trust__an_epoch_of_ones_own_proves_nothing_under_another_name(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    evil_begin(&evil);
    claim_later(&evil, "");
    struct answer auto_answer_json page = cloud_call_as(&evil.world->cloud, sim_token(evil.host),
                                                        NULL, "GET", "/v1/node/desired", NULL);
    autofree char *more = xasprintf("\"epoch\":\"%s\",\"revision\":%" PRId64 ",\"mark\":\"%s\",",
                                    answer_str(&page, "epoch"), answer_i64(&page, "revision"),
                                    answer_str(&page, "mark"));
    struct sim_agent *first = evil.host;
    evil.host = world_host(evil.world, "again", 1024);
    evil_said(&evil, 200, &(struct claim){.full = true, .more = more});
    assert_int_equal(adopting(&evil, "one"), 0);
    sim_free(first);
}

static void test_trust__one_host_begins_no_epoch_after_the_other(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    static const char count[] = "SELECT count(*) FROM event WHERE what = 'epoch'";
    autofree char *metadata = NULL;
    evil_begin(&evil);
    for (int i = 0; i < 100; i++) {
        claim_later(&evil, "");
        autofree char *epoch = evil_epoch(&evil, 2);
        free(metadata);
        metadata = xasprintf("{\"id\":\"%s\",\"state\":\"running\",\"epoch\":\"%s\","
                             "\"generation\":99999}",
                             evil.two, epoch);
        evil_said(&evil, 200, &(struct claim){.instances = metadata});
    }
    assert_int_equal(world_number(evil.world, count), 1);
    autofree char *good = evil_epoch(&evil, 1), *own = evil_epoch(&evil, 2);
    assert_true(strcmp(own, good) > 0);
}

/* ---- how much ---- */

static char *counts(struct evil *evil, int64_t first, int64_t last)
{
    struct buf text = {0};
    for (int64_t i = first; i <= last; i++)
        buf_printf(&text,
                   "%s{\"boot_id\":\"%s\",\"incarnation\":\"spool\",\"sequence\":%" PRId64
                   ",\"kind\":\"counted\",\"instance\":\"%s\",\"run\":1,\"boottime_ms\":%" PRId64
                   ",\"wall_ms\":%" PRId64 ",\"cpu_ns\":%" PRId64 "}",
                   i > first ? "," : "", sim_boot_id(evil->host), i, evil->two, i, i, i);
    return buf_take(&text);
}

/* A thousand pieces with each report: what was acknowledged last. */
static int64_t bring_counts(struct evil *evil, int64_t pieces)
{
    int64_t acknowledged = 0;
    for (int64_t i = 1; i <= pieces; i += LIMIT_OBSERVATIONS) {
        autofree char *items = counts(evil, i, i + LIMIT_OBSERVATIONS - 1);
        struct answer auto_answer_json answer =
            evil_say(evil, &(struct claim){.observations = items});
        assert_int_equal(answer.status, 200);
        if (answer_i64(&answer, "acknowledged"))
            acknowledged = answer_i64(&answer, "acknowledged");
    }
    return acknowledged;
}

/* It is kept for ever. The host is not refused: it is heard, and what was not taken comes again. */
static void test_trust__one_host_brings_so_much_evidence_at_once_and_no_more(void **state)
{
    static const char count[] = "SELECT count(*) FROM observation WHERE incarnation = 'spool'";
    struct evil auto_evil evil = evil_open(state);
    evil_begin(&evil);
    int64_t begin_ms = clock_boottime_ms();
    bring_counts(&evil, LIMIT_EVIDENCE_AT_ONCE);
    assert_int_equal(world_number(evil.world, count), LIMIT_EVIDENCE_AT_ONCE);
    bring_counts(&evil, 2 * LIMIT_EVIDENCE_AT_ONCE);
    int64_t passed_s = (clock_boottime_ms() - begin_ms) / 1000 + 1;
    assert_in_range(world_number(evil.world, count), LIMIT_EVIDENCE_AT_ONCE,
                    LIMIT_EVIDENCE_AT_ONCE + passed_s * LIMIT_EVIDENCE_SECOND);
    world_until(evil.world, bring_counts(&evil, 1) == LIMIT_OBSERVATIONS);
    /* The other host's is none the less. */
    autofree char *stop = world_act(evil.world, evil.one, "stop", "{}");
    world_settle(evil.good);
    world_see(evil.world, stop, "state", "done");
}

/* ---- copies ---- */

static void run(char *const argv[])
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

/* Puts one folder in place of another while the controller is down; `without`: of its files. */
static void replace(struct world *world, const char *from, const char *to, const char *without)
{
    autofree char *source = xasprintf("%s/%s", world->dir, from);
    autofree char *target = xasprintf("%s/%s", world->dir, to);
    world_close(world);
    run((char *[]){(char[]){"rm"}, (char[]){"-rf"}, target, NULL});
    run((char *[]){(char[]){"cp"}, (char[]){"-a"}, source, target, NULL});
    if (without) {
        autofree char *file = xasprintf("%s/%s", target, without);
        run((char *[]){(char[]){"rm"}, file, NULL});
    }
    world_open(world);
}

static void report(struct sim_agent *host)
{
    struct err auto_err err = {0};
    if (sim_round(host, true, 0, &err) != 0)
        fail_msg("%s", err.msg);
}

/* A copy is put back that knows less than the good host saw. */
static void restore(struct evil *evil, const char *without)
{
    replace(evil->world, "data", "copy", NULL);
    for (int i = 0; i < 3; i++)
        world_did(evil->world, 200, "PATCH", "/v1/images/tiny", "{\"labels\":{\"n\":\"%d\"}}", i);
    free(world_act(evil->world, evil->one, "stop", "{}"));
    world_settle(evil->good);
    replace(evil->world, "copy", "data", without);
}

static void test_trust__our_own_signature_on_one_host_proves_a_copy_for_all(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    restore(&evil, NULL);
    report(evil.good);
    assert_int_equal(adopting(&evil, "one"), 1);
    assert_int_equal(adopting(&evil, "two"), 1);
    world_settle(evil.good);
    world_settle(evil.host);
    world_see(evil.world, evil.one_path, "state", "stopped");
    world_see(evil.world, evil.two_path, "state", "running");
}

static void test_trust__a_copy_of_before_the_last_epoch_is_noticed(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    replace(evil.world, "data", "copy", NULL);
    world_did(evil.world, 200, "POST", "/v1/system/restored", "{}");
    world_settle(evil.good);
    world_settle(evil.host);
    replace(evil.world, "copy", "data", NULL);
    autofree char *before = evil_epoch(&evil, 2);
    report(evil.good);
    autofree char *after = evil_epoch(&evil, 2);
    assert_true(strcmp(after, before) > 0);
    assert_int_equal(adopting(&evil, "two"), 1);
    world_settle(evil.good);
    world_settle(evil.host);
    assert_int_equal(adopting(&evil, "one") + adopting(&evil, "two"), 0);
    assert_int_equal(world_number(evil.world, "SELECT count(*) FROM node WHERE epoch IS NOT NULL"),
                     0);
}

static void
test_trust__without_its_key_a_copy_waits_for_each_host_or_an_operators_word(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    restore(&evil, "marks.key");
    report(evil.good);
    assert_int_equal(adopting(&evil, "one"), 1);
    assert_int_equal(adopting(&evil, "two"), 0);
    struct answer auto_answer_json said = world_call(evil.world, 200, "POST", "/v1/system/restored",
                                                     "{\"reason\":\"Monday's copy\"}");
    assert_non_null(answer_str(&said, "epoch"));
    assert_int_equal(adopting(&evil, "two"), 1);
    assert_int_equal(world_number(evil.world, "SELECT count(*) FROM audit"
                                              " WHERE action = 'system.restored'"),
                     1);
    world_settle(evil.good);
    world_settle(evil.host);
    world_see(evil.world, evil.one_path, "state", "stopped");
    world_see(evil.world, evil.two_path, "state", "running");
}

static void test_trust__the_key_of_marks_is_for_its_owner_only_and_stays(void **state)
{
    struct world *world = *state;
    struct stat st;
    autofree char *path = xasprintf("%s/data/marks.key", world->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    autofree char *before = world_secret(world, "marks.key");
    world_restart(world);
    autofree char *after = world_secret(world, "marks.key");
    assert_string_equal(before, after);
}

/* ---- numbers that cannot be ---- */

#define TOO_MUCH "9007199254740991"

/* The whole attack of a host on its own instance: it is to be adopted, with these facts. */
static void adopt_as(struct evil *evil, const char *facts)
{
    evil_begin(evil);
    claim_later(evil, "");
    autofree char *epoch = evil_epoch(evil, 2);
    autofree char *more = xasprintf("\"epoch\":\"%s\",\"revision\":1,", epoch);
    autofree char *two =
        xasprintf("{\"id\":\"%s\",\"state\":\"running\",\"converged\":true,%s}", evil->two, facts);
    evil_said(evil, 200, &(struct claim){.full = true, .more = more, .instances = two});
}

static void all_can_be_listed(struct world *world)
{
    static const char *const lists[] = {"/v1/instances", "/v1/nodes",     "/v1/events",
                                        "/v1/usage",     "/v1/usage/now", "/v1/operations"};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        struct answer auto_answer_json list = world_call(world, 200, "GET", lists[i], NULL);
        if (!list.json)
            fail_msg("%s cannot be read: %s", lists[i], list.text);
    }
    world_did(world, 200, "GET", "/metrics", NULL);
}

static void test_trust__facts_that_cannot_be_make_that_instance_an_error_by_name(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    static const char *const facts[] = {"vcpus", "memory_mib", "disk_gib", "run", "disk_number"};
    adopt_as(&evil, "\"vcpus\":" TOO_MUCH ",\"memory_mib\":" TOO_MUCH);
    for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
        autofree char *epoch = evil_epoch(&evil, 2);
        autofree char *more = xasprintf("\"epoch\":\"%s\",\"revision\":1,", epoch);
        autofree char *two = xasprintf("{\"id\":\"%s\",\"state\":\"running\",\"%s\":" TOO_MUCH "}",
                                       evil.two, facts[i]);
        evil_said(&evil, 200, &(struct claim){.more = more, .instances = two});
        world_see(evil.world, evil.two_path, "state", "error");
        struct answer auto_answer_json shown =
            world_call(evil.world, 200, "GET", evil.two_path, NULL);
        assert_non_null(strstr(answer_str(&shown, "reason"), facts[i]));
    }
    world_see(evil.world, evil.one_path, "state", "running");
    assert_int_equal(world_number(evil.world, "SELECT max(vcpus, run, memory_mib / 1024)"
                                              " FROM instance WHERE name = 'two'"),
                     1);
    assert_int_equal(world_number(evil.world, "SELECT count(*) FROM observation"
                                              " WHERE vcpus > 256 OR run > 1000"),
                     0);
    world_restart(evil.world);
    all_can_be_listed(evil.world);
    /* An honest agent on that host, and all is well. */
    sim_restart(evil.host);
    world_settle(evil.host);
    world_see(evil.world, evil.two_path, "state", "running");
}

/* Rows of an older version, or of a bad disk. */
static void test_trust__rows_that_cannot_be_stop_no_start_and_their_host_is_asked(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    world_number(evil.world, "UPDATE instance SET vcpus = 9007199254740991,"
                             " memory_mib = 9223372036854775807, run = 9007199254740991,"
                             " generation = 9007199254740990 RETURNING 1");
    world_number(evil.world, "UPDATE instance SET memory_mib = 9223372036854775807 RETURNING 1");
    world_number(evil.world, "INSERT INTO quarantine VALUES (1, 'a', NULL, 1, 9223372036854775807,"
                             " 1, 1, 0, NULL, 1) RETURNING 1");
    world_number(evil.world, "INSERT INTO quarantine VALUES (1, 'b', NULL, 1, 9223372036854775807,"
                             " 1, 1, 0, NULL, 1) RETURNING 1");
    world_restart(evil.world);
    all_can_be_listed(evil.world);
    world_see(evil.world, evil.one_path, "state", "error");
    world_see(evil.world, evil.one_path, "reason",
              "its row said vcpus 9007199254740991, and at most 256 can be; its host is asked");
    world_settle(evil.good);
    world_settle(evil.host);
    world_see(evil.world, evil.one_path, "state", "running");
    world_see(evil.world, evil.two_path, "state", "running");
    assert_int_equal(world_number(evil.world, "SELECT max(memory_mib + run) FROM instance"), 1025);
    struct sim_count count;
    sim_count(evil.good, &count);
    assert_int_equal(count.starts, 1);
}

static void test_trust__evidence_of_sizes_that_cannot_be_counts_as_the_most_that_can(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    struct err auto_err err = {0};
    world_number(evil.world,
                 "INSERT INTO observation SELECT (SELECT max(key) FROM observation) + 1, node_key,"
                 " boot_id, boot_order, '', 0, kind, resource_id, run, cause, noticed,"
                 " boottime_ms + 1, wall_ms + 1, 9223372036854775807, 9223372036854775807,"
                 " 9223372036854775807, flavor_key, bytes, cpu_ns, ingress_bytes, egress_bytes,"
                 " received_ms, chain FROM observation WHERE kind = 0 LIMIT 1 RETURNING 1");
    struct db *db = app_reader(evil.world->app);
    struct evidence *evidence = evidence_at(db, INT64_MAX, 0, NULL, NULL);
    autofree struct fact *facts = NULL;
    size_t count = 0;
    assert_int_equal(evidence_facts(evidence, evil.one, &facts, &count, &err), 0);
    assert_true(count >= 3);
    for (size_t i = 0; i < count; i++)
        assert_true(facts[i].vcpus <= LIMIT_VCPUS && facts[i].memory_mib <= LIMIT_MEMORY_MIB &&
                    facts[i].disk_gib <= LIMIT_DISK_GIB);
    evidence_free(evidence);
    all_can_be_listed(evil.world);
}

static void test_trust__a_start_that_no_clock_can_have_seen_is_not_shown(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    evil_begin(&evil);
    autofree char *two = xasprintf("{\"id\":\"%s\",\"state\":\"running\",\"run\":1}", evil.two);
    autofree char *start = xasprintf(
        "{\"boot_id\":\"%s\",\"incarnation\":\"s\",\"sequence\":1,\"kind\":\"started\","
        "\"instance\":\"%s\",\"run\":1,\"vcpus\":1,\"memory_mib\":1,\"wall_ms\":" TOO_MUCH "}",
        sim_boot_id(evil.host), evil.two);
    evil_said(&evil, 200, &(struct claim){.instances = two, .observations = start});
    struct answer auto_answer_json shown = world_call(evil.world, 200, "GET", evil.two_path, NULL);
    assert_int_equal(strncmp(answer_str(&shown, "started_at"), "20", 2), 0);
}

static void test_trust__counts_beyond_what_json_holds_as_a_number_are_taken(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    sim_say(evil.host, evil.two,
            &(struct observation){.kind = OBS_COUNTED, .run = 1, .cpu_ns = (int64_t)1 << 55});
    world_settle(evil.host);
    assert_int_equal(world_number(evil.world, "SELECT max(cpu_ns) FROM observation"),
                     (int64_t)1 << 55);
}

/* ---- strangers ---- */

/* Domains with every address and many user ids. */
static char *strangers(int first, int last)
{
    struct buf all = {0};
    for (int i = first; i <= last; i++)
        buf_printf(&all,
                   "%s{\"id\":\"0b0b0b0b-0000-4000-8000-%012d\",\"state\":\"running\","
                   "\"vcpus\":0,\"uid\":%d,\"address\":\"10.77.0.%d\"}",
                   i > first ? "," : "", i, 200000 + i, i % 256);
    return buf_take(&all);
}

static void test_trust__one_hosts_strangers_take_no_address_and_no_user_of_others(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    evil_begin(&evil);
    autofree char *all = strangers(0, 255);
    evil_said(&evil, 200, &(struct claim){.instances = all});
    /* The evil one has more room; but there is no address left there. */
    for (int i = 0; i < 3; i++) {
        autofree char *name = xasprintf("more%d", i), *id = world_create(evil.world, name);
        autofree char *path = world_instance(id);
        world_see(evil.world, path, "node", "good");
    }
    assert_int_equal(world_number(evil.world, "SELECT max(uid) - min(uid) FROM instance"), 4);
    /* What has an address keeps it, and starts. */
    free(world_act(evil.world, evil.one, "stop", "{}"));
    world_settle(evil.good);
    autofree char *start = world_act(evil.world, evil.one, "start", "{}");
    world_settle(evil.good);
    world_see(evil.world, start, "state", "done");
    world_see(evil.world, evil.one_path, "addresses.0.address", "10.77.0.2");
    struct answer auto_answer_json node =
        world_call(evil.world, 200, "GET", "/v1/nodes/evil", NULL);
    world_is(&node, "quarantined.9.address", "10.77.0.9");
}

static void test_trust__what_all_hosts_refuse_for_strangers_is_said(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    evil_begin(&evil);
    autofree char *all = strangers(0, 255);
    evil_said(&evil, 200, &(struct claim){.instances = all});
    world_did(evil.world, 200, "PATCH", "/v1/nodes/good", "{\"schedulable\":false}");
    struct answer auto_answer_json refused =
        world_call(evil.world, 409, "POST", "/v1/instances",
                   "{\"name\":\"n\",\"image\":\"tiny\",\"flavor\":\"tiny\"}");
    assert_non_null(strstr(answer_str(&refused, "detail"), "node evil"));
    world_did(evil.world, 200, "PATCH", "/v1/nodes/good", "{\"schedulable\":true}");
    free(world_create(evil.world, "three"));
}

static void test_trust__a_hosts_quarantine_has_an_end(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    evil_begin(&evil);
    for (int i = 0; i < 3; i++) {
        autofree char *some = strangers(i * 700, i * 700 + 699);
        evil_said(&evil, 200, &(struct claim){.instances = some});
    }
    assert_int_equal(world_number(evil.world, "SELECT count(*) FROM quarantine"),
                     LIMIT_NODE_STRANGERS);
}

/* ---- names and texts ---- */

static int join_as(struct world *world, const char *members)
{
    autofree char *body = xasprintf("{%s,\"protocol\":1,\"capacity\":{\"cpus\":1,\"memory_mib\":1,"
                                    "\"disk_gib\":1,\"virt\":\"qemu\"}}",
                                    members);
    struct answer auto_answer_json answer =
        cloud_call_as(&world->cloud, world->join, NULL, "POST", "/v1/nodes", body);
    if (answer.status != 201)
        world_is(&answer, "code", "invalid_field");
    return answer.status;
}

static void test_trust__a_host_joins_with_a_name_that_a_person_could_give(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    struct world *world = evil.world;
    autofree char *id =
        xasprintf("\"name\":\"%s\",\"host_uuid\":\"u\",\"boot_id\":\"b\"", sim_node_id(evil.good));
    const char *const bad[] = {
        id,
        "\"name\":\"0b0b0b0b-0000-4000-8000-000000000001\",\"host_uuid\":\"u\",\"boot_id\":\"b\"",
        "\"name\":\"a\\u001b[2Jb\",\"host_uuid\":\"u\",\"boot_id\":\"b\"",
        "\"name\":\"a\\nb\",\"host_uuid\":\"u\",\"boot_id\":\"b\"",
        "\"name\":\"A b\",\"host_uuid\":\"u\",\"boot_id\":\"b\"",
        "\"name\":\"n\",\"host_uuid\":\"a\\u001b\",\"boot_id\":\"b\"",
        "\"name\":\"n\",\"host_uuid\":\"u\",\"boot_id\":\"b\\\" x=\\\"y\"",
        "\"name\":\"n\",\"host_uuid\":\"u\",\"boot_id\":\"b\",\"version\":\"1\\u0007\"",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(join_as(world, bad[i]), 400);
    assert_int_equal(join_as(world, "\"name\":\"n\",\"host_uuid\":\"u\",\"boot_id\":\"b\""), 201);
    world_see(world, "/v1/nodes/good", "id", sim_node_id(evil.good));
}

static void test_trust__what_a_host_calls_itself_is_a_word(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    const char *const bad[] = {"\"version\":\"1\\u001b[2J\",", "\"epoch\":\"a b\",",
                               "\"mark\":\"a\\nb\",", "\"revision\":-1,", "\"boot_order\":-1,"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        evil_said(&evil, 400, &(struct claim){.full = true, .more = bad[i]});
}

static void test_trust__reasons_and_names_of_a_host_drive_no_terminal(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    evil_begin(&evil);
    autofree char *said = xasprintf(
        "{\"id\":\"%s\",\"state\":\"error\",\"run\":1,\"reason\":\"a\\u001b[2J\\nb\\u0085c\"},"
        "{\"id\":\"0b0b0b0b-0000-4000-8000-000000000001\",\"state\":\"running\","
        "\"name\":\"x\\u001b]0;y\\u0007\"}",
        evil.two);
    evil_said(&evil, 200, &(struct claim){.instances = said});
    world_see(evil.world, evil.two_path, "reason", "a [2J b  c");
    struct answer auto_answer_json node =
        world_call(evil.world, 200, "GET", "/v1/nodes/evil", NULL);
    world_is(&node, "quarantined.0.name", "x ]0;y ");
}

/* ---- reports that are too much ---- */

/* Evidence of an instance that is none of its own. */
static char *evidence(struct evil *evil, int count)
{
    struct buf all = {0};
    for (int i = 0; i < count; i++)
        buf_printf(&all,
                   "%s{\"boot_id\":\"b\",\"incarnation\":\"s\",\"sequence\":%d,"
                   "\"kind\":\"started\",\"instance\":\"%s\",\"vcpus\":1,\"memory_mib\":1}",
                   i ? "," : "", i + 1, evil->one);
    return buf_take(&all);
}

static void test_trust__a_report_brings_at_most_a_thousand_observations(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    evil_begin(&evil);
    autofree char *many = evidence(&evil, LIMIT_OBSERVATIONS + 1);
    struct answer auto_answer_json answer = evil_say(&evil, &(struct claim){.observations = many});
    assert_int_equal(answer.status, 400);
    world_is(&answer, "field", "/observations");
    assert_non_null(strstr(answer_str(&answer, "detail"), "at most 1000 items"));
}

static void say_bad_rows(struct evil *evil)
{
    autofree char *many = evidence(evil, LIMIT_OBSERVATIONS);
    struct buf auto_buf rows = {0};
    for (int i = 0; i < 500; i++)
        buf_printf(&rows, "%s{\"id\":\"no id %d\",\"state\":\"running\"}", i ? "," : "", i);
    evil_said(evil, 200, &(struct claim){.observations = many, .instances = rows.data});
}

static void test_trust__a_bad_report_is_one_line_of_the_log(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    evil_begin(&evil);
    autofree char *log = evil_log_of(say_bad_rows, &evil);
    int lines = 0;
    for (const char *at = log; (at = strstr(at, "event=node.")); at++)
        lines++;
    if (lines != 1)
        fail_msg("%d lines: %.300s", lines, log);
    assert_non_null(strstr(log, "node=evil refused=1500"));
    assert_int_equal(
        world_number(evil.world, "SELECT count(*) FROM observation WHERE boot_id = 'b'"), 0);
}

/* ---- whatever a host may say ---- */

static const char *number(void)
{
    static const char *const all[] = {"0",
                                      "1",
                                      "-1",
                                      "2",
                                      "255",
                                      "65536",
                                      "2147483648",
                                      "1099511627776",
                                      "1099511627777",
                                      "4503599627370496",
                                      TOO_MUCH,
                                      "-9007199254740991"};
    return all[(size_t)random() % ARRAY_SIZE(all)];
}

static const char *chosen(const char *const *names)
{
    size_t count = 0;
    while (names[count])
        count++;
    return names[(size_t)random() % count];
}

static const char *domain(struct evil *evil)
{
    static char text[40];
    const char *const all[] = {evil->one, evil->two, evil->two, text};
    snprintf(text, sizeof(text), "0b0b0b0b-0000-4000-8000-%012ld", random() % 9);
    return all[(size_t)random() % ARRAY_SIZE(all)];
}

static const char *epoch(struct evil *evil, char **all)
{
    free(*all);
    *all = evil_epoch(evil, 2);
    static const char future[] = "ffffffff-ffff-7fff-8fff-ffffffffffff";
    return random() % 3 ? *all : future;
}

static void say_anything(struct evil *evil)
{
    autofree char *known = NULL;
    struct buf auto_buf instances = {0}, observations = {0};
    for (long i = 0, count = random() % 6; i < count; i++)
        buf_printf(&instances,
                   "%s{\"id\":\"%s\",\"epoch\":\"%s\",\"generation\":%s,\"converged\":%s,"
                   "\"state\":\"%s\",\"reason\":\"\\u001b%s\",\"run\":%s,\"cause\":\"%s\","
                   "\"vcpus\":%s,\"memory_mib\":%s,\"disk_gib\":%s,\"disk_number\":%s,\"uid\":%s,"
                   "\"address\":\"10.77.0.%ld\",\"name\":\"\\n\",\"final\":%s}",
                   i ? "," : "", domain(evil), epoch(evil, &known), number(),
                   random() % 2 ? "true" : "false", chosen(state_names), number(), number(),
                   chosen(cause_names), number(), number(), number(), number(), number(),
                   random() % 300, random() % 2 ? "true" : "false");
    for (long i = 0, count = random() % 6; i < count; i++)
        buf_printf(&observations,
                   "%s{\"boot_id\":\"%s\",\"incarnation\":\"s\",\"sequence\":%s,\"kind\":\"%s\","
                   "\"instance\":\"%s\",\"run\":%s,\"cause\":\"%s\",\"boottime_ms\":%s,"
                   "\"wall_ms\":%s,\"vcpus\":%s,\"memory_mib\":%s,\"disk_gib\":%s,\"cpu_ns\":%s,"
                   "\"ingress_bytes\":\"%s\",\"boot_order\":%s,\"noticed\":%s}",
                   i ? "," : "", random() % 2 ? sim_boot_id(evil->host) : "b", number(),
                   chosen(observation_names), domain(evil), number(), chosen(cause_names), number(),
                   number(), number(), number(), number(), number(), number(), number(),
                   random() % 2 ? "true" : "false");
    autofree char *more =
        xasprintf("\"epoch\":\"%s\",\"revision\":%s,\"mark\":\"%s\",\"boot_order\":%s,",
                  epoch(evil, &known), number(), random() % 2 ? "0123456789abcdef" : "", number());
    struct answer auto_answer_json answer =
        evil_say(evil, &(struct claim){.full = random() % 3 == 0,
                                       .more = more,
                                       .instances = instances.data,
                                       .observations = observations.data});
    if (answer.status != 200 && answer.status != 400 && answer.status != 409)
        fail_msg("the report gave %d: %s", answer.status, answer.text);
}

static void test_trust__whatever_a_host_says_the_rest_stays_and_all_can_be_read(void **state)
{
    struct evil auto_evil evil = evil_open(state);
    static const char row[] =
        "SELECT generation * 1000000 + run * 10000 + adopt * 1000 + power * 100"
        " + observed_state * 10 + vcpus FROM instance WHERE name = 'one'";
    int64_t before = world_number(evil.world, row);
    srandom(19);
    for (int turn = 0; turn < 4; turn++) {
        evil_begin(&evil);
        for (int i = 0; i < 150; i++)
            say_anything(&evil);
        world_restart(evil.world);
        all_can_be_listed(evil.world);
        id_new(evil.incarnation);
    }
    assert_int_equal(world_number(evil.world, row), before);
    free(world_create(evil.world, "still"));
    sim_restart(evil.good);
    world_settle(evil.good);
    world_see(evil.world, evil.one_path, "state", "running");
    assert_true(world_number(evil.world, "SELECT max(vcpus, memory_mib, disk_gib, run >> 40)"
                                         " FROM instance WHERE name = 'two'") <= LIMIT_MEMORY_MIB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_trust__a_history_that_one_host_makes_up_is_believed_for_that_host_only),
        TEST(test_trust__a_mark_cannot_be_made_up),
        TEST(test_trust__a_mark_is_good_for_its_own_revision_and_epoch_only),
        TEST(test_trust__an_epoch_of_ones_own_proves_nothing_under_another_name),
        TEST(test_trust__one_host_begins_no_epoch_after_the_other),
        TEST(test_trust__one_host_brings_so_much_evidence_at_once_and_no_more),
        TEST(test_trust__our_own_signature_on_one_host_proves_a_copy_for_all),
        TEST(test_trust__a_copy_of_before_the_last_epoch_is_noticed),
        TEST(test_trust__without_its_key_a_copy_waits_for_each_host_or_an_operators_word),
        TEST(test_trust__the_key_of_marks_is_for_its_owner_only_and_stays),
        TEST(test_trust__facts_that_cannot_be_make_that_instance_an_error_by_name),
        TEST(test_trust__rows_that_cannot_be_stop_no_start_and_their_host_is_asked),
        TEST(test_trust__evidence_of_sizes_that_cannot_be_counts_as_the_most_that_can),
        TEST(test_trust__a_start_that_no_clock_can_have_seen_is_not_shown),
        TEST(test_trust__counts_beyond_what_json_holds_as_a_number_are_taken),
        TEST(test_trust__one_hosts_strangers_take_no_address_and_no_user_of_others),
        TEST(test_trust__what_all_hosts_refuse_for_strangers_is_said),
        TEST(test_trust__a_hosts_quarantine_has_an_end),
        TEST(test_trust__a_host_joins_with_a_name_that_a_person_could_give),
        TEST(test_trust__what_a_host_calls_itself_is_a_word),
        TEST(test_trust__reasons_and_names_of_a_host_drive_no_terminal),
        TEST(test_trust__a_report_brings_at_most_a_thousand_observations),
        TEST(test_trust__a_bad_report_is_one_line_of_the_log),
        TEST(test_trust__whatever_a_host_says_the_rest_stays_and_all_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
