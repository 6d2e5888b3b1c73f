/* Reading the revision log. */
#include "api/base/err.h"
#include "api/json/json.h"
#include "controller/db/db.h"
#include "controller/event/feed.h"
#include "controller/request/request.h"
#include "controller/tx/meta.h"

static void put_event(struct stmt *stmt, struct json_writer *w)
{
    json_open(w, NULL, '{');
    json_put_i64(w, "revision", stmt_i64(stmt, 0));
    json_put_time(w, "time", stmt_i64(stmt, 1));
    json_put_str(w, "actor", stmt_text(stmt, 2));
    json_put_str(w, "project", stmt_text(stmt, 3));
    json_put_str(w, "kind", stmt_text(stmt, 4));
    json_put_str(w, "id", stmt_text(stmt, 5));
    json_put_str(w, "name", stmt_text(stmt, 6));
    json_put_str(w, "what", stmt_text(stmt, 7));
    json_close(w, '}');
}

static void put_frame(struct stmt *stmt, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    buf_puts(out, "id: ");
    buf_i64(out, stmt_i64(stmt, 0));
    buf_puts(out, "\ndata: ");
    put_event(stmt, &w);
    buf_puts(out, "\n\n");
}

static struct stmt *select_events(struct db *db, const struct feed_question *question)
{
    const char *kind = question->kind[0] ? question->kind : NULL;
    const char *id = question->id[0] ? question->id : NULL;
    if (question->project_key == 0) {
        struct stmt *all = db_stmt(
            db, "SELECT e.revision, e.time_ms, e.actor, p.name, e.kind, e.id, e.name, e.what"
                " FROM event e LEFT JOIN project p ON p.key = e.project_key WHERE e.revision > ?1"
                " AND (?2 IS NULL OR e.kind = ?2) AND (?3 IS NULL OR e.id = ?3)"
                " ORDER BY e.revision LIMIT ?4");
        stmt_bind(all, "itti", question->after, kind, id, question->limit + 1);
        return all;
    }
    struct stmt *own =
        db_stmt(db, "SELECT e.revision, e.time_ms, e.actor, p.name, e.kind, e.id, e.name, e.what"
                    " FROM event e JOIN project p ON p.key = e.project_key"
                    " WHERE e.project_key = ?1 AND e.revision > ?2 AND (?3 IS NULL OR e.kind = ?3)"
                    " AND (?4 IS NULL OR e.id = ?4) ORDER BY e.revision LIMIT ?5");
    stmt_bind(own, "iitti", question->project_key, question->after, kind, id, question->limit + 1);
    return own;
}

static int read_rows(struct db *db, const struct feed_question *question, struct feed_page *page,
                     struct err *err)
{
    auto_stmt struct stmt *stmt = select_events(db, question);
    struct json_writer w = JSON_WRITER(&page->text);
    int rc;
    while ((rc = stmt_step(stmt, err)) == 1 && page->count < question->limit) {
        if (question->form == FEED_STREAM)
            put_frame(stmt, &page->text);
        else
            put_event(stmt, &w);
        page->count++;
        page->last = stmt_i64(stmt, 0);
    }
    page->more = rc == 1;
    return rc < 0 ? -1 : 0;
}

/* Absent rows below `first` may have told of anything. */
static int check_kept(int64_t after, int64_t first, int64_t last, struct err *err)
{
    if (after + 1 >= first && after <= last)
        return 0;
    return err_set(err, ERR_REVISION_GONE,
                   "events are kept from revision %lld to %lld: list what you watch again, and "
                   "watch from the revision that the list gives",
                   (long long)first, (long long)last);
}

static int read_page(struct db *db, const struct feed_question *question, struct feed_page *page,
                     struct err *err)
{
    int64_t first, last;
    if (revision_range(db, &first, &last, err) != 0 ||
        check_kept(question->after, first, last, err) != 0)
        return -1;
    page->last = last;
    struct json_writer w = JSON_WRITER(&page->text);
    if (question->form == FEED_PAGE)
        page_open(&w, "events");
    if (read_rows(db, question, page, err) != 0)
        return -1;
    if (!page->more)
        page->last = last;
    if (question->form == FEED_PAGE)
        page_close(&w, page->more, page->last, page->last);
    return 0;
}

int feed_read(struct db *db, const struct feed_question *question, struct feed_page *ret_page,
              struct err *err)
{
    *ret_page = (struct feed_page){0};
    if (db_read_begin(db, err) != 0)
        return -1;
    int rc = read_page(db, question, ret_page, err);
    db_read_end(db);
    if (rc != 0)
        feed_page_release(ret_page);
    return rc;
}
