/* Marks: signing and judging; see marks.h. */
#include "controller/node/marks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/id.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "controller/tx/meta.h"

enum { HISTORY_LEN = MARK_TEXT_MAX - 1, SIGNATURE_LEN = NODE_MARK_MAX - HISTORY_LEN };

struct marks {
    uint8_t key[SHA256_BYTES];
};

/* ---- the key ---- */

static int make_key(const char *path, struct marks *marks, struct err *err)
{
    char text[SHA256_TEXT_MAX];
    random_bytes(marks->key, sizeof(marks->key));
    sha256_text(marks->key, text);
    autofree char *line = xasprintf("%s\n", text);
    if (file_write("marks", path, line, strlen(line), 0600, err) != 0)
        return -1;
    log_info("marks.key", "file=\"%s\" action=made", path);
    return 0;
}

static int read_key(const char *path, struct marks *marks, struct err *err)
{
    struct buf auto_buf text = {0};
    if (file_read(path, 256, &text, err) != 0)
        return -1;
    if (text.len)
        text.data[strcspn(text.data, "\n")] = '\0';
    if (text.len && sha256_parse(text.data, marks->key) == 0)
        return 0;
    return err_set(err, ERR_INVALID,
                   "%s holds no key (64 hexadecimal digits): put the right one back, or remove it, "
                   "then a new one is made, and until all hosts have reported none of them can "
                   "prove that the database is a copy",
                   path);
}

int marks_open(const char *data_dir, struct marks **ret_marks, struct err *err)
{
    autofree char *path = xasprintf("%s/marks.key", data_dir);
    struct marks *marks = xcalloc(1, sizeof(*marks));
    int rc = read_key(path, marks, err);
    if (rc != 0 && err->code == ERR_NOT_FOUND) {
        err_clear(err);
        rc = make_key(path, marks, err);
    }
    if (rc != 0) {
        free(marks);
        return -1;
    }
    *ret_marks = marks;
    return 0;
}

void marks_free(struct marks *marks)
{
    if (!marks)
        return;
    explicit_bzero(marks->key, sizeof(marks->key));
    free(marks);
}

void marks_name(const struct marks *marks, char name[MARKS_NAME_MAX])
{
    static const char what[] = "minicloud: the name of this key";
    uint8_t hash[SHA256_BYTES];
    char text[SHA256_TEXT_MAX];
    hmac_sha256(marks->key, sizeof(marks->key), what, strlen(what), hash);
    sha256_text(hash, text);
    snprintf(name, MARKS_NAME_MAX, "%.16s", text);
}

/* ---- marks ---- */

static void sign(const struct marks *marks, const char *epoch, int64_t revision,
                 const char *history, char signature[SIGNATURE_LEN + 1])
{
    struct buf auto_buf whole = {0};
    uint8_t hash[SHA256_BYTES];
    char text[SHA256_TEXT_MAX];
    buf_printf(&whole, "minicloud: a mark\n%s\n%lld\n%.*s", epoch, (long long)revision, HISTORY_LEN,
               history);
    hmac_sha256(marks->key, sizeof(marks->key), whole.data, whole.len, hash);
    sha256_text(hash, text);
    snprintf(signature, SIGNATURE_LEN + 1, "%.*s", SIGNATURE_LEN, text);
}

/* Takes as long whatever differs. */
static bool same(const char *a, const char *b, size_t len)
{
    unsigned differs = 0;
    for (size_t i = 0; i < len; i++)
        differs |= (unsigned)a[i] ^ (unsigned)b[i];
    return differs == 0;
}

static bool is_ours(const struct marks *marks, const struct node_report *report)
{
    char signature[SIGNATURE_LEN + 1];
    if (!marks || !report->mark || strlen(report->mark) != NODE_MARK_MAX)
        return false;
    sign(marks, report->epoch, report->revision, report->mark, signature);
    return same(signature, report->mark + HISTORY_LEN, SIGNATURE_LEN);
}

int marks_give(const struct marks *marks, struct db *db, const char *epoch, int64_t revision,
               char mark[MARK_MAX], struct err *err)
{
    char history[MARK_TEXT_MAX];
    mark[0] = '\0';
    int rc = revision_mark(db, revision, history, err);
    if (rc <= 0)
        return rc;
    snprintf(mark, MARK_MAX, "%s", history);
    if (marks)
        sign(marks, epoch, revision, history, mark + HISTORY_LEN);
    return 0;
}

/* 1: the report speaks of a history that this database does not have. 0; -1. */
static int is_foreign(struct db *db, const char *own, const struct node_report *report,
                      struct err *err)
{
    char latest[ID_TEXT_MAX];
    if (!report->epoch || !id_valid(report->epoch))
        return 0;
    if (strcmp(report->epoch, own) == 0)
        return revision_foreign(db, report->revision, report->mark, err);
    if (epoch_latest(db, latest, err) != 0)
        return -1;
    /* Epochs are minted in the order of their texts: one that is later than all that this database
     * knows was minted after the copy. One that it knows may be another node's. */
    return strcmp(report->epoch, latest) > 0;
}

int marks_judge(const struct marks *marks, struct db *db, const char *own,
                const struct node_report *report, enum claim *ret_claim, struct err *err)
{
    int foreign = is_foreign(db, own, report, err);
    *ret_claim = CLAIM_NONE;
    if (foreign > 0)
        *ret_claim = is_ours(marks, report) ? CLAIM_PROVEN : CLAIM_UNPROVEN;
    return foreign < 0 ? -1 : 0;
}
