/* Months in memory say at every seal what the rows say, and learn of what comes later. */
#include "tests/unit/ledger_fixture.h"

#include "controller/ledger/book/ledger_months.h"

enum { ROWS = 600, SEALS = 20 };
/* 2026, UTC. */
#define JANUARY 1767225600000LL
#define FEBRUARY 1769904000000LL
#define MARCH 1772323200000LL

struct stage {
    char *template;
    struct ledger_db l;
    sqlite3 *raw;
    struct ledger_months *months;
    int64_t key;
};

static void stage_open(struct stage *stage, const char *name)
{
    char *dir = guard_tempdir(name);
    autofree char *path = xasprintf("%s/ledger.db", dir);
    *stage = (struct stage){.template = ledger_template(dir), .months = ledger_months_new()};
    ledger_open(&stage->l, stage->template, path);
    stage->raw = raw_open(path);
    free(dir);
}

static void stage_close(struct stage *stage)
{
    ledger_months_free(stage->months);
    sqlite3_close(stage->raw);
    ledger_close(&stage->l);
    unlink(stage->template);
    free(stage->template);
    guard_flush();
}

static uint64_t state;

static int64_t below(int64_t limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int64_t)(state % (uint64_t)limit);
}

/* Closed by `close`; 0: open. Of a resource, which belongs to one project. */
static void put_row(struct stage *stage, int64_t resource, int64_t start, int64_t seal,
                    int64_t close)
{
    int64_t key = ++stage->key;
    if (close == 0)
        raw_run(stage->raw,
                "INSERT INTO segment (key, seal_key, kind, sign, corrects_until_ms, resource,"
                " resource_key, project_key, node_key, run, start_ms, origin_ms, verified,"
                " amount0, amount1, amount2) VALUES (%lld, %lld, 0, 1, 0, 0, %lld, %lld, 1, 1,"
                " %lld, %lld, 1, 1, 2, 512)",
                (long long)key, (long long)seal, (long long)resource,
                (long long)project_of(resource), (long long)start, (long long)start);
    else
        raw_run(stage->raw,
                "INSERT INTO segment (key, ordinal, seal_key, close_seal_key, kind, sign,"
                " corrects_until_ms, resource, resource_key, project_key, node_key, run, start_ms,"
                " origin_ms, end_ms, verified, amount0, amount1, amount2, chain) VALUES (%lld,"
                " %lld, %lld, %lld, %lld, 1, 0, 0, %lld, %lld, 1, 1, %lld, %lld, %lld, %lld, 1,"
                " 2, 512, zeroblob(32))",
                (long long)key, (long long)key, (long long)seal, (long long)close,
                (long long)below(6), (long long)resource, (long long)project_of(resource),
                (long long)start, (long long)start, (long long)(start + 1 + below(HOUR_MS)),
                (long long)below(2));
}

static void put_random(struct stage *stage)
{
    raw_exec(stage->raw, "BEGIN");
    for (int i = 0; i < ROWS; i++) {
        int64_t seal = 1 + below(SEALS);
        put_row(stage, 1 + below(INSTANCES), JANUARY + below(MARCH - JANUARY), seal,
                seal + below(4));
    }
    raw_exec(stage->raw, "COMMIT");
}

static void take_row(void *ctx, const struct segment *segment)
{
    segments_add(ctx, segment);
}

static int by_key(const void *a, const void *b)
{
    const struct segment *left = a, *right = b;
    return (left->key > right->key) - (left->key < right->key);
}

static int read_month(struct stage *stage, int64_t month_ms, int64_t seal, int64_t project,
                      struct segments *ret)
{
    struct err auto_err err = {0};
    struct ledger_moment moment = {.seal_key = seal, .sealed_ms = MARCH, .until_ms = MARCH};
    *ret = (struct segments){0};
    int rc = ledger_months_read(stage->months, stage->l.reader, &moment, month_ms, project, true,
                                take_row, ret, &err);
    assert_int_not_equal(rc, -1);
    return rc;
}

static void must_say_what_rows_say(struct stage *stage, int64_t month_ms, int64_t seal,
                                   int64_t project)
{
    struct err auto_err err = {0};
    struct segments is, rows = {0};
    struct ledger_filter filter = {
        .from_ms = month_ms, .to_ms = month_next(month_ms), .project_key = project};
    assert_int_equal(store_segment_between(stage->l.reader, &filter, seal, take_row, &rows, &err),
                     0);
    assert_int_equal(read_month(stage, month_ms, seal, project, &is), 1);
    assert_int_equal(is.count, rows.count);
    if (is.count)
        qsort(is.items, is.count, sizeof(*is.items), by_key);
    if (rows.count)
        qsort(rows.items, rows.count, sizeof(*rows.items), by_key);
    for (size_t i = 0; i < is.count; i++) {
        const struct segment *a = &is.items[i], *b = &rows.items[i];
        assert_true(a->key == b->key && a->ordinal == b->ordinal && a->seal_key == b->seal_key &&
                    a->kind == b->kind && a->sign == b->sign && a->open == b->open &&
                    a->verified == b->verified && a->start_ms == b->start_ms &&
                    a->end_ms == b->end_ms && a->resource_key == b->resource_key &&
                    a->project_key == b->project_key);
    }
    segments_release(&is);
    segments_release(&rows);
}

