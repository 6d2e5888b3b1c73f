/* Seals in a real database: which rows each one writes, that nothing of them can be changed, and
 * that verification finds whatever was changed all the same. Times are minutes from the first
 * moment of 2026-11-10. */
#include "api/base/buf.h"
#include "tests/unit/ledger_fixture.h"

struct site {
    char *dir, *template;
    struct ledger_db db;
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
    site->dir = guard_tempdir("ledger");
    site->template = ledger_template(site->dir);
    autofree char *path = xasprintf("%s/ledger.db", site->dir);
    ledger_open(&site->db, site->template, path);
    *state = site;
    return 0;
}

static int teardown(void **state)
{
    struct site *site = *state;
    ledger_close(&site->db);
    free(site->template);
    free(site->dir);
    free(site);
    return 0;
}

/* ---- what happens ---- */

struct event {
    int kind; /* enum observation_kind; SEAL */
    int64_t at, instance, run;
    bool noticed, rebooted; /* rebooted: in the second boot of the host */
    int64_t cpu_ns;
};
enum { SEAL = 100 };

static struct event event(int kind, int64_t at, int64_t instance, int64_t run)
{
    return (struct event){.kind = kind, .at = at, .instance = instance, .run = run};
}

static struct event kept(int64_t at, int64_t instance)
{
    return event(OBS_ALLOCATED, at, instance, 0);
}

static struct event started(int64_t at, int64_t instance, int64_t run)
{
    return event(OBS_STARTED, at, instance, run);
}

static struct event stopped(int64_t at, int64_t instance, int64_t run)
{
    return event(OBS_STOPPED, at, instance, run);
}

static struct event noticed(int64_t at, int64_t instance, int64_t run)
{
    struct event e = stopped(at, instance, run);
    e.noticed = true;
    return e;
}

static struct event deleted(int64_t at, int64_t instance)
{
    return event(OBS_DELETED, at, instance, 0);
}

static struct event seen(int64_t at)
{
    return event(OBS_SEEN, at, 0, 0);
}

static struct event seal(int64_t at)
{
    return event(SEAL, at, 0, 0);
}

/* Boots begin at minute 0 of the 10th; instances are on the first node, with the first flavor. */
static struct observation observed(const struct event *e, int64_t sequence)
{
    static char boots[2][8] = {"boot", "boot 2"}, spool[] = "spool";
    struct observation o = {.boot_id = boots[e->rebooted],
                            .incarnation = spool,
                            .sequence = sequence,
                            .kind = e->kind,
                            .instance = (char *)(uintptr_t)instance_id(e->instance),
                            .run = e->run,
                            .noticed = e->noticed,
                            .cpu_ns = e->cpu_ns,
                            .boottime_ms = e->at * 60000,
                            .wall_ms = minute(e->at)};
    if (e->kind == OBS_STARTED || e->kind == OBS_ALLOCATED) {
        o.vcpus = flavor_sizes[1][0];
        o.memory_mib = flavor_sizes[1][1];
        o.disk_gib = flavor_sizes[1][2];
    }
    return o;
}

struct events {
    const struct event *items;
    size_t count;
    int64_t sequence;
};

static int happen(struct tx *tx, const struct event *e, int64_t sequence, struct err *err)
{
    if (e->kind == SEAL)
        return ledger_seal(tx, minute(e->at), err);
    if (e->kind <= OBS_COUNTED) {
        struct observation o = observed(e, sequence);
        return evidence_add(tx, 1, &o, o.vcpus ? 1 : 0, err) < 0 ? -1 : 0;
    }
    return evidence_witness(
        tx,
        &(struct witnessed){.kind = e->kind,
                            .node_key = 1,
                            .boot_id = "boot",
                            .resource_id = e->instance ? instance_id(e->instance) : "",
                            .boottime_ms = e->at * 60000,
                            .wall_ms = minute(e->at)},
        err);
}

static int happen_all(struct tx *tx, void *ctx, struct err *err)
{
    struct events *events = ctx;
    for (size_t i = 0; i < events->count; i++) {
        if (happen(tx, &events->items[i], ++events->sequence, err) != 0)
            return -1;
    }
    return 0;
}

static void happens_from(struct site *site, int64_t sequence, const struct event *items,
                         size_t count)
{
    struct events events = {items, count, sequence};
    ledger_do(&site->db, happen_all, &events);
}
#define HAPPENS_FROM(site, sequence, ...)                             \
    happens_from(site, sequence, (const struct event[]){__VA_ARGS__}, \
                 sizeof((const struct event[]){__VA_ARGS__}) / sizeof(struct event))
#define HAPPENS(site, ...) HAPPENS_FROM(site, 0, __VA_ARGS__)

/* ---- what is written ---- */

static const char *word_of(const struct segment *s)
{
    return s->kind == SEGMENT_ROOT_DISK ? "disk" : segment_names[s->kind];
}

