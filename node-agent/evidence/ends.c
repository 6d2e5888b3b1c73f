/* The file of ends; see ends.h. A line is "on|off <id> <run> <boot id> <boottime ms> <witness>";
 * one that does not read so is skipped. "<path>.old" is what was put aside. */
#include "node-agent/evidence/ends.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/file.h"
#include "api/base/log.h"
#include "api/base/mem.h"

enum { FILE_MAX = 64 << 20, GROWN_BYTES = 16 << 10 };

static void print_line(const struct end_line *line, struct buf *out)
{
    buf_printf(out, "%s %s %" PRId64 " %s %" PRId64 " %s\n", line->off ? "off" : "on", line->id,
               line->run, line->boot_id, line->boottime_ms, line->witness);
}

static int append(const char *path, const struct buf *text, struct err *err)
{
    if (FAILPOINT("file.write:ends", err))
        return -1;
    autoclose int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    if (write(fd, text->data, text->len) != (ssize_t)text->len)
        return err_errno(err, "cannot append to %s", path);
    FAILPOINT_VOID("file.write:ends.after");
    return 0;
}

int ends_append(const char *path, const struct end_line *line, struct err *err)
{
    auto_buf struct buf text = {0};
    print_line(line, &text);
    return append(path, &text, err);
}

/* ---- reading ---- */

struct lines {
    struct end_line *items;
    size_t count, room;
};

static void lines_release(struct lines *lines)
{
    free(lines->items);
}

static bool read_line(const char *text, struct end_line *ret)
{
    char kind[4], nothing;
    memset(ret, 0, sizeof *ret);
    if (sscanf(text, "%3s %36s %" SCNd64 " %39s %" SCNd64 " %47s %c", kind, ret->id, &ret->run,
               ret->boot_id, &ret->boottime_ms, ret->witness, &nothing) != 6)
        return false;
    ret->off = strcmp(kind, "off") == 0;
    return (ret->off || strcmp(kind, "on") == 0) && ret->boottime_ms > 0;
}

/* A torn last line is left out: what it said is not known. */
static void read_file(const char *path, struct lines *lines)
{
    auto_buf struct buf text = {0};
    auto_err struct err err = {0};
    if (file_read(path, FILE_MAX, &text, &err)) {
        if (err.code != ERR_NOT_FOUND)
            log_warn("ends.unreadable", "error=\"%s\"", err.msg);
        return;
    }
    char *newline;
    for (char *at = text.data; at && (newline = strchr(at, '\n')); at = newline + 1) {
        struct end_line line;
        *newline = '\0';
        if (!read_line(at, &line))
            continue;
        if (lines->count == lines->room) {
            lines->room = lines->room ? 2 * lines->room : 64;
            lines->items = xrealloc(lines->items, lines->room * sizeof *lines->items);
        }
        lines->items[lines->count++] = line;
    }
}

static bool had_it(const struct lines *lines, const struct end_line *end)
{
    for (size_t i = 0; i < lines->count; i++) {
        const struct end_line *line = &lines->items[i];
        if (!line->off && line->boottime_ms <= end->boottime_ms && strcmp(line->id, end->id) == 0 &&
            strcmp(line->boot_id, end->boot_id) == 0 && strcmp(line->witness, end->witness) == 0)
            return true;
    }
    return false;
}

static bool is_exact(const struct lines *lines, const struct end_line *end)
{
    return strcmp(end->witness, ENDS_BY_AGENT) == 0 || had_it(lines, end);
}

/* The agent's pidfd sees an end before libvirtd does. */
static bool is_better(const struct ending *than, const struct end_line *end, bool exact)
{
    if (than->boottime_ms == 0 || exact == than->noticed)
        return than->boottime_ms == 0 || exact;
    return end->boottime_ms < than->boottime_ms;
}

bool ends_find(const char *path, const char *id, int64_t run, struct ending *ret)
{
    __attribute__((cleanup(lines_release))) struct lines lines = {0};
    autofree char *old = xasprintf("%s.old", path);
    memset(ret, 0, sizeof *ret);
    read_file(old, &lines);
    read_file(path, &lines);
    for (size_t i = 0; i < lines.count; i++) {
        const struct end_line *line = &lines.items[i];
        if (!line->off || line->run != run || strcmp(line->id, id) != 0)
            continue;
        bool exact = is_exact(&lines, line);
        if (!is_better(ret, line, exact))
            continue;
        snprintf(ret->boot_id, sizeof ret->boot_id, "%s", line->boot_id);
        ret->boottime_ms = line->boottime_ms;
        ret->noticed = !exact;
    }
    return ret->boottime_ms > 0;
}

/* ---- keeping it small ---- */

/* Repeats are harmless: a death between the two steps makes some. */
static int take_over(const char *path, const char *old,
                     bool (*needed)(void *ctx, const char *id, int64_t run), void *ctx,
                     struct err *err)
{
    __attribute__((cleanup(lines_release))) struct lines lines = {0};
    auto_buf struct buf kept = {0};
    read_file(old, &lines);
    for (size_t i = 0; i < lines.count; i++) {
        if (needed(ctx, lines.items[i].id, lines.items[i].run))
            print_line(&lines.items[i], &kept);
    }
    if (kept.len > 0 && append(path, &kept, err))
        return -1;
    return file_unlink("ends", old, err);
}

void ends_tidy(const char *path, bool (*needed)(void *ctx, const char *id, int64_t run), void *ctx)
{
    autofree char *old = xasprintf("%s.old", path);
    auto_err struct err err = {0};
    struct stat st;
    int r = 0;
    if (access(old, F_OK) == 0)
        r = take_over(path, old, needed, ctx, &err);
    else if (stat(path, &st) == 0 && st.st_size > GROWN_BYTES)
        r = file_rename("ends", path, old, &err);
    if (r != 0)
        log_warn("ends.tidy", "error=\"%s\"", err.msg);
}
