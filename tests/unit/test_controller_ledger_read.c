/* What is read between two seals: sealed rows, and behind them what is known since, of which the
 * word of a host that no row says yet is a part. Times are minutes from the first moment of
 * 2026-11-10. */
#include "api/base/buf.h"
#include "controller/app.h"
#include "controller/ledger/book/ledger.h"
#include "controller/ledger/book/ledger_months.h"
#include "controller/ledger/evidence/ledger_views.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/ledger/evidence/vouch_set.h"
#include "controller/ledger/segment/store_seal.h"
#include "tests/unit/ledger_fixture.h"

enum { THING = 3, ITS_NODE = 1 + THING % NODES }; /* the instance of all that happens here */
static char boot[] = "boot";

struct site {
    char *dir, *template;
    struct ledger_db db;
    struct app app;
};

static int64_t minute(int64_t minutes)
{
    static int64_t base;
    if (!base)
        assert_int_equal(clock_parse("2026-11-10T00:00:00Z", &base), 0);
    return base + minutes * 60000;
}

static int setup(void **state)
{
    struct site *site = xcalloc(1, sizeof(*site));
    log_set_level(LOG_ERROR + 1);
    site->dir = guard_tempdir("ledger-read");
    site->template = ledger_template(site->dir);
    autofree char *path = xasprintf("%s/ledger.db", site->dir);
    ledger_open(&site->db, site->template, path);
    site->app.vouchers = vouchers_new();
    site->app.months = ledger_months_new();
    site->app.views = ledger_views_new();
    *state = site;
    return 0;
}

static int teardown(void **state)
{
    struct site *site = *state;
    ledger_views_free(site->app.views);
    ledger_months_free(site->app.months);
    vouchers_free(site->app.vouchers);
    ledger_close(&site->db);
    free(site->template);
    free(site->dir);
    free(site);
    return 0;
}

/* ---- what happens ---- */

struct event {
    int kind; /* enum observation_kind; SEAL */
    int64_t at;
};
enum { SEAL = 100 };

static int happen(struct tx *tx, void *ctx, struct err *err)
{
    const struct event *e = ctx;
    const int64_t *sizes = flavor_sizes[e->kind == OBS_ALLOCATED ? 1 : 0];
    if (e->kind == SEAL)
        return ledger_seal(tx, minute(e->at), err);
    return evidence_witness(
        tx,
        &(struct witnessed){.kind = e->kind,
                            .node_key = ITS_NODE,
                            .boot_id = boot,
                            .resource_id = e->kind == OBS_SEEN ? "" : instance_id(THING),
                            .boottime_ms = e->at * 60000,
                            .wall_ms = minute(e->at),
                            .vcpus = sizes[0],
                            .memory_mib = sizes[1],
                            .disk_gib = sizes[2],
                            .flavor_key = e->kind == OBS_ALLOCATED},
        err);
}

static void happens(struct site *site, int kind, int64_t at)
{
    struct event e = {kind, at};
    ledger_do(&site->db, happen, &e);
}

/* Kept from minute 5 on and deleted at 50; its host was heard from for so long before the seal at
 * 60. */
static void is_deleted(struct site *site, int64_t heard)
{
    happens(site, OBS_ALLOCATED, 5);
    happens(site, OBS_SEEN, heard);
    happens(site, OBS_DELETED, 50);
    happens(site, SEAL, 60);
}

/* ---- what is read ---- */

static struct ledger_moment moment_of(struct site *site, int64_t at, bool vouches)
{
    struct err auto_err err = {0};
    struct seal seal;
    uint8_t chain[SHA256_BYTES];
    struct vouched word = {.node_key = ITS_NODE, .boot_id = "boot"};
    struct ledger_moment moment = {.until_ms = minute(at)};
    assert_int_equal(store_seal_last(site->db.reader, &seal, &err), 1);
    assert_int_equal(evidence_head(site->db.reader, &moment.observation_key, chain, &err), 0);
    moment.seal_key = seal.key;
    moment.sealed_ms = seal.until_ms;
    moment.vouched =
        vouch_sets_put(vouchers_sets(site->app.vouchers), &word, vouches ? 1 : 0, moment.until_ms);
    return moment;
}

static void take_row(void *ctx, const struct segment *segment)
{
    segments_add(ctx, segment);
}

/* Without what was taken back. */
static void net(struct segments *rows)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++) {
        for (size_t k = 0; rows->items[i].sign < 0 && k < rows->count; k++) {
            if (rows->items[k].sign > 0 && rows->items[k].key == rows->items[i].reverses)
                rows->items[k].sign = 0;
        }
    }
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->items[i].sign > 0)
            rows->items[kept++] = rows->items[i];
    }
    rows->count = kept;
}

