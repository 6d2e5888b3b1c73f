/* The spool file; see spool.h. Lines of text, each "<checksum> <kind> ...":
 *   S <incarnation> <last sequence>          first line
 *   O <observation's fields>
 *   A <acknowledged sequence>
 *   R <epoch> <revision> [<mark>]
 *   L <boot id> <wall minus boottime, in ms> <place in the order of boots>  the newest last
 * It is rewritten as a whole when little of it is still needed. */
#include "node-agent/evidence/spool.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"

/* ENTRY_BYTES is several times what an entry takes, so that a rewrite always shrinks. */
enum { FILE_MAX = 512 << 20, COMPACT_BYTES = 256 << 10, ENTRY_BYTES = 1024 };
/* Two: what the boot before left behind is told in its own time. */
enum { LINES = 2, STEP_MS = 100 };

struct entry {
    struct entry *next;
    char boot_id[BOOT_ID_MAX], instance[ID_TEXT_MAX];
    struct observation o; /* its texts point above, the incarnation to the spool's */
};

struct line {
    char boot_id[BOOT_ID_MAX];
    int64_t ms, order;
};

struct spool {
    pthread_mutex_t lock;
    char *path;
    int fd;
    int64_t bytes;
    /* Lines of time since it was opened. */
    int64_t lines_made, lines_written, lines_synced;
    char incarnation[ID_TEXT_MAX];
    int64_t last, synced, acknowledged;
    struct entry *first, **end;
    int64_t count;
    char epoch[256];
    int64_t revision;
    char mark[NODE_MARK_MAX + 1]; /* without blanks */
    struct line lines[LINES];     /* the newest first */
};

static uint32_t checksum(const char *text, size_t len)
{
    uint32_t sum = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (uint8_t)text[i]) * 16777619u;
    return sum;
}

static void seal(struct buf *out, const struct buf *line)
{
    buf_printf(out, "%08x %s\n", checksum(line->data, line->len), line->data);
}

static void print_entry(const struct observation *o, struct buf *out)
{
    auto_buf struct buf line = {0};
    buf_printf(&line,
               "O %" PRId64 " %d %s %s %" PRId64 " %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
               " %" PRId64 " %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
               o->sequence, o->kind, o->boot_id, o->instance, o->run, o->cause, o->boottime_ms,
               o->wall_ms, o->vcpus, o->memory_mib, o->disk_gib, o->noticed, o->cpu_ns,
               o->ingress_bytes, o->egress_bytes, o->boot_order);
    seal(out, &line);
}

static void print_clock(const struct line *clock, struct buf *out)
{
    auto_buf struct buf line = {0};
    buf_printf(&line, "L %s %" PRId64 " %" PRId64, clock->boot_id, clock->ms, clock->order);
    seal(out, &line);
}

static void print_head(const struct spool *spool, struct buf *out)
{
    auto_buf struct buf head = {0}, note = {0};
    buf_printf(&head, "S %s %" PRId64, spool->incarnation, spool->last);
    seal(out, &head);
    buf_printf(&note, "R %s %" PRId64 " %s", spool->epoch[0] ? spool->epoch : "-", spool->revision,
               spool->mark);
    seal(out, &note);
    for (int i = LINES - 1; i >= 0; i--) {
        if (spool->lines[i].boot_id[0])
            print_clock(&spool->lines[i], out);
    }
}

static void add_entry(struct spool *spool, const struct observation *o)
{
    struct entry *e = xcalloc(1, sizeof *e);
    e->o = *o;
    snprintf(e->boot_id, sizeof e->boot_id, "%s", o->boot_id);
    snprintf(e->instance, sizeof e->instance, "%s", o->instance);
    e->o.boot_id = e->boot_id;
    e->o.instance = e->instance;
    e->o.incarnation = spool->incarnation;
    *spool->end = e;
    spool->end = &e->next;
    spool->count++;
}

static void drop_acknowledged(struct spool *spool)
{
    while (spool->first && spool->first->o.sequence <= spool->acknowledged) {
        struct entry *e = spool->first;
        spool->first = e->next;
        spool->count--;
        free(e);
    }
    if (!spool->first)
        spool->end = &spool->first;
}

/* ---- reading ---- */