static int64_t minutes_of(int64_t ms)
{
    return (ms - minute(0)) / 60000;
}

/* "3:-running 10-20 of 1 !" is the third row: a reversal of the first, a correction. */
static void rows_are_at(int line, struct site *site, const char *wanted)
{
    struct segments rows;
    auto_buf struct buf text = {0};
    buf_puts(&text, "");
    all_rows(site->db.reader, &rows);
    for (size_t i = 0; i < rows.count; i++) {
        const struct segment *s = &rows.items[i];
        buf_printf(&text, "%s%d:%s%s %d-", i ? ", " : "", (int)s->key, s->sign < 0 ? "-" : "",
                   word_of(s), (int)minutes_of(s->start_ms));
        if (!s->open)
            buf_printf(&text, "%d", (int)minutes_of(s->end_ms));
        if (s->reverses)
            buf_printf(&text, " of %d", (int)s->reverses);
        buf_puts(&text, !s->open && !s->verified ? " ?" : "");
        buf_puts(&text, s->correction ? " !" : "");
    }
    segments_release(&rows);
    if (strcmp(text.data, wanted) != 0)
        fail_msg("line %d:\n    %s\nnot %s", line, text.data, wanted);
    struct ledger_verdict verdict;
    ledger_check(site->db.reader, &verdict);
    if (verdict.difference[0])
        fail_msg("line %d: %s", line, verdict.difference);
}
#define ROWS_ARE(site, wanted) rows_are_at(__LINE__, site, wanted)

static void test_ledger__a_seal_writes_what_was_open_and_what_was_over(void **state)
{
    struct site *site = *state;
    HAPPENS(site, kept(5, 1), started(10, 1, 1), seen(61), seal(60));
    ROWS_ARE(site, "1:running 10-, 2:allocated 5-10, 3:disk 5-");
}

static void test_ledger__a_later_seal_closes_the_open_row_and_adds_the_next(void **state)
{
    struct site *site = *state;
    HAPPENS(site, started(10, 1, 1), seen(61), seal(60), stopped(100, 1, 1), seen(121), seal(120));
    ROWS_ARE(site, "1:running 10-100, 2:disk 10-, 3:allocated 100-");
}

static void test_ledger__a_seal_of_hosts_that_go_on_writes_nothing(void **state)
{
    struct site *site = *state;
    HAPPENS(site, started(10, 1, 1), seen(61), seal(60), seen(121), seal(120), seen(181),
            seal(180));
    ROWS_ARE(site, "1:running 10-, 2:disk 10-");
}

static void test_ledger__what_was_known_before_its_time_came_is_told_by_a_later_seal(void **state)
{
    struct site *site = *state;
    HAPPENS(site, started(10, 1, 1), stopped(70, 1, 1), started(75, 2, 1), deleted(80, 1), seen(85),
            seal(60), seen(121), seal(120), seen(181), seal(180));
    ROWS_ARE(site, "1:running 10-70, 2:disk 10-80, 3:allocated 70-80, 4:running 75-, 5:disk 75-");
}

static void test_ledger__what_happens_at_the_watermark_is_told_by_the_next_seal(void **state)
{
    struct site *site = *state;
    HAPPENS(site, started(10, 1, 1), stopped(60, 1, 1), started(60, 2, 1), seen(65), seal(60),
            seen(121), seal(120));
    ROWS_ARE(site, "1:running 10-60, 2:disk 10-, 3:allocated 60-, 4:running 60-, 5:disk 60-");
}

static void test_ledger__late_evidence_takes_back_and_corrects(void **state)
{
    struct site *site = *state;
    HAPPENS(site, started(10, 1, 1), seen(61), seal(60), stopped(30, 1, 1), seen(121), seal(120));
    ROWS_ARE(site, "1:running 10-60, 2:disk 10-, 3:-running 10-60 of 1 !, 4:running 10-30 !,"
                   " 5:allocated 30- !");
}

static void test_ledger__a_lost_host_that_comes_back_is_corrected(void **state)
{
    struct site *site = *state;
    HAPPENS(site, started(10, 1, 1), seen(40), seal(60));
    ROWS_ARE(site, "1:running 10-40 ?, 2:disk 10-40 ?, 3:gap 40-");
    HAPPENS_FROM(site, 1, seen(121), seal(120));
    ROWS_ARE(site, "1:running 10-40 ?, 2:disk 10-40 ?, 3:gap 40-60, 4:-running 10-40 of 1 ? !,"
                   " 5:-disk 10-40 of 2 ? !, 6:-gap 40-60 of 3 !, 7:running 10- !, 8:disk 10- !");
}