static void must_agree_everywhere(struct stage *stage)
{
    for (int64_t seal = 0; seal <= SEALS + 4; seal++) {
        for (int64_t project = 0; project <= PROJECTS + 1; project++) {
            must_say_what_rows_say(stage, JANUARY, seal, project);
            must_say_what_rows_say(stage, FEBRUARY, seal, project);
        }
    }
}

static void test_months__say_at_every_seal_what_the_rows_say(void **unused)
{
    (void)unused;
    struct stage stage;
    stage_open(&stage, "months");
    state = 0x9e3779b97f4a7c15;
    put_random(&stage);
    must_agree_everywhere(&stage);
    stage_close(&stage);
}

static void test_months__learn_of_rows_that_come_later(void **unused)
{
    (void)unused;
    struct stage stage;
    stage_open(&stage, "later");
    state = 0x853c49e6748fea9b;
    for (int round = 0; round < 3; round++) {
        put_random(&stage);
        must_agree_everywhere(&stage);
    }
    put_row(&stage, 1, FEBRUARY + 5, SEALS, SEALS);
    must_agree_everywhere(&stage);
    ledger_months_tidy(stage.months);
    must_agree_everywhere(&stage);
    stage_close(&stage);
}

/* Whoever asks first for one project does not narrow what others get, and the other way about. */
static void test_months__of_one_project_are_not_those_of_all(void **unused)
{
    (void)unused;
    struct stage stage;
    stage_open(&stage, "project");
    state = 0xda3e39cb94b95bdb;
    put_random(&stage);
    must_say_what_rows_say(&stage, JANUARY, SEALS, 2);
    must_say_what_rows_say(&stage, JANUARY, SEALS, 0);
    must_say_what_rows_say(&stage, JANUARY, SEALS, 3);
    put_random(&stage);
    must_say_what_rows_say(&stage, JANUARY, SEALS, 3);
    must_say_what_rows_say(&stage, JANUARY, SEALS, 0);
    stage_close(&stage);
}

static void test_months__that_go_on_are_not_kept(void **unused)
{
    (void)unused;
    struct stage stage;
    struct segments rows;
    stage_open(&stage, "open");
    put_row(&stage, 1, JANUARY, 1, 1);
    put_row(&stage, 1, FEBRUARY, 1, 0);
    assert_int_equal(read_month(&stage, JANUARY, 1, 0, &rows), 1);
    assert_int_equal(rows.count, 1);
    segments_release(&rows);
    assert_int_equal(read_month(&stage, FEBRUARY, 1, 0, &rows), 0);
    assert_int_equal(rows.count, 0);
    assert_int_equal(read_month(&stage, MARCH, 1, 0, &rows), 0);
    assert_int_equal(rows.count, 0);
    stage_close(&stage);
}

static void test_months__are_loaded_only_if_they_may(void **unused)
{
    (void)unused;
    struct stage stage;
    struct segments rows = {0};
    struct err auto_err err = {0};
    struct ledger_moment moment = {.seal_key = 1, .sealed_ms = MARCH, .until_ms = MARCH};
    stage_open(&stage, "load");
    put_row(&stage, 1, JANUARY, 1, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ledger_months_read(stage.months, stage.l.reader, &moment, JANUARY, 0,
                                            false, take_row, &rows, &err),
                         i);
        assert_int_equal(rows.count, i);
        must_say_what_rows_say(&stage, JANUARY, 1, 0);
    }
    segments_release(&rows);
    stage_close(&stage);
}

static void test_months__tell_resource_by_resource_in_the_order_of_time(void **unused)
{
    (void)unused;
    struct stage stage;
    struct segments rows;
    stage_open(&stage, "order");
    state = 0x2545f4914f6cdd1d;
    put_random(&stage);
    assert_int_equal(read_month(&stage, JANUARY, 2 * SEALS, 0, &rows), 1);
    assert_in_range(rows.count, ROWS / 4, ROWS);
    for (size_t i = 1; i < rows.count; i++) {
        const struct segment *a = &rows.items[i - 1], *b = &rows.items[i];
        assert_true(a->project_key <= b->project_key);
        if (a->resource_key == b->resource_key && a->kind == b->kind)
            assert_true(a->start_ms <= b->start_ms);
        else if (a->project_key == b->project_key)
            assert_true(a->resource_key < b->resource_key ||
                        (a->resource_key == b->resource_key && a->kind < b->kind));
    }
    segments_release(&rows);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_months__say_at_every_seal_what_the_rows_say),
        cmocka_unit_test(test_months__learn_of_rows_that_come_later),
        cmocka_unit_test(test_months__of_one_project_are_not_those_of_all),
        cmocka_unit_test(test_months__that_go_on_are_not_kept),
        cmocka_unit_test(test_months__are_loaded_only_if_they_may),
        cmocka_unit_test(test_months__tell_resource_by_resource_in_the_order_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
