/* The controller's own signature under what it tells hosts of its history, so that a host can
 * prove what it was told and cannot make it up.
 *
 * A mark is the hash of a revision's event (meta.h), then an HMAC of epoch, revision and that
 * hash. Its key is marks.key in the data folder, made at the first start, 0600; it is not in the
 * database, so that a copy of the database alone signs nothing. Only its name is, to tell when
 * the two do not belong together:
 *   - a folder that was copied back whole, or only its minicloud.db, has the key that signed what
 *     hosts remember: the first one to come back proves that the database is a copy.
 *   - a database without its key (brought elsewhere, or the file was lost), or older than the
 *     first key: a new key is made and the log says so. What hosts remember proves nothing then;
 *     each is believed for its own share (node_epoch.c), and for the rest an operator's word
 *     counts. */
#ifndef MINICLOUD_CONTROLLER_NODE_MARKS_H
#define MINICLOUD_CONTROLLER_NODE_MARKS_H

#include <stdint.h>

#include "api/node_protocol.h"

struct db;
struct err;
struct marks;

enum { MARK_MAX = NODE_MARK_MAX + 1, MARKS_NAME_MAX = 17 };

/* Reads the key, or makes one. */
int marks_open(const char *data_dir, struct marks **ret_marks, struct err *err);
void marks_free(struct marks *marks);
/* What tells this key from another, and says nothing of it. */
void marks_name(const struct marks *marks, char name[MARKS_NAME_MAX]);

/* The mark of a revision, for hosts of this epoch; "" when its event is not kept any more.
 * `marks` NULL: without a signature. */
int marks_give(const struct marks *marks, struct db *db, const char *epoch, int64_t revision,
               char mark[MARK_MAX], struct err *err);

/* What an agent's word of the past (epoch, revision and mark, NULL: none) is worth. */
enum claim {
    CLAIM_NONE,     /* it fits what this database says, or cannot be compared */
    CLAIM_UNPROVEN, /* another history than ours; but anyone could say so */
    CLAIM_PROVEN,   /* another history, and our own signature under it */
};
/* `own`: the epoch that the agent's node is in. */
int marks_judge(const struct marks *marks, struct db *db, const char *own,
                const struct node_report *report, enum claim *ret_claim, struct err *err);

#endif