static bool read_entry(struct spool *spool, const char *line)
{
    char boot_id[BOOT_ID_MAX], instance[ID_TEXT_MAX];
    struct observation o = {.boot_id = boot_id, .instance = instance};
    int noticed = 0;
    /* The last five came later: a spool may still lack them. */
    int fields = sscanf(line,
                        "O %" SCNd64 " %d %39s %36s %" SCNd64 " %d %" SCNd64 " %" SCNd64 " %" SCNd64
                        " %" SCNd64 " %" SCNd64 " %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64,
                        &o.sequence, &o.kind, boot_id, instance, &o.run, &o.cause, &o.boottime_ms,
                        &o.wall_ms, &o.vcpus, &o.memory_mib, &o.disk_gib, &noticed, &o.cpu_ns,
                        &o.ingress_bytes, &o.egress_bytes, &o.boot_order);
    if (fields != 11 && fields < 15)
        return false;
    if (o.kind < OBS_STARTED || o.kind > OBS_COUNTED || o.cause < CAUSE_NONE ||
        o.cause > CAUSE_UNSEEN)
        return false;
    o.noticed = noticed != 0;
    if (o.sequence > spool->last)
        spool->last = o.sequence;
    add_entry(spool, &o);
    return true;
}

/* Takes over the line of a boot: another's goes back a place. */
static void set_clock(struct spool *spool, const char *boot_id, int64_t ms, int64_t order)
{
    if (strcmp(spool->lines[0].boot_id, boot_id) != 0)
        spool->lines[1] = spool->lines[0];
    snprintf(spool->lines[0].boot_id, sizeof spool->lines[0].boot_id, "%s", boot_id);
    spool->lines[0].ms = ms;
    spool->lines[0].order = order;
}

static bool read_clock(struct spool *spool, const char *line)
{
    char boot_id[BOOT_ID_MAX];
    int64_t ms, order = 0;
    if (sscanf(line, "L %39s %" SCNd64 " %" SCNd64, boot_id, &ms, &order) < 2)
        return false;
    set_clock(spool, boot_id, ms, order > 0 ? order : ms);
    return true;
}

static bool read_line(struct spool *spool, const char *line)
{
    int64_t number;
    switch (line[0]) {
    case 'S':
        return sscanf(line, "S %36s %" SCNd64, spool->incarnation, &spool->last) == 2;
    case 'O':
        return spool->incarnation[0] && read_entry(spool, line);
    case 'A':
        if (sscanf(line, "A %" SCNd64, &number) != 1)
            return false;
        spool->acknowledged = number > spool->acknowledged ? number : spool->acknowledged;
        return true;
    case 'R':
        spool->mark[0] = '\0';
        number =
            sscanf(line, "R %255s %" SCNd64 " %40s", spool->epoch, &spool->revision, spool->mark);
        if (number < 2)
            return false;
        if (strcmp(spool->epoch, "-") == 0)
            spool->epoch[0] = '\0';
        return true;
    case 'L':
        return read_clock(spool, line);
    default:
        return false;
    }
}

static bool read_sealed(struct spool *spool, const char *line, size_t len)
{
    enum { SUM = 9 };
    char *end;
    if (len <= SUM)
        return false;
    unsigned long sum = strtoul(line, &end, 16);
    return end == line + SUM - 1 && *end == ' ' &&
           (uint32_t)sum == checksum(line + SUM, len - SUM) && read_line(spool, line + SUM);
}

/* Whether the file must be written anew before anything is appended. */
static bool read_all(struct spool *spool, struct buf *text)
{
    size_t bad = 0;
    char *at = text->data, *end = text->data + text->len;
    while (at && at < end) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) {
            bad++; /* torn */
            break;
        }
        *newline = '\0';
        bad += !read_sealed(spool, at, (size_t)(newline - at));
        at = newline + 1;
    }
    if (bad > 0)
        log_warn("spool.damaged", "lines=%zu path=%s", bad, spool->path);
    drop_acknowledged(spool);
    return bad > 0;
}

/* ---- writing ---- */

