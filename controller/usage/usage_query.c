/* What a request asks about usage, and the rows of the answer. */
#include "controller/usage/usage_query.h"

#include <string.h>

#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/validate.h"
#include "controller/db/db.h"
#include "controller/ledger/evidence/vouch.h"
#include "controller/ledger/price/price.h"
#include "controller/ledger/segment/store_seal.h"
#include "controller/request/request.h"
#include "controller/tx/readers.h"
#include "controller/usage/usage_kept.h"
#include "controller/usage/usage_names.h"
#include "controller/world.h"

enum {
    YEARS_MAX = 20,                /* of one question */
    SUMS_BYTES = 64 * 1024 * 1024, /* of sums at once; see usage_sum.h */
    MANY_PERIODS = 24 * 31,
    FIRST_PERIODS = 24, /* where rows may be many: read ahead no further than needed */
};

/* ---- time ---- */

static bool parse_digits(const char *text, const char *shape)
{
    for (; *shape; text++, shape++) {
        if (*shape == '0' ? *text < '0' || *text > '9' : *text != *shape)
            return false;
    }
    return !*text;
}

int usage_time_parse(const char *field, const char *text, int64_t *ret_ms, struct err *err)
{
    const char *rest = "";
    if (parse_digits(text, "0000-00"))
        rest = "-01T00:00:00Z";
    else if (parse_digits(text, "0000-00-00"))
        rest = "T00:00:00Z";
    autofree char *whole = xasprintf("%s%s", text, rest);
    if (clock_parse(whole, ret_ms) == 0 && *ret_ms >= 0)
        return 0;
    return err_field(err, field,
                     "%s must be a month (2026-11), a day (2026-11-01) or a time in UTC"
                     " (2026-11-01T10:00:00Z), from 1970 on",
                     field);
}

int usage_range_parse(struct request *r, const struct ledger_moment *moment, bool hours,
                      int64_t *ret_from_ms, int64_t *ret_to_ms, struct err *err)
{
    const char *start = http_query(r->http, "start"), *end = http_query(r->http, "end");
    *ret_to_ms = moment->until_ms;
    if (hours && hour_floor(*ret_to_ms) != *ret_to_ms)
        *ret_to_ms = hour_floor(*ret_to_ms) + HOUR_MS;
    if (end && usage_time_parse("end", end, ret_to_ms, err) != 0)
        return -1;
    *ret_from_ms = month_floor(*ret_to_ms <= moment->until_ms ? *ret_to_ms - 1 : moment->until_ms);
    if (start && usage_time_parse("start", start, ret_from_ms, err) != 0)
        return -1;
    if ((start || end) && *ret_from_ms >= *ret_to_ms)
        return err_field(err, end ? "end" : "start", "start must lie before end%s",
                         end ? "" : ", which is now unless it is given");
    if (*ret_to_ms - *ret_from_ms > YEARS_MAX * 366LL * 24 * HOUR_MS)
        return err_field(err, "start", "start and end must be at most %d years apart", YEARS_MAX);
    if (hours && hour_floor(*ret_from_ms) != *ret_from_ms)
        return err_field(err, "start", "start must be on the hour: rows are of whole hours");
    if (hours && hour_floor(*ret_to_ms) != *ret_to_ms)
        return err_field(err, "end", "end must be on the hour: rows are of whole hours");
    return 0;
}

/* ---- keys and meters ---- */

static int add_key(struct usage_question *question, int by, const char *word, struct err *err)
{
    if (usage_asks(question, by))
        return err_field(err, "group_by", "group_by names %s twice", word);
    question->by[question->by_count++] = by;
    return 0;
}

static int add_label(struct usage_query *query, const char *name, struct err *err)
{
    int label = 0;
    if (!name[0])
        return err_field(err, "group_by", "group_by: label: needs the name of a label behind it");
    if (validate_label_name("group_by", name, err) != 0)
        return -1;
    while (label < USAGE_LABELS && query->labels[label][0]) {
        if (strcmp(query->labels[label++], name) == 0)
            return err_field(err, "group_by", "group_by names label:%s twice", name);
    }
    if (label == USAGE_LABELS)
        return err_field(err, "group_by", "group_by takes %d labels at most", USAGE_LABELS);
    snprintf(query->labels[label], sizeof(query->labels[label]), "%s", name);
    return add_key(&query->question, USAGE_BY_LABEL + label, name, err);
}

