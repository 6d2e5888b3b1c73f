/* What a job asks of the writer: events, wake-ups, and things to do after COMMIT. */
#include "api/base/mem.h"
#include "controller/db/db.h"
#include "controller/tx/writer_internal.h"

void tx_after_commit(struct tx *tx, void (*fn)(void *ctx), void *ctx, void (*drop)(void *ctx))
{
    struct writer *w = tx->writer;
    if (w->after_count == w->after_cap) {
        w->after_cap = w->after_cap ? w->after_cap * 2 : 32;
        w->after = xrealloc(w->after, w->after_cap * sizeof(*w->after));
    }
    w->after[w->after_count++] = (struct after_commit){.fn = fn, .drop = drop, .ctx = ctx};
}

void writer_drop_after(struct writer *w, size_t mark)
{
    while (w->after_count > mark) {
        struct after_commit *after = &w->after[--w->after_count];
        if (after->drop)
            after->drop(after->ctx);
    }
}

static void touch(struct writer *w, enum watch_kind kind, int64_t key, int64_t revision)
{
    if (w->touched_count == w->touched_cap) {
        w->touched_cap = w->touched_cap ? w->touched_cap * 2 : 64;
        w->touched = xrealloc(w->touched, w->touched_cap * sizeof(*w->touched));
    }
    w->touched[w->touched_count++] =
        (struct watch_touch){.kind = kind, .key = key, .revision = revision};
}

void tx_touch(struct tx *tx, enum watch_kind kind, int64_t key)
{
    touch(tx->writer, kind, key, tx->writer->job_revision);
}

int64_t tx_revision(const struct tx *tx)
{
    return tx->writer->job_revision;
}

int64_t tx_event(struct tx *tx, const struct event_row *event)
{
    struct writer *w = tx->writer;
    auto_stmt struct stmt *stmt =
        db_stmt(tx->db, "INSERT INTO event (time_ms, actor, project_key, node_key, kind, id, name,"
                        " what) VALUES (?,?,?,?,?,?,?,?)");
    stmt_bind(stmt, "itzztttt", tx->now_ms, tx->actor, event->project_key, event->node_key,
              event->kind, event->id, event->name, event->what);
    struct err err = {0};
    if (stmt_run(stmt, &err) != 0) {
        if (!w->job_err.code)
            err_move(&w->job_err, &err);
        err_clear(&err);
        return 0;
    }
    int64_t revision = db_last_key(tx->db);
    w->job_revision = revision;
    if (event->project_key)
        touch(w, WATCH_EVENTS, event->project_key, revision);
    if (event->node_key)
        touch(w, WATCH_NODE, event->node_key, revision);
    return revision;
}
