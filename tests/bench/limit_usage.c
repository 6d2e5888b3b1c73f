/* The limit of the usage benches: SQLite alone on the same file, its pages all in memory. */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/bench/bench.h"
#include "tests/bench/usage_year.h"

/* ---- usage_month_all ---- */

/* No row crosses a month and June is sealed, so that nothing needs clipping. Either a row for
 * each kind of segment, with its three amounts, or one with all sums. */
#define LENGTH "sign * (end_ms - start_ms)"
#define BY_KIND \
    " kind, sum(" LENGTH " * amount0), sum(" LENGTH " * amount1), sum(" LENGTH " * amount2)"
#define OF(k, amount) " sum(" LENGTH " * " amount ") FILTER (WHERE kind = " k ")"
#define ALL_KINDS                                                                \
    OF("0", "amount0")                                                           \
    "," OF("0", "amount1") "," OF("0", "amount2") "," OF("1", "amount0") "," OF( \
        "1", "amount1") "," OF("1", "amount2") "," OF("2", "amount0")
#define IN_JUNE " start_ms >= 1748736000000 AND start_ms < 1751328000000"

enum { QUESTIONS = 2, WAYS = 4, TRIES = 3 };
struct way {
    const char *name, *sql;
    bool by_kind;
};
static const struct way ways[QUESTIONS][WAYS] = {
    {
        {"the time index, sorted by project and kind",
         "SELECT project_key," BY_KIND " FROM segment INDEXED BY segment_time WHERE" IN_JUNE
         " GROUP BY project_key, kind",
         true},
        {"the time index, sorted by project",
         "SELECT project_key," ALL_KINDS " FROM segment INDEXED BY segment_time WHERE" IN_JUNE
         " GROUP BY project_key",
         false},
        {"the project's index, project by project",
         "SELECT project.key," ALL_KINDS " FROM project CROSS JOIN segment"
         " INDEXED BY segment_project ON segment.project_key = project.key WHERE" IN_JUNE
         " GROUP BY project.key",
         false},
        {"the whole table, sorted by project",
         "SELECT project_key," ALL_KINDS " FROM segment NOT INDEXED WHERE" IN_JUNE
         " GROUP BY project_key",
         false},
    },
    {
        {"the time index, sorted by instance and kind",
         "SELECT resource_key," BY_KIND " FROM segment INDEXED BY segment_time WHERE" IN_JUNE
         " AND resource = 0 GROUP BY resource_key, kind",
         true},
        {"the time index, sorted by instance",
         "SELECT resource_key," ALL_KINDS " FROM segment INDEXED BY segment_time WHERE" IN_JUNE
         " AND resource = 0 GROUP BY resource_key",
         false},
        {"the resource's index, instance by instance",
         "SELECT instance.key," ALL_KINDS " FROM instance CROSS JOIN segment"
         " INDEXED BY segment_resource ON segment.resource = 0"
         " AND segment.resource_key = instance.key AND kind <> 4 WHERE" IN_JUNE
         " GROUP BY instance.key",
         false},
        {"the whole table, sorted by instance",
         "SELECT resource_key," ALL_KINDS " FROM segment NOT INDEXED WHERE" IN_JUNE
         " AND resource = 0 GROUP BY resource_key",
         false},
    },
};

struct limit_usage {
    sqlite3 *db;
    sqlite3_stmt *stmts[QUESTIONS];
    int best[QUESTIONS];
    sqlite3_stmt *project, *rows;
    struct buf out;
};

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        cloud_fail("%s: %s", sql, sqlite3_errmsg(db));
    return stmt;
}

static double ask(sqlite3_stmt *stmt, bool by_kind, struct year_sums *ret, int places)
{
    double start = now_s();
    memset(ret, 0, (size_t)places * sizeof(*ret));
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        int64_t place = sqlite3_column_int64(stmt, 0) - YEAR_FIRST_KEY;
        if (place < 0 || place >= places)
            continue; /* the default project, which has used nothing */
        int at = by_kind ? sqlite3_column_int(stmt, 1) * 3 : 0;
        for (int i = by_kind ? 2 : 1; i < sqlite3_column_count(stmt) && at < YEAR_METERS; i++)
            ret[place].of[at++] = sqlite3_column_int64(stmt, i);
    }
    sqlite3_reset(stmt);
    return now_s() - start;
}