static int add_word(const struct request *r, struct usage_query *query, const char *word,
                    struct err *err)
{
    static const char *const words[] = {"project", "instance", "flavor", "node", "meter", NULL};
    static const int keys[] = {USAGE_BY_PROJECT, USAGE_BY_RESOURCE, USAGE_BY_FLAVOR, USAGE_BY_NODE,
                               USAGE_BY_METER};
    if (strncmp(word, "label:", 6) == 0)
        return add_label(query, word + 6, err);
    int found = name_index(words, word);
    if (found < 0)
        return err_field(err, "group_by",
                         "group_by must be a comma-separated list of project, instance, flavor,"
                         " node, meter and label:NAME");
    if (keys[found] == USAGE_BY_NODE && !caller_is_operator(&r->caller)) {
        err_set(err, ERR_FORBIDDEN, "group_by=node needs an operator's token");
        snprintf(err->field, sizeof(err->field), "group_by");
        return -1;
    }
    return add_key(&query->question, keys[found], word, err);
}

static int add_meter(struct usage_query *query, const char *word, struct err *err)
{
    int meter = meter_find(word);
    if (meter >= 0) {
        query->question.meters |= 1U << meter;
        return 0;
    }
    char known[256] = "";
    for (int i = 0; i < METER_COUNT; i++) {
        size_t len = strlen(known);
        snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "", meters[i].name);
    }
    return err_field(err, "meter", "meter must be a comma-separated list of %s", known);
}

static int parse_what(struct request *r, struct usage_query *query, struct err *err)
{
    const char *by = http_query(r->http, "group_by"), *of = http_query(r->http, "meter");
    autofree char *keys = xstrdup(by ? by : "project"), *names = xstrdup(of);
    for (char *rest = keys, *word; (word = strsep(&rest, ","));) {
        if (add_word(r, query, word, err) != 0)
            return -1;
    }
    for (char *rest = names, *word; (word = strsep(&rest, ","));) {
        if (add_meter(query, word, err) != 0)
            return -1;
    }
    const char *period = http_query(r->http, "granularity");
    int found = period ? name_index(usage_period_names, period) : USAGE_TOTAL;
    if (found < 0)
        return err_field(err, "granularity", "granularity must be total, hour, day or month");
    query->question.period = (enum usage_period)found;
    return 0;
}

int usage_query_now(struct request *r, struct db *db, struct usage_query *ret_query,
                    struct err *err)
{
    *ret_query = (struct usage_query){0};
    if (request_scope(r, db, &ret_query->question.project_key, err) != 0)
        return -1;
    return ledger_now(r->app, &ret_query->moment, err);
}

/* A moment that a cursor brings: it must be one that there was, and not long ago, or answering
 * it would mean to read everything. */
static int check_moment(struct app *app, struct db *db, const struct ledger_moment *now,
                        const struct ledger_moment *moment, struct err *err)
{
    enum { SEALS_BEHIND = 48 };
    struct seal seal = {0};
    if (moment->seal_key && store_seal_next(db, moment->seal_key - 1, &seal, err) < 0)
        return -1;
    bool was = seal.key == moment->seal_key && seal.until_ms == moment->sealed_ms &&
               seal.observation_key <= moment->observation_key;
    if (!was || now->seal_key - moment->seal_key > SEALS_BEHIND)
        return err_field(err, "cursor", "cursor is too old, or none that an earlier page gave");
    return ledger_moment_known(app, moment, err);
}

/* Rows that labels tell apart stand in the order of these. */
static int check_labels(struct db *db, const struct usage_query *query, struct err *err)
{
    auto_stmt struct stmt *stmt =
        db_stmt(db, "SELECT 1 FROM event WHERE revision > ?1 AND what = 'updated'"
                    " AND kind IN ('instance', 'image') AND (?2 = 0 OR project_key = ?2) LIMIT 1");
    if (!query->labels[0][0])
        return 0;
    stmt_bind(stmt, "ii", query->moment.revision, query->question.project_key);
    int rc = stmt_step(stmt, err);
    if (rc == 1)
        return err_set(err, ERR_REVISION_GONE,
                       "labels may have changed since the first page of this answer: ask for that "
                       "again");
    return rc;
}