static int rewrite(struct spool *spool, struct err *err)
{
    auto_buf struct buf text = {0};
    print_head(spool, &text);
    for (const struct entry *e = spool->first; e; e = e->next)
        print_entry(&e->o, &text);
    if (file_write("spool", spool->path, text.data, text.len, 0600, err))
        return -1;
    int fd = open(spool->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open %s", spool->path);
    if (spool->fd >= 0)
        close(spool->fd);
    spool->fd = fd;
    spool->bytes = (int64_t)text.len;
    spool->synced = spool->last;
    return 0;
}

static int append(struct spool *spool, const struct buf *text, struct err *err)
{
    if (FAILPOINT("file.write:spool", err))
        return -1;
    ssize_t n = write(spool->fd, text->data, text->len);
    if (n == (ssize_t)text->len) {
        spool->bytes += n;
        FAILPOINT_VOID("file.write:spool.after");
        return 0;
    }
    err_errno(err, "cannot append to %s", spool->path);
    /* What got there of the line must not run into the next one. */
    FAILPOINT_VOID("file.truncate:spool");
    if (n > 0 && ftruncate(spool->fd, (off_t)spool->bytes) != 0)
        log_error("spool.torn", "path=%s", spool->path);
    return -1;
}

static void compact_if_worth(struct spool *spool)
{
    auto_err struct err err = {0};
    if (spool->bytes < COMPACT_BYTES + spool->count * ENTRY_BYTES)
        return;
    if (rewrite(spool, &err))
        log_warn("spool.compact", "error=\"%s\"", err.msg);
}

/* ---- the spool ---- */

static int load(struct spool *spool, struct err *err)
{
    auto_buf struct buf text = {0};
    bool fresh = false;
    if (file_read(spool->path, FILE_MAX, &text, err)) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        err_clear(err);
        fresh = true;
    } else if (read_all(spool, &text)) {
        fresh = true;
    }
    if (!spool->incarnation[0]) {
        if (text.len > 0) {
            auto_buf struct buf aside = {0};
            buf_printf(&aside, "%s.bad", spool->path);
            if (file_rename("spool", spool->path, aside.data, err))
                return -1;
        }
        id_new(spool->incarnation);
        fresh = true;
    }
    if (fresh)
        return rewrite(spool, err);
    spool->fd = open(spool->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (spool->fd < 0)
        return err_errno(err, "cannot open %s", spool->path);
    spool->bytes = (int64_t)text.len;
    return 0;
}

int spool_open(const char *path, struct spool **ret_spool, struct err *err)
{
    struct spool *spool = xcalloc(1, sizeof *spool);
    pthread_mutex_init(&spool->lock, NULL);
    spool->path = xstrdup(path);
    spool->fd = -1;
    spool->end = &spool->first;
    if (load(spool, err)) {
        spool_close(spool);
        return -1;
    }
    *ret_spool = spool;
    return 0;
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    spool->acknowledged = INT64_MAX;
    drop_acknowledged(spool);
    if (spool->fd >= 0)
        close(spool->fd);
    pthread_mutex_destroy(&spool->lock);
    free(spool->path);
    free(spool);
}

int spool_add(struct spool *spool, const struct observation *o, struct err *err)
{
    auto_buf struct buf text = {0};
    struct observation numbered = *o;
    pthread_mutex_lock(&spool->lock);
    numbered.sequence = ++spool->last;
    print_entry(&numbered, &text);
    int r = append(spool, &text, err);
    if (r == 0)
        add_entry(spool, &numbered);
    else
        spool->last--;
    pthread_mutex_unlock(&spool->lock);
    return r;
}

/* With the lock held. On a full disk it is tried again, and meanwhile nobody is told a place that
 * could be given once more. */
static void write_line(struct spool *spool)
{
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    if (spool->lines_written == spool->lines_made)
        return;
    print_clock(&spool->lines[0], &text);
    if (append(spool, &text, &err))
        log_warn("spool.append", "error=\"%s\"", err.msg);
    else
        spool->lines_written = spool->lines_made;
}

int spool_sync(struct spool *spool, struct err *err)
{
    pthread_mutex_lock(&spool->lock);
    int64_t last = spool->last;
    write_line(spool);
    int64_t lines = spool->lines_written;
    bool needed = spool->synced < last || spool->lines_synced < lines;
    int fd = needed ? dup(spool->fd) : -1;
    pthread_mutex_unlock(&spool->lock);
    if (!needed)
        return 0;
    /* Without the lock: adding goes on meanwhile. */
    int r = fd < 0 ? err_errno(err, "cannot sync the spool") : file_sync("spool", fd, err);
    fd_cleanup(&fd);
    pthread_mutex_lock(&spool->lock);
    if (r == 0 && last > spool->synced)
        spool->synced = last;
    if (r == 0 && lines > spool->lines_synced)
        spool->lines_synced = lines;
    pthread_mutex_unlock(&spool->lock);
    return r;
}

struct observation *spool_batch(struct spool *spool, size_t *ret_count, bool *ret_more)
{
    struct observation *batch = xcalloc(SPOOL_BATCH, sizeof *batch);
    size_t n = 0;
    pthread_mutex_lock(&spool->lock);
    const struct entry *e = spool->first;
    for (; e && n < SPOOL_BATCH && e->o.sequence <= spool->synced; e = e->next) {
        batch[n] = e->o;
        batch[n].boot_id = xstrdup(e->boot_id);
        batch[n].instance = xstrdup(e->instance);
        batch[n].incarnation = xstrdup(spool->incarnation);
        n++;
    }
    *ret_more = e != NULL;
    pthread_mutex_unlock(&spool->lock);
    *ret_count = n;
    return batch;
}

void spool_batch_free(struct observation *batch, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(batch[i].boot_id);
        free(batch[i].instance);
        free(batch[i].incarnation);
    }
    free(batch);
}