static void test_ledger__delete_on_a_host_that_is_away_is_proved_when_it_comes_back(void **state)
{
    struct site *site = *state;
    HAPPENS(site, started(10, 1, 1), seen(40), deleted(50, 1), seal(60));
    ROWS_ARE(site, "1:running 10-40 ?, 2:disk 10-40 ?, 3:gap 40-50");
    HAPPENS_FROM(site, 1, seen(121), seal(120));
    struct segments rows, live;
    all_rows(site->db.reader, &rows);
    live_rows(&rows, &live);
    assert_int_equal(live.count, 2);
    for (size_t i = 0; i < live.count; i++)
        assert_int_equal(minutes_of(live.items[i].end_ms), 50);
    segments_release(&rows);
    segments_release(&live);
}

static struct event counted(int64_t at, int64_t run, int64_t cpu_ns)
{
    struct event e = event(OBS_COUNTED, at, 1, run);
    e.cpu_ns = cpu_ns;
    return e;
}

static struct event rebooted(struct event e)
{
    e.rebooted = true;
    return e;
}

static void test_ledger__what_a_later_boot_counts_leaves_an_earlier_ones_rows_alone(void **state)
{
    struct site *site = *state;
    struct segments rows;
    HAPPENS(site, started(10, 1, 1), counted(15, 1, 100), rebooted(started(25, 1, 2)),
            rebooted(counted(40, 2, 50)), seal(60), rebooted(counted(70, 2, 90)), seal(120));
    all_rows(site->db.reader, &rows);
    int of_first = 0, of_second = 0;
    for (size_t i = 0; i < rows.count; i++) {
        of_first += rows.items[i].kind == SEGMENT_COUNTED && rows.items[i].run == 1;
        of_second += rows.items[i].kind == SEGMENT_COUNTED && rows.items[i].run == 2;
    }
    segments_release(&rows);
    assert_int_equal(of_first, 1);
    assert_true(of_second >= 2);
}

static void test_ledger__the_end_of_a_month_closes_the_rows_of_hosts_that_go_on(void **state)
{
    struct site *site = *state;
    enum { DAY = 24 * 60, END = 21 * DAY };
    HAPPENS(site, started(10, 1, 1), seen(END - 30), seal(END - 60), seen(END + 1), seal(END),
            seen(END + 61), seal(END + 60));
    ROWS_ARE(site, "1:running 10-30240, 2:disk 10-30240, 3:running 30240-, 4:disk 30240-");
}

static void test_ledger__a_seal_that_moves_nothing_is_none(void **state)
{
    struct site *site = *state;
    HAPPENS(site, started(10, 1, 1), seen(61), seal(60), seal(60), seal(30));
    struct ledger_verdict verdict;
    ledger_check(site->db.reader, &verdict);
    assert_int_equal(verdict.seals, 1);
    assert_true(verdict.sealed_ms == minute(60));
}

static void test_ledger__a_repeat_is_no_evidence(void **state)
{
    struct site *site = *state;
    HAPPENS(site, started(10, 1, 1));
    HAPPENS(site, started(10, 1, 1));
    struct ledger_verdict verdict;
    ledger_check(site->db.reader, &verdict);
    assert_int_equal(verdict.observations, 1);
}

/* ---- a ledger to be tampered with ---- */

/* Rows of every sort: closed, open, taken back, corrected, noticed; two seals; evidence behind
 * the last one. */
static void fill(struct site *site)
{
    HAPPENS(site, kept(5, 1), started(10, 1, 1), started(12, 2, 1), seen(61), seal(60),
            stopped(30, 1, 1), noticed(70, 2, 1), started(80, 1, 2), seen(121), seal(120),
            deleted(125, 2), stopped(130, 1, 2));
    struct ledger_verdict verdict;
    ledger_check(site->db.reader, &verdict);
    assert_string_equal(verdict.difference, "");
}

static const char *const tables[] = {"observation", "segment", "seal"};

static void test_ledger__triggers_refuse_every_change_of_what_is_written(void **state)
{
    struct site *site = *state;
    fill(site);
    sqlite3 *raw = raw_open(site->db.path);
    assert_int_not_equal(raw_try(raw, "UPDATE observation SET wall_ms = wall_ms + 1"), SQLITE_OK);
    assert_int_not_equal(raw_try(raw, "UPDATE seal SET until_ms = until_ms + 1"), SQLITE_OK);
    assert_int_not_equal(
        raw_try(raw, "UPDATE segment SET end_ms = end_ms + 1 WHERE end_ms IS NOT NULL"), SQLITE_OK);
    assert_int_not_equal(
        raw_try(raw, "UPDATE segment SET start_ms = start_ms + 1 WHERE end_ms IS NULL"), SQLITE_OK);
    assert_int_not_equal(raw_try(raw, "UPDATE segment SET amount1 = 9 WHERE end_ms IS NULL"),
                         SQLITE_OK);
    for (int i = 0; i < 3; i++) {
        autofree char *sql = xasprintf("DELETE FROM %s WHERE key = 1", tables[i]);
        assert_int_not_equal(raw_try(raw, sql), SQLITE_OK);
    }
    sqlite3_close(raw);
}

