/* Rows of the ledger as verification reads them, held against what the evidence says; see
 * ledger_verify_internal.h. */
#include <inttypes.h>
#include <string.h>

#include "api/base/mem.h"
#include "controller/ledger/book/ledger_verify_internal.h"

struct column {
    const char *name;
    size_t offset;
    size_t size;
};

#define COLUMN(member)                                                                   \
    {                                                                                    \
#member, offsetof(struct segment, member), sizeof(((struct segment *)0)->member) \
    }
static const struct column columns[] = {
    COLUMN(ordinal),      COLUMN(seal_key),    COLUMN(close_seal_key),    COLUMN(kind),
    COLUMN(sign),         COLUMN(reverses),    COLUMN(corrects_until_ms), COLUMN(resource),
    COLUMN(resource_key), COLUMN(project_key), COLUMN(node_key),          COLUMN(flavor_key),
    COLUMN(run),          COLUMN(start_ms),    COLUMN(origin_ms),         COLUMN(end_ms),
    COLUMN(verified),     COLUMN(amounts[0]),  COLUMN(amounts[1]),        COLUMN(amounts[2])};

static int64_t column_value(const struct segment *s, const struct column *c)
{
    const char *at = (const char *)s + c->offset;
    int64_t wide;
    int narrow;
    if (c->size == sizeof(bool))
        return *(const bool *)at;
    if (c->size == sizeof(int)) {
        memcpy(&narrow, at, sizeof(narrow));
        return narrow;
    }
    memcpy(&wide, at, sizeof(wide));
    return wide;
}

static void compare_columns(struct verify *v, const struct segment *stored,
                            const struct segment *said)
{
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        int64_t a = column_value(stored, &columns[i]), b = column_value(said, &columns[i]);
        if (a != b)
            verify_differs(v, "segment %" PRId64 ": %s is %" PRId64 ", the evidence says %" PRId64,
                           stored->key, columns[i].name, a, b);
    }
}

/* A row that was open then and has been closed since is compared without its end: that is the
 * closing seal's word. */
static void open_as_then(struct verify *v, struct segment *stored, int64_t seal_key)
{
    if (stored->open)
        return;
    if (stored->close_seal_key <= seal_key)
        verify_differs(v,
                       "segment %" PRId64 ": end_ms is %" PRId64
                       " by seal (close_seal_key) %" PRId64 ", the evidence says that it was open",
                       stored->key, stored->end_ms, stored->close_seal_key);
    stored->open = stored->verified = true;
    stored->ordinal = stored->close_seal_key = stored->end_ms = 0;
}

/* As of a seal; v->head is that of the row itself if it is closed. */
static int compare_row(struct verify *v, const struct segment *said, int64_t seal_key,
                       struct err *err)
{
    struct segment_row row;
    int rc = store_segment_row(v->db, said->key, &row, err);
    if (rc < 0)
        return -1;
    if (rc == 0) {
        verify_differs(v, "segment %" PRId64 " is missing", said->key);
        return 0;
    }
    if (said->open)
        open_as_then(v, &row.segment, seal_key);
    compare_columns(v, &row.segment, said);
    if (!row.sound)
        verify_differs(v, "segment %" PRId64 ": it holds what no segment does", said->key);
    if (!said->open && (!row.chained || memcmp(row.chain, v->head.chain, sizeof(row.chain)) != 0))
        verify_differs(v, "segment %" PRId64 ": its chain does not follow from the rows",
                       said->key);
    return 0;
}

/* As store_segment_change() writes it. false: there is nothing to be closed. */
static bool as_written(struct verify *v, const struct change *change, int64_t seal_key,
                       struct segment *ret_row)
{
    *ret_row = change->segment;
    if (change->closes) {
        const struct segment *open = open_rows_find(&v->open, change->segment.key);
        if (!open)
            return false;
        *ret_row = *open;
        ret_row->open = false;
        ret_row->end_ms = change->segment.end_ms;
        ret_row->verified = change->segment.verified;
    } else {
        ret_row->key = ++v->segment_key;
        ret_row->seal_key = seal_key;
        v->verdict->segments++;
    }
    if (ret_row->open) {
        ret_row->end_ms = 0;
        return true;
    }
    ret_row->ordinal = ++v->head.ordinal;
    ret_row->close_seal_key = seal_key;
    segment_chain(v->head.chain, ret_row, v->head.chain);
    return true;
}

int verify_change(struct verify *v, const struct change *change, int64_t seal_key, struct err *err)
{
    struct segment row;
    if (!as_written(v, change, seal_key, &row)) {
        verify_differs(v,
                       "segment %" PRId64
                       ": the evidence says that it was open before seal %" PRId64 " closed it",
                       change->segment.key, seal_key);
        return 0;
    }
    if (change->closes)
        open_rows_close(&v->open, row.key);
    else if (row.open)
        open_rows_add(&v->open, &row);
    return compare_row(v, &row, seal_key, err);
}

int verify_open_rows(struct verify *v, struct err *err)
{
    for (size_t i = 0; i < v->open.count && !v->verdict->difference[0]; i++) {
        if (compare_row(v, &v->open.items[i], INT64_MAX, err) != 0)
            return -1;
    }
    return 0;
}