static int by_kind_and_start(const void *a, const void *b)
{
    const struct segment *l = a, *r = b;
    int64_t order = l->kind != r->kind ? l->kind - r->kind : l->start_ms - r->start_ms;
    return order < 0 ? -1 : order > 0;
}

/* "allocated 5-40 ?": one whose end nobody proved. */
static void reads_at(int line, struct site *site, const struct ledger_moment *moment,
                     const char *wanted)
{
    struct err auto_err err = {0};
    struct segments rows = {0};
    struct ledger_filter filter = {.from_ms = minute(0), .to_ms = minute(24 * 60)};
    auto_buf struct buf text = {0};
    buf_puts(&text, "");
    if (ledger_read(&site->app, site->db.reader, moment, &filter, take_row, &rows, &err) != 0)
        fail_msg("line %d: %s", line, err.msg);
    net(&rows);
    if (rows.count)
        qsort(rows.items, rows.count, sizeof(*rows.items), by_kind_and_start);
    for (size_t i = 0; i < rows.count; i++) {
        const struct segment *s = &rows.items[i];
        buf_printf(&text, "%s%s %d-%d%s", i ? ", " : "", segment_names[s->kind],
                   (int)((s->start_ms - minute(0)) / 60000), (int)((s->end_ms - minute(0)) / 60000),
                   s->verified ? "" : " ?");
    }
    segments_release(&rows);
    if (strcmp(text.data, wanted) != 0)
        fail_msg("line %d:\n    %s\nnot %s", line, text.data, wanted);
}
#define READS(site, at, vouches, wanted)                             \
    do {                                                             \
        struct ledger_moment moment_ = moment_of(site, at, vouches); \
        reads_at(__LINE__, site, &moment_, wanted);                  \
    } while (0)

#define PROVED "allocated 5-50, root_disk 5-50"

static void test_ledger__a_host_that_is_back_proves_by_its_word_what_was_deleted(void **state)
{
    struct site *site = *state;
    is_deleted(site, 40);
    READS(site, 70, false, "allocated 5-40 ?, root_disk 5-40 ?, gap 40-50");
    READS(site, 70, true, PROVED);
}

static void test_ledger__a_seal_changes_nothing_of_what_a_host_proved_by_its_word(void **state)
{
    struct site *site = *state;
    is_deleted(site, 40);
    READS(site, 120, true, PROVED);
    happens(site, OBS_SEEN, 121);
    READS(site, 120, true, PROVED);
    happens(site, SEAL, 120);
    READS(site, 120, true, PROVED);
    READS(site, 130, false, PROVED);
}

/* ---- what it costs ---- */

static bool all_vouch(void *ctx, int64_t node_key, const char *boot_id)
{
    (void)ctx;
    return node_key == ITS_NODE && strcmp(boot_id, boot) == 0;
}

static void each_vouching(void *ctx, void (*each)(void *ctx, int64_t node_key, const char *boot_id),
                          void *each_ctx)
{
    (void)ctx;
    each(each_ctx, ITS_NODE, boot);
}

static void count_one(void *ctx)
{
    ++*(int *)ctx;
}

/* How many resources a step from the last seal looks at. */
static int looked_at(struct site *site, int64_t at)
{
    struct err auto_err err = {0};
    struct seal seal;
    struct changes changes = {0};
    int64_t news_key;
    int looks = 0;
    assert_int_equal(store_seal_last(site->db.reader, &seal, &err), 1);
    struct db_books rows = {site->db.reader, seal.key};
    struct books books = books_of_db(&rows);
    struct step step = {.from_key = seal.observation_key,
                        .news_key = seal.news_key,
                        .from_ms = seal.until_ms,
                        .to_key = seal.observation_key,
                        .to_ms = minute(at),
                        .between = count_one,
                        .between_ctx = &looks,
                        .vouches = all_vouch,
                        .each_vouching = each_vouching};
    assert_int_equal(ledger_advance(site->db.reader, &books, &step, &changes, &news_key, &err), 0);
    changes_release(&changes);
    return looks;
}

static void test_ledger__a_word_costs_no_look_at_what_its_host_had_proved_already(void **state)
{
    struct site *site = *state;
    is_deleted(site, 61);
    assert_int_equal(looked_at(site, 70), 0);
}

static void test_ledger__a_word_costs_one_look_at_each_thing_that_its_host_had(void **state)
{
    struct site *site = *state;
    is_deleted(site, 40);
    assert_int_equal(looked_at(site, 70), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_ledger__a_host_that_is_back_proves_by_its_word_what_was_deleted),
        TEST(test_ledger__a_seal_changes_nothing_of_what_a_host_proved_by_its_word),
        TEST(test_ledger__a_word_costs_no_look_at_what_its_host_had_proved_already),
        TEST(test_ledger__a_word_costs_one_look_at_each_thing_that_its_host_had),
    };
    return cmocka_run_group_tests_name("ledger_read", tests, NULL, NULL);
}