/* ---- tampering ---- */

static void test_ledger__an_honest_row_written_anew_is_no_difference(void **state)
{
    struct site *site = *state;
    fill(site);
    sqlite3 *raw = raw_open(site->db.path);
    raw_disarm(raw);
    raw_exec(raw, "UPDATE segment SET run = run; UPDATE observation SET run = run");
    sqlite3_close(raw);
    struct ledger_verdict verdict;
    ledger_check(site->db.reader, &verdict);
    assert_string_equal(verdict.difference, "");
}

/* Does `change`, which must be found, and undoes it. The raw connection is in a transaction that
 * the reader cannot see into, so that it is committed, and undone by the copy. */
static void must_be_found(struct site *site, const char *change, const char *names)
{
    struct ledger_verdict verdict;
    struct ledger_db copy = {0};
    struct err auto_err err = {0};
    copy.path = xasprintf("%s/tampered.db", site->dir);
    unlink(copy.path);
    sqlite3 *raw = raw_open(site->db.path);
    raw_run(raw, "VACUUM INTO '%s'", copy.path);
    sqlite3_close(raw);
    raw = raw_open(copy.path);
    raw_disarm(raw);
    raw_exec(raw, change);
    sqlite3_close(raw);
    assert_int_equal(db_open(copy.path, DB_WRITER, &copy.reader, &err), 0);
    ledger_check(copy.reader, &verdict);
    db_close(copy.reader);
    unlink(copy.path);
    free(copy.path);
    if (!verdict.difference[0])
        fail_msg("nothing was found after %s", change);
    if (!strstr(verdict.difference, names))
        fail_msg("\"%s\" does not name %s, after %s", verdict.difference, names, change);
}

enum { COLUMN_NAMES_MAX = 64 };
struct columns {
    char names[COLUMN_NAMES_MAX][32], types[COLUMN_NAMES_MAX][16];
    size_t count;
};

static int take_column(void *ctx, int count, char **values, char **names)
{
    struct columns *columns = ctx;
    (void)count;
    (void)names;
    assert_true(columns->count < COLUMN_NAMES_MAX);
    snprintf(columns->names[columns->count], sizeof(columns->names[0]), "%s", values[0]);
    snprintf(columns->types[columns->count], sizeof(columns->types[0]), "%s", values[1]);
    columns->count++;
    return 0;
}

static void columns_of(sqlite3 *raw, const char *table, struct columns *ret)
{
    autofree char *sql = xasprintf("SELECT name, type FROM pragma_table_info('%s')", table);
    ret->count = 0;
    assert_int_equal(sqlite3_exec(raw, sql, take_column, ret, NULL), SQLITE_OK);
    assert_true(ret->count > 5);
}

/* Ways to change a value ($). */
static const char *const number_changes[] = {"coalesce($, 0) + 1000003",
                                             "coalesce($, 0) + (1 << 32)",
                                             "CASE WHEN $ IS NULL THEN 0 ELSE 0 - $ - 1 END"};
static const char *const text_changes[] = {"$ || 'x'", "'y' || $", "$ || char(0)", "$ || char(10)"};
static const char *const blob_changes[] = {"coalesce(flipped($), zeroblob(32))"};

static int count_of_changes(const char *type, const char *const **ret)
{
    if (strcmp(type, "TEXT") == 0) {
        *ret = text_changes;
        return 4;
    }
    if (strcmp(type, "BLOB") == 0) {
        *ret = blob_changes;
        return 1;
    }
    *ret = number_changes;
    return 3;
}

/* SQLite of this age cannot flip a bit of a blob by itself. */
static void flip_last(sqlite3_context *context, int count, sqlite3_value **values)
{
    uint8_t copy[64];
    int len = sqlite3_value_bytes(values[0]);
    (void)count;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL || len > 64 || len == 0) {
        sqlite3_result_null(context);
        return;
    }
    memcpy(copy, sqlite3_value_blob(values[0]), (size_t)len);
    copy[len - 1] ^= 1;
    sqlite3_result_blob(context, copy, len, SQLITE_TRANSIENT);
}

/* Within one transaction that is rolled back: the database itself is read by the same one. */
struct tamper {
    struct site *site;
    sqlite3 *raw;
    char *path;
    int64_t found, tried;
};