int usage_cursor_take(struct app *app, struct db *db, const char *text, struct usage_query *query,
                      struct err *err)
{
    struct ledger_moment now = query->moment;
    if (usage_cursor_parse(text, &now, query, err) != 0)
        return -1;
    if (check_moment(app, db, &now, &query->moment, err) != 0)
        return -1;
    return check_labels(db, query, err);
}

int usage_query_parse(struct request *r, struct db *db, struct usage_query *ret_query,
                      struct err *err)
{
    const char *cursor = http_query(r->http, "cursor");
    struct usage_question *question = &ret_query->question;
    if (usage_query_now(r, db, ret_query, err) != 0 || parse_what(r, ret_query, err) != 0)
        return -1;
    if (cursor && usage_cursor_take(r->app, db, cursor, ret_query, err) != 0)
        return -1;
    int64_t from, to;
    if (usage_range_parse(r, &ret_query->moment, false, &from, &to, err) != 0)
        return -1;
    if (cursor &&
        (question->from_ms != from || question->to_ms != to || !usage_position_fits(ret_query)))
        return err_field(err, "cursor",
                         "cursor is of another question: the other parameters must stay the same");
    question->from_ms = from;
    question->to_ms = to;
    if (!cursor)
        ret_query->position_ms = from;
    return 0;
}

/* ---- rows ---- */

struct walk {
    usage_row_each *each;
    void *ctx;
    bool stopped;
};

static bool walk_row(void *ctx, const struct usage_row *row)
{
    struct walk *walk = ctx;
    walk->stopped = !walk->each(walk->ctx, row);
    return !walk->stopped;
}

static void add_segment(void *ctx, const struct segment *segment)
{
    usage_sum_add(ctx, segment);
}

/* One go: as many periods as were asked for and fit. */
static struct usage_sum *sum_up(struct request *r, const struct usage_query *query,
                                const struct usage_question *part, const struct price_book *book,
                                struct err *err)
{
    struct usage_sum *sum = usage_sum_new(part, book, SUMS_BYTES);
    struct ledger_filter filter = {.project_key = part->project_key, .kinds = usage_kinds(part)};
    usage_sum_range(sum, &filter.from_ms, &filter.to_ms);
    if (ledger_read(r->app, request_reader(r), &query->moment, &filter, add_segment, sum, err) !=
        0) {
        usage_sum_free(sum);
        return NULL;
    }
    usage_sum_finish(sum);
    return sum;
}

static int read_part(struct request *r, const struct usage_query *query,
                     struct usage_question *part, const struct price_book *book,
                     struct usage_names *names, size_t skip, struct walk *walk, struct err *err)
{
    int64_t from = part->from_ms, first;
    struct usage_sum *sum = NULL;
    usage_names_use(names, request_reader(r));
    if (from == query->position_ms)
        sum = usage_kept_take(r->app->kept, query);
    if (!sum)
        sum = sum_up(r, query, part, book, err);
    if (!sum)
        return -1;
    usage_sum_rows_from(sum, from, skip, walk_row, walk);
    usage_sum_span(sum, &first, &part->from_ms);
    if (walk->stopped)
        usage_kept_give(r->app->kept, query, sum);
    else
        usage_sum_free(sum);
    return usage_names_failed(names, err);
}

int usage_query_rows(struct request *r, const struct usage_query *query, struct usage_names *names,
                     usage_row_each *each, void *ctx, struct err *err)
{
    struct walk walk = {.each = each, .ctx = ctx};
    struct usage_question part = query->question;
    struct price_book *book;
    size_t skip = query->skip;
    bool many = part.period != USAGE_TOTAL &&
                (usage_asks(&part, USAGE_BY_RESOURCE) || usage_asks(&part, USAGE_BY_PRICE));
    part.from_ms = query->position_ms;
    part.periods_max = many ? FIRST_PERIODS : 0;
    part.labels = usage_names_labels(names);
    for (int i = 0; i < USAGE_LABELS; i++)
        usage_names_label(names, i, query->labels[i]);
    if (price_book_load(request_reader(r), part.project_key, &book, err) != 0)
        return -1;
    int rc = 0;
    while (rc == 0 && !walk.stopped && part.from_ms < part.to_ms) {
        rc = read_part(r, query, &part, book, names, skip, &walk, err);
        if (part.periods_max < MANY_PERIODS)
            part.periods_max *= 2;
        skip = 0;
        app_snapshot_renew();
        app_snapshot_step(r->app);
    }
    price_book_free(book);
    return rc;
}
