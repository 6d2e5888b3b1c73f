/* The WAL: when it is moved into the database, and how it stays below its limit.
 *
 *   a little   moved as far as readers allow, behind the answers; with nobody at it the next
 *              commit begins it anew
 *   a half     a turn: long reads let go and wait for a moment, so that it can begin anew
 *   nearly all a firm one: reads that do not let go are ended with an error */
#include <poll.h>

#include "api/base/clock.h"
#include "api/base/log.h"
#include "controller/db/db.h"
#include "controller/tx/writer_internal.h"

enum {
    CHECKPOINT_BYTES = 32 * 1024 * 1024, /* move it even when busy */
    BRIEF_MS = 50,                       /* how long writes wait for reads to let go */
    FIRM_CUT_MS = 500,
    FIRM_MS = 1500,
    TURN_POLL_MS = 1,
};

static void note_wal(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->stats.wal_bytes = (uint64_t)db_wal_bytes(w->db);
    w->stats.wal_limit = (uint64_t)w->settings.wal_limit;
    pthread_mutex_unlock(&w->lock);
}

static void release_readers(struct writer *w)
{
    if (w->settings.readers)
        w->settings.readers_hooks->release(w->settings.readers);
}

void writer_checkpoint(struct writer *w)
{
    auto_err struct err err = {0};
    release_readers(w);
    if (db_checkpoint(w->db, &err) != 0)
        log_warn("writer.checkpoint", "reason=\"%s\"", err.msg);
    w->wal_moved_at = db_wal_bytes(w->db);
    note_wal(w);
}

/* ---- a turn ---- */

struct turn {
    struct writer *writer;
    int64_t cut_ms, until_ms; /* CLOCK_BOOTTIME */
    size_t cut;
};

/* Readers are in the way. */
static bool wait_on(void *ctx)
{
    struct turn *turn = ctx;
    const struct writer_settings *settings = &turn->writer->settings;
    int64_t now_ms = clock_boottime_ms();
    if (now_ms >= turn->until_ms)
        return false;
    release_readers(turn->writer);
    if (settings->readers && now_ms >= turn->cut_ms)
        turn->cut += settings->readers_hooks->cut(settings->readers);
    poll(NULL, 0, TURN_POLL_MS);
    return true;
}

static void count_turn(struct writer *w, const struct turn *turn, bool anew)
{
    pthread_mutex_lock(&w->lock);
    w->stats.wal_turns++;
    w->stats.wal_turns_missed += !anew;
    w->stats.wal_cuts += turn->cut;
    pthread_mutex_unlock(&w->lock);
}

static void take_turn(struct writer *w, bool firm)
{
    auto_err struct err err = {0};
    const struct writer_settings *settings = &w->settings;
    int64_t now_ms = clock_boottime_ms();
    struct turn turn = {.writer = w,
                        .cut_ms = firm ? now_ms + FIRM_CUT_MS : INT64_MAX,
                        .until_ms = now_ms + (firm ? FIRM_MS : BRIEF_MS)};
    if (settings->readers)
        settings->readers_hooks->turn(settings->readers, true);
    release_readers(w);
    int rc = db_wal_restart(w->db, wait_on, &turn, &err);
    if (settings->readers)
        settings->readers_hooks->turn(settings->readers, false);
    w->wal_moved_at = w->wal_turn_at = db_wal_bytes(w->db);
    count_turn(w, &turn, rc == 1);
    note_wal(w);
    if (rc < 0)
        log_warn("writer.checkpoint", "reason=\"%s\"", err.msg);
    else if (rc == 0 && firm)
        log_warn("writer.wal",
                 "bytes=%lld limit=%lld reason=\"somebody else reads this database and holds its "
                 "log: look for sqlite3 or a backup that runs\"",
                 (long long)db_wal_bytes(w->db), (long long)settings->wal_limit);
}

/* ---- when ---- */

/* A turn that was missed comes again when the WAL has grown by a sixteenth of its limit, and
 * what could not be moved is tried again a quarter of that which begins it. */
void writer_tend_wal(struct writer *w)
{
    int64_t bytes = db_wal_bytes(w->db), limit = w->settings.wal_limit;
    int64_t move = limit / 4 < CHECKPOINT_BYTES ? limit / 4 : CHECKPOINT_BYTES;
    if (bytes < w->wal_moved_at || bytes < w->wal_turn_at)
        w->wal_moved_at = w->wal_turn_at = 0; /* it began anew */
    bool nearly = bytes >= limit - limit / 4, due = bytes >= w->wal_turn_at + limit / 16;
    if (bytes >= limit / 2 && (due || !w->wal_turn_at))
        take_turn(w, nearly);
    else if (bytes >= move && bytes >= w->wal_moved_at + move / 4 && db_wal_pages(w->db) > 0)
        writer_checkpoint(w);
    else
        note_wal(w);
}