static void tamper_open(struct tamper *t, struct site *site)
{
    *t = (struct tamper){.site = site, .path = xasprintf("%s/tampered.db", site->dir)};
    sqlite3 *raw = raw_open(site->db.path);
    raw_run(raw, "VACUUM INTO '%s'", t->path);
    sqlite3_close(raw);
    t->raw = raw_open(t->path);
    sqlite3_create_function(t->raw, "flipped", 1, SQLITE_UTF8, NULL, flip_last, NULL, NULL);
    raw_exec(t->raw, "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF");
    raw_disarm(t->raw);
    for (int i = 0; i < 3; i++)
        raw_run(t->raw, "CREATE TABLE kept_%s AS SELECT * FROM %s", tables[i], tables[i]);
}

static void tamper_close(struct tamper *t)
{
    sqlite3_close(t->raw);
    unlink(t->path);
    free(t->path);
}

static void tamper_verify(struct tamper *t, struct db *reader, const char *table,
                          const char *column, int64_t key, const char *how)
{
    struct ledger_verdict verdict, sum;
    autofree char *name = xasprintf("%s %d:", table, (int)key);
    ledger_check(reader, &verdict);
    ledger_check_pages(reader, &sum);
    t->tried++;
    if (!verdict.difference[0])
        fail_msg("nothing was found after %s of %s was changed by %s", column, name, how);
    if (strcmp(column, "key") != 0 && strncmp(verdict.difference, name, strlen(name)) != 0)
        fail_msg("\"%s\" does not name %s, whose %s was changed by %s", verdict.difference, name,
                 column, how);
    if (strcmp(sum.difference, verdict.difference) != 0)
        fail_msg("by pages %s of %s, changed by %s, is \"%s\", not \"%s\"", column, name, how,
                 sum.difference, verdict.difference);
}

static char *spell(const char *how, const char *column)
{
    struct buf text = {0};
    for (; *how; how++) {
        if (*how == '$')
            buf_puts(&text, column);
        else
            buf_putc(&text, *how);
    }
    return text.data;
}

static void change_each_row(struct tamper *t, struct db *reader, const char *table,
                            const char *column, const char *how)
{
    autofree char *count_sql = xasprintf("SELECT count(*) FROM %s", table);
    int64_t count = raw_number(t->raw, count_sql);
    autofree char *expression = spell(how, column);
    for (int64_t key = 1; key <= count; key++) {
        raw_run(t->raw, "UPDATE %s SET %s = %s WHERE key = %d", table, column, expression,
                (int)key);
        autofree char *same =
            xasprintf("SELECT count(*) FROM %s t JOIN kept_%s k ON t.key = k.key WHERE t.key = %d"
                      " AND t.%s IS k.%s",
                      table, table, (int)key, column, column);
        if (raw_number(t->raw, same) == 0)
            tamper_verify(t, reader, table, column, key, how);
        raw_run(t->raw, "DELETE FROM %s; INSERT INTO %s SELECT * FROM kept_%s", table, table,
                table);
    }
}

static void change_all(struct site *site, const char *table, int64_t at_least)
{
    struct tamper t;
    struct columns columns;
    struct err auto_err err = {0};
    struct db *reader = NULL;
    struct ledger_verdict verdict;
    const char *const *ways = NULL;
    tamper_open(&t, site);
    assert_int_equal(db_open(t.path, DB_READER, &reader, &err), 0);
    columns_of(t.raw, table, &columns);
    for (size_t c = 0; c < columns.count; c++) {
        int count = count_of_changes(columns.types[c], &ways);
        for (int w = 0; w < count; w++)
            change_each_row(&t, reader, table, columns.names[c], ways[w]);
    }
    assert_true(t.tried >= at_least);
    ledger_check(reader, &verdict);
    assert_string_equal(verdict.difference, "");
    db_close(reader);
    tamper_close(&t);
}

static void test_ledger__a_change_of_any_column_of_the_evidence_is_found(void **state)
{
    fill(*state);
    change_all(*state, "observation", 11 * 22);
}

static void test_ledger__a_change_of_any_column_of_a_segment_is_found(void **state)
{
    fill(*state);
    change_all(*state, "segment", 9 * 22);
}

static void test_ledger__a_change_of_any_column_of_a_seal_is_found(void **state)
{
    fill(*state);
    change_all(*state, "seal", 2 * 8);
}

static void test_ledger__a_row_that_is_missing_is_found(void **state)
{
    struct site *site = *state;
    fill(site);
    for (int i = 0; i < 3; i++) {
        sqlite3 *raw = raw_open(site->db.path);
        autofree char *sql = xasprintf("SELECT count(*) FROM %s", tables[i]);
        int64_t count = raw_number(raw, sql);
        sqlite3_close(raw);
        for (int64_t key = 1; key <= count; key++) {
            autofree char *change = xasprintf("DELETE FROM %s WHERE key = %d", tables[i], (int)key);
            must_be_found(site, change, tables[i]);
        }
    }
}