static void find_best(struct limit_usage *limit, int question, struct year_sums *sums, int places)
{
    double least = 0;
    for (int i = 0; i < WAYS; i++) {
        sqlite3_stmt *stmt = prepare(limit->db, ways[question][i].sql);
        double took = ask(stmt, ways[question][i].by_kind, sums, places);
        for (int n = 1; n < TRIES; n++) {
            double again = ask(stmt, ways[question][i].by_kind, sums, places);
            took = again < took ? again : took;
        }
        if (i == 0 || took < least) {
            least = took;
            limit->best[question] = i;
        }
        sqlite3_finalize(stmt);
    }
    limit->stmts[question] = prepare(limit->db, ways[question][limit->best[question]].sql);
}

struct limit_usage *limit_usage_open(const char *db_path)
{
    struct limit_usage *limit = xcalloc(1, sizeof(*limit));
    autofree struct year_sums *sums = xcalloc(YEAR_INSTANCES, sizeof(*sums));
    if (sqlite3_open_v2(db_path, &limit->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK ||
        sqlite3_exec(limit->db, "PRAGMA query_only = ON; PRAGMA cache_size = -500000", NULL, NULL,
                     NULL) != SQLITE_OK)
        cloud_fail("%s: %s", db_path, sqlite3_errmsg(limit->db));
    find_best(limit, 0, sums, YEAR_PROJECTS);
    find_best(limit, 1, sums, YEAR_INSTANCES);
    limit->project = prepare(limit->db, "SELECT name, id FROM project WHERE key = ?");
    limit->rows = prepare(
        limit->db, "SELECT kind, sign, corrects_until_ms <> 0, verified, start_ms, end_ms, amount0,"
                   " amount1, amount2 FROM segment INDEXED BY segment_project"
                   " WHERE project_key = ? AND" IN_JUNE);
    return limit;
}

void limit_usage_close(struct limit_usage *limit)
{
    for (int i = 0; i < QUESTIONS; i++)
        sqlite3_finalize(limit->stmts[i]);
    sqlite3_finalize(limit->project);
    sqlite3_finalize(limit->rows);
    sqlite3_close(limit->db);
    buf_release(&limit->out);
    free(limit);
}

const char *limit_usage_best(const struct limit_usage *limit, int question)
{
    return ways[question][limit->best[question]].name;
}

double limit_usage_month(struct limit_usage *limit, struct year_sums *ret_projects,
                         struct year_sums *ret_instances)
{
    return ask(limit->stmts[0], ways[0][limit->best[0]].by_kind, ret_projects, YEAR_PROJECTS) +
           ask(limit->stmts[1], ways[1][limit->best[1]].by_kind, ret_instances, YEAR_INSTANCES);
}

/* ---- usage_month_hourly ---- */

enum { SHOWN = 3 }; /* used; whose end is not proved; that corrects */

/* Of each hour what began or ended within it, and the change of the rate at its start. */
struct hours {
    int64_t part[SHOWN][YEAR_METERS][YEAR_JUNE_HOURS + 1];
    int64_t rate[SHOWN][YEAR_METERS][YEAR_JUNE_HOURS + 1];
};

static void add(int64_t *part, int64_t *rate, int64_t amount, int64_t from, int64_t to)
{
    int64_t first = from / YEAR_HOUR_MS, last = to / YEAR_HOUR_MS;
    if (first == last) {
        part[first] += amount * (to - from);
        return;
    }
    part[first] += amount * ((first + 1) * YEAR_HOUR_MS - from);
    part[last] += amount * (to - last * YEAR_HOUR_MS);
    rate[first + 1] += amount;
    rate[last] -= amount;
}

static void add_row(struct hours *hours, sqlite3_stmt *stmt)
{
    int kind = sqlite3_column_int(stmt, 0), sign = sqlite3_column_int(stmt, 1);
    bool shown[SHOWN] = {true, !sqlite3_column_int(stmt, 3), sqlite3_column_int(stmt, 2)};
    int64_t from = sqlite3_column_int64(stmt, 4) - YEAR_JUNE_MS,
            to = sqlite3_column_int64(stmt, 5) - YEAR_JUNE_MS;
    for (int meter = kind * 3, i = 0; i < 3 && meter < YEAR_METERS; meter++, i++) {
        int64_t amount = sign * sqlite3_column_int64(stmt, 6 + i);
        for (int s = 0; s < SHOWN; s++) {
            if (shown[s])
                add(hours->part[s][meter], hours->rate[s][meter], amount, from, to);
        }
    }
}

static void sum_up(struct hours *hours)
{
    for (int s = 0; s < SHOWN; s++) {
        for (int meter = 0; meter < YEAR_METERS; meter++) {
            int64_t rate = 0;
            for (int hour = 0; hour < YEAR_JUNE_HOURS; hour++) {
                rate += hours->rate[s][meter][hour];
                hours->part[s][meter][hour] += rate * YEAR_HOUR_MS;
            }
        }
    }
}

/* The same bytes as the answer's rows: the period and the project once for each hour, the rest
 * copied together. */
static void print(struct buf *out, const struct hours *hours, sqlite3_stmt *project)
{
    static const char *const units[YEAR_METERS] = {"ms",      "vcpu_ms", "mib_ms", "ms",
                                                   "vcpu_ms", "mib_ms",  "gib_ms"};
    buf_reset(out);
    for (int hour = 0; hour < YEAR_JUNE_HOURS; hour++) {
        char from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX], head[256];
        clock_format(YEAR_JUNE_MS + (int64_t)hour * YEAR_HOUR_MS, from);
        clock_format(YEAR_JUNE_MS + (int64_t)(hour + 1) * YEAR_HOUR_MS, to);
        int len = snprintf(head, sizeof(head),
                           ",{\"start\":\"%s\",\"end\":\"%s\",\"project\":\"%s\","
                           "\"project_id\":\"%s\",\"meter\":\"",
                           from, to, (const char *)sqlite3_column_text(project, 0),
                           (const char *)sqlite3_column_text(project, 1));
        for (int meter = 0; meter < YEAR_METERS; meter++) {
            static const char *const keys[SHOWN] = {"\",\"quantity\":\"", "\",\"unverified\":\"",
                                                    "\",\"correction\":\""};
            if (hours->part[0][meter][hour] == 0 && hours->part[2][meter][hour] == 0)
                continue;
            buf_add(out, head, (size_t)len);
            buf_puts(out, year_meters[meter]);
            buf_puts(out, "\",\"unit\":\"");
            buf_puts(out, units[meter]);
            for (int s = 0; s < SHOWN; s++) {
                buf_puts(out, keys[s]);
                buf_i64(out, hours->part[s][meter][hour]);
            }
            buf_puts(out, "\",\"cost_nanos\":\"0\"}");
        }
    }
}

double limit_usage_hourly(struct limit_usage *limit, int project, struct year_sums *ret_hours,
                          int64_t *ret_bytes)
{
    double start = now_s();
    autofree struct hours *hours = xcalloc(1, sizeof(*hours));
    sqlite3_bind_int64(limit->rows, 1, YEAR_FIRST_KEY + project);
    sqlite3_bind_int64(limit->project, 1, YEAR_FIRST_KEY + project);
    while (sqlite3_step(limit->rows) == SQLITE_ROW)
        add_row(hours, limit->rows);
    sqlite3_reset(limit->rows);
    sum_up(hours);
    if (sqlite3_step(limit->project) != SQLITE_ROW)
        cloud_fail("project %d is not there", project);
    print(&limit->out, hours, limit->project);
    sqlite3_reset(limit->project);
    double took = now_s() - start;
    for (int hour = 0; hour < YEAR_JUNE_HOURS; hour++) {
        for (int meter = 0; meter < YEAR_METERS; meter++)
            ret_hours[hour].of[meter] = hours->part[0][meter][hour];
    }
    *ret_bytes = (int64_t)limit->out.len;
    return took;
}