static void append_quietly(struct spool *spool, const struct buf *line)
{
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    seal(&text, line);
    if (append(spool, &text, &err))
        log_warn("spool.append", "error=\"%s\"", err.msg);
}

void spool_acknowledge(struct spool *spool, const char *incarnation, int64_t sequence)
{
    auto_buf struct buf line = {0};
    pthread_mutex_lock(&spool->lock);
    if (incarnation && strcmp(incarnation, spool->incarnation) == 0 &&
        sequence > spool->acknowledged && sequence <= spool->last) {
        spool->acknowledged = sequence;
        buf_printf(&line, "A %" PRId64, sequence);
        append_quietly(spool, &line);
        drop_acknowledged(spool);
        compact_if_worth(spool);
    }
    pthread_mutex_unlock(&spool->lock);
}

bool spool_pending(struct spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    bool pending = spool->first != NULL;
    pthread_mutex_unlock(&spool->lock);
    return pending;
}

void spool_note(struct spool *spool, const char *epoch, int64_t revision, const char *mark)
{
    auto_buf struct buf line = {0};
    pthread_mutex_lock(&spool->lock);
    if (revision != spool->revision || strcmp(epoch, spool->epoch) != 0) {
        snprintf(spool->epoch, sizeof spool->epoch, "%s", epoch);
        spool->revision = revision;
        snprintf(spool->mark, sizeof spool->mark, "%s", mark ? mark : "");
        buf_printf(&line, "R %s %" PRId64 " %s", epoch, revision, spool->mark);
        append_quietly(spool, &line);
        compact_if_worth(spool);
    }
    pthread_mutex_unlock(&spool->lock);
}

void spool_noted(struct spool *spool, char epoch[256], int64_t *ret_revision,
                 char mark[NODE_MARK_MAX + 1])
{
    pthread_mutex_lock(&spool->lock);
    snprintf(epoch, 256, "%s", spool->epoch);
    *ret_revision = spool->revision;
    snprintf(mark, NODE_MARK_MAX + 1, "%s", spool->mark);
    pthread_mutex_unlock(&spool->lock);
}

int64_t spool_line(struct spool *spool, const char *boot_id, int64_t now_ms)
{
    pthread_mutex_lock(&spool->lock);
    struct line *line = &spool->lines[0];
    int64_t step = now_ms - line->ms;
    bool same = strcmp(line->boot_id, boot_id) == 0;
    bool stepped = step > STEP_MS || step < -STEP_MS;
    if (!same || stepped) {
        if (same)
            log_warn("clock.stepped",
                     "ms=%" PRId64 " hint=\"the wall clock was set; what happened "
                     "before it keeps its dates\"",
                     step);
        int64_t next = line->order < now_ms ? now_ms : line->order + 1;
        spool->lines_made++;
        set_clock(spool, boot_id, now_ms, same ? line->order : next);
        write_line(spool);
    }
    int64_t ms = line->ms;
    pthread_mutex_unlock(&spool->lock);
    return ms;
}

static const struct line *line_of(const struct spool *spool, const char *boot_id)
{
    for (int i = 0; i < LINES; i++) {
        if (strcmp(spool->lines[i].boot_id, boot_id) == 0)
            return &spool->lines[i];
    }
    return NULL;
}

bool spool_line_of(struct spool *spool, const char *boot_id, int64_t *ret_ms)
{
    pthread_mutex_lock(&spool->lock);
    const struct line *line = line_of(spool, boot_id);
    if (line)
        *ret_ms = line->ms;
    pthread_mutex_unlock(&spool->lock);
    return line;
}

int64_t spool_boot_order(struct spool *spool, const char *boot_id)
{
    pthread_mutex_lock(&spool->lock);
    const struct line *line = line_of(spool, boot_id);
    bool written = line != &spool->lines[0] || spool->lines_written == spool->lines_made;
    int64_t order = line && written ? line->order : 0;
    pthread_mutex_unlock(&spool->lock);
    return order;
}

void spool_boot_settled(struct spool *spool, const char *boot_id, int64_t order)
{
    pthread_mutex_lock(&spool->lock);
    struct line *line = &spool->lines[0];
    if (strcmp(line->boot_id, boot_id) == 0 && order > line->order) {
        line->order = order;
        spool->lines_made++;
        write_line(spool);
    }
    pthread_mutex_unlock(&spool->lock);
}