static void test_ledger__two_rows_that_changed_places_are_found(void **state)
{
    struct site *site = *state;
    fill(site);
    for (int i = 0; i < 3; i++) {
        autofree char *change =
            xasprintf("UPDATE %s SET key = -1 WHERE key = 1; UPDATE %s SET key = 1 WHERE key = 2;"
                      "UPDATE %s SET key = 2 WHERE key = -1",
                      tables[i], tables[i], tables[i]);
        must_be_found(site, change, tables[i]);
    }
}

static void test_ledger__a_row_that_was_added_is_found_and_named(void **state)
{
    struct site *site = *state;
    fill(site);
    must_be_found(
        site,
        "INSERT INTO observation SELECT key + 1, node_key, boot_id, boot_order, 'more', sequence,"
        " kind, resource_id, run, cause, noticed, boottime_ms, wall_ms, vcpus,"
        " memory_mib, disk_gib, flavor_key, bytes, cpu_ns, ingress_bytes, egress_bytes,"
        " received_ms, chain FROM observation ORDER BY key DESC LIMIT 1",
        "observation");
    must_be_found(site,
                  "INSERT INTO segment SELECT key + 1, ordinal + 100, seal_key, close_seal_key,"
                  " kind, sign, reverses, corrects_until_ms, resource, resource_key, project_key,"
                  " node_key, flavor_key, run, start_ms, origin_ms, end_ms, verified, amount0,"
                  " amount1, amount2, chain FROM segment ORDER BY key DESC LIMIT 1",
                  "segment");
    must_be_found(site,
                  "CREATE TEMP TABLE one AS SELECT * FROM seal ORDER BY key DESC LIMIT 1;"
                  "UPDATE one SET key = key + 1, until_ms = until_ms + 1;"
                  "INSERT INTO seal SELECT * FROM one",
                  "seal");
}

static void test_ledger__a_segment_that_was_shortened_is_named_with_its_column(void **state)
{
    struct site *site = *state;
    fill(site);
    must_be_found(site, "UPDATE segment SET end_ms = end_ms - 1 WHERE key = 1",
                  "segment 1: end_ms is ");
}

static void test_ledger__an_open_row_that_someone_closed_is_found(void **state)
{
    struct site *site = *state;
    fill(site);
    must_be_found(site,
                  "UPDATE segment SET end_ms = start_ms + 1, ordinal = 1000, close_seal_key = 1000,"
                  " chain = zeroblob(32) WHERE key = (SELECT max(key) FROM segment WHERE end_ms"
                  " IS NULL)",
                  ", the evidence says that it was open");
}

/* ---- part by part ---- */

/* A seal an hour, four of them. Instance 1 runs across the first three; that instance 3 stopped
 * in the first hour is known after the third seal; 2 comes later, 4 is over in the first hour.
 * `ret_chains`: what verdicts carry up to each seal, from 1. */
enum { SEALS = 4 };
static void fill_hours(struct site *site, char ret_chains[SEALS + 1][SHA256_TEXT_MAX])
{
    struct ledger_verdict page = {0};
    HAPPENS(site, kept(5, 1), started(10, 1, 1), started(15, 4, 1), started(20, 3, 1),
            stopped(40, 4, 1), deleted(45, 4), seen(61), seal(60), started(70, 2, 1), seen(121),
            seal(120), seen(181), seal(180), stopped(30, 3, 1), stopped(200, 1, 1), seen(241),
            seal(240), deleted(245, 2));
    for (int i = 1; i <= SEALS; i++) {
        ledger_check_part(site->db.reader, i > 1 ? ret_chains[i - 1] : NULL, 0, &page);
        assert_string_equal(page.difference, "");
        assert_int_equal(page.seals, 1);
        assert_true(page.sealed_ms == minute(60 * i));
        assert_int_equal(page.more, i < SEALS);
        memcpy(ret_chains[i], page.chain, SHA256_TEXT_MAX);
    }
}

static void test_ledger__one_seal_a_page_says_what_all_at_once_says(void **state)
{
    struct site *site = *state;
    char chains[SEALS + 1][SHA256_TEXT_MAX];
    struct ledger_verdict whole, sum;
    fill_hours(site, chains);
    ledger_check(site->db.reader, &whole);
    assert_false(whole.more);
    assert_int_equal(whole.seals, SEALS);
    assert_int_equal(ledger_check_pages(site->db.reader, &sum), SEALS);
    assert_string_equal(sum.difference, "");
    assert_int_equal(sum.seals, whole.seals);
    assert_int_equal(sum.segments, whole.segments);
    assert_int_equal(sum.observations, whole.observations);
    assert_true(sum.sealed_ms == whole.sealed_ms);
    assert_string_equal(sum.chain, whole.chain);
    assert_string_equal(chains[SEALS], whole.chain);
}

static void test_ledger__after_the_last_seal_only_later_evidence_is_left(void **state)
{
    struct site *site = *state;
    char chains[SEALS + 1][SHA256_TEXT_MAX];
    struct ledger_verdict rest;
    fill_hours(site, chains);
    ledger_check_part(site->db.reader, chains[SEALS], AT_ONCE, &rest);
    assert_string_equal(rest.difference, "");
    assert_int_equal(rest.seals, 0);
    assert_int_equal(rest.segments, 0);
    assert_int_equal(rest.observations, 1);
    assert_string_equal(rest.chain, chains[SEALS]);
    sqlite3 *raw = raw_open(site->db.path);
    raw_disarm(raw);
    raw_exec(raw, "UPDATE observation SET wall_ms = wall_ms + 1"
                  " WHERE key = (SELECT max(key) FROM observation)");
    sqlite3_close(raw);
    ledger_check_part(site->db.reader, chains[SEALS], AT_ONCE, &rest);
    assert_non_null(strstr(rest.difference, "its chain does not follow"));
}

/* Is it found from the start, and after each seal up to `last`, and after none behind that? */
static void must_be_found_up_to(struct site *site, const char *change, int last,
                                char chains[SEALS + 1][SHA256_TEXT_MAX], const char *names)
{
    struct ledger_verdict verdict;
    struct tamper t;
    struct err auto_err err = {0};
    struct db *reader = NULL;
    tamper_open(&t, site);
    raw_exec(t.raw, change);
    assert_int_equal(db_open(t.path, DB_READER, &reader, &err), 0);
    for (int i = 0; i <= SEALS; i++) {
        ledger_check_part(reader, i ? chains[i] : NULL, AT_ONCE, &verdict);
        if (!verdict.difference[0] != (i > last))
            fail_msg("after seal %d \"%s\" is found after %s", i, verdict.difference, change);
        if (i <= last && !strstr(verdict.difference, names))
            fail_msg("after seal %d \"%s\" does not name %s", i, verdict.difference, names);
    }
    db_close(reader);
    tamper_close(&t);
}

static void test_ledger__a_change_is_found_from_before_its_seal_and_not_from_behind(void **state)
{
    struct site *site = *state;
    char chains[SEALS + 1][SHA256_TEXT_MAX];
    fill_hours(site, chains);
    must_be_found_up_to(site,
                        "UPDATE segment SET amount1 = amount1 + 1 WHERE resource_key = 4"
                        " AND kind = 0",
                        0, chains, "amounts[1] is 2, the evidence says 1");
    must_be_found_up_to(site,
                        "UPDATE segment SET amount1 = amount1 + 1 WHERE resource_key = 2"
                        " AND kind = 0",
                        1, chains, "amounts[1] is 2, the evidence says 1");
    must_be_found_up_to(site, "UPDATE observation SET run = run + 1 WHERE key = 1", 0, chains,
                        "observation 1: its chain");
    must_be_found_up_to(site, "UPDATE seal SET sealed_ms = sealed_ms + 1 WHERE key = 3", 3, chains,
                        "seal 3: its chain does not follow from the row");
}

static void test_ledger__a_run_across_seals_is_held_against_its_end_from_any_of_them(void **state)
{
    struct site *site = *state;
    char chains[SEALS + 1][SHA256_TEXT_MAX];
    fill_hours(site, chains);
    must_be_found_up_to(site,
                        "UPDATE segment SET end_ms = end_ms + 1 WHERE resource_key = 1"
                        " AND kind = 0 AND seal_key = 1 AND close_seal_key = 4",
                        3, chains, ": end_ms is ");
    must_be_found_up_to(site,
                        "UPDATE segment SET end_ms = NULL, ordinal = NULL, chain = NULL,"
                        " close_seal_key = NULL WHERE resource_key = 1 AND kind = 0"
                        " AND seal_key = 1 AND close_seal_key = 4",
                        3, chains, ": ordinal is 0, the evidence says ");
}

static void test_ledger__a_correction_of_an_old_row_is_made_again_from_any_seal(void **state)
{
    struct site *site = *state;
    char chains[SEALS + 1][SHA256_TEXT_MAX];
    struct ledger_verdict last;
    fill_hours(site, chains);
    ledger_check_part(site->db.reader, chains[SEALS - 1], AT_ONCE, &last);
    assert_string_equal(last.difference, "");
    sqlite3 *raw = raw_open(site->db.path);
    assert_true(raw_number(raw, "SELECT count(*) FROM segment s JOIN segment r ON r.reverses ="
                                " s.key WHERE s.seal_key = 1 AND r.seal_key = 4") > 0);
    sqlite3_close(raw);
    must_be_found_up_to(site,
                        "UPDATE segment SET amount2 = amount2 + 1 WHERE sign = -1 AND seal_key = 4",
                        3, chains, "amounts[2] is ");
    must_be_found_up_to(site,
                        "UPDATE segment SET start_ms = start_ms + 1 WHERE resource_key = 3"
                        " AND sign = 1 AND kind = 0 AND seal_key = 4",
                        3, chains, ": start_ms is ");
}

/* All rows are open, so that no chain tells of it. */
static void test_ledger__a_row_that_was_slipped_in_is_found_whatever_page_ends_there(void **state)
{
    struct site *site = *state;
    struct ledger_verdict sum;
    HAPPENS(site, started(10, 1, 1), seen(61), seal(60), started(70, 2, 1), seen(121), seal(120));
    sqlite3 *raw = raw_open(site->db.path);
    raw_disarm(raw);
    raw_exec(raw, "UPDATE segment SET key = -key - 1 WHERE seal_key = 2;"
                  "UPDATE segment SET key = -key WHERE seal_key = 2;"
                  "INSERT INTO segment SELECT key + 1, ordinal, seal_key, close_seal_key, kind,"
                  " sign, reverses, corrects_until_ms, resource, resource_key + 2, project_key,"
                  " node_key, flavor_key, run, start_ms, origin_ms, end_ms, verified, amount0,"
                  " amount1, amount2, chain FROM segment WHERE key = 2");
    sqlite3_close(raw);
    ledger_check_pages(site->db.reader, &sum);
    assert_non_null(strstr(sum.difference, "segment 3: seal_key is 1"));
}

static void test_ledger__after_a_chain_that_no_seal_has_nothing_is_verified(void **state)
{
    struct site *site = *state;
    char chains[SEALS + 1][SHA256_TEXT_MAX];
    struct err auto_err err = {0};
    struct ledger_verdict verdict;
    uint8_t hash[SHA256_BYTES];
    struct ledger_part part = {.after = hash, .budget_ms = AT_ONCE};
    fill_hours(site, chains);
    assert_int_equal(sha256_parse(chains[2], hash), 0);
    hash[0] ^= 1;
    assert_int_equal(ledger_verify(site->db.reader, &part, &verdict, &err), -1);
    assert_int_equal(err.code, ERR_FIELD);
    assert_string_equal(err.field, "/after");
    assert_string_equal(err.msg, "after: no seal has this chain");
    /* What the verdict on an empty ledger carries. */
    memset(hash, 0, sizeof(hash));
    assert_int_equal(ledger_verify(site->db.reader, &part, &verdict, &err), 0);
    assert_int_equal(verdict.seals, SEALS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_ledger__a_seal_writes_what_was_open_and_what_was_over),
        TEST(test_ledger__a_later_seal_closes_the_open_row_and_adds_the_next),
        TEST(test_ledger__a_seal_of_hosts_that_go_on_writes_nothing),
        TEST(test_ledger__what_was_known_before_its_time_came_is_told_by_a_later_seal),
        TEST(test_ledger__what_happens_at_the_watermark_is_told_by_the_next_seal),
        TEST(test_ledger__late_evidence_takes_back_and_corrects),
        TEST(test_ledger__a_lost_host_that_comes_back_is_corrected),
        TEST(test_ledger__delete_on_a_host_that_is_away_is_proved_when_it_comes_back),
        TEST(test_ledger__what_a_later_boot_counts_leaves_an_earlier_ones_rows_alone),
        TEST(test_ledger__the_end_of_a_month_closes_the_rows_of_hosts_that_go_on),
        TEST(test_ledger__a_seal_that_moves_nothing_is_none),
        TEST(test_ledger__a_repeat_is_no_evidence),
        TEST(test_ledger__triggers_refuse_every_change_of_what_is_written),
        TEST(test_ledger__an_honest_row_written_anew_is_no_difference),
        TEST(test_ledger__a_change_of_any_column_of_the_evidence_is_found),
        TEST(test_ledger__a_change_of_any_column_of_a_segment_is_found),
        TEST(test_ledger__a_change_of_any_column_of_a_seal_is_found),
        TEST(test_ledger__a_row_that_is_missing_is_found),
        TEST(test_ledger__two_rows_that_changed_places_are_found),
        TEST(test_ledger__a_row_that_was_added_is_found_and_named),
        TEST(test_ledger__a_segment_that_was_shortened_is_named_with_its_column),
        TEST(test_ledger__an_open_row_that_someone_closed_is_found),
        TEST(test_ledger__one_seal_a_page_says_what_all_at_once_says),
        TEST(test_ledger__after_the_last_seal_only_later_evidence_is_left),
        TEST(test_ledger__a_change_is_found_from_before_its_seal_and_not_from_behind),
        TEST(test_ledger__a_run_across_seals_is_held_against_its_end_from_any_of_them),
        TEST(test_ledger__a_correction_of_an_old_row_is_made_again_from_any_seal),
        TEST(test_ledger__a_row_that_was_slipped_in_is_found_whatever_page_ends_there),
        TEST(test_ledger__after_a_chain_that_no_seal_has_nothing_is_verified),
    };
    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
