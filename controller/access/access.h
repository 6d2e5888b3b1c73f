/* One door to a row: a handler gets an object only by a call that says who asks, which
 * action, and which object (name or id). A foreign object and a missing one give the
 * same ERR_NOT_FOUND. */
#ifndef MINICLOUD_CONTROLLER_ACCESS_ACCESS_H
#define MINICLOUD_CONTROLLER_ACCESS_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "api/types.h"
#include "controller/noun/kind.h"

struct db;
struct err;

/* Who asks. project_key 0: an operator (sees all); node_key: an agent (sees its node's). */
struct caller {
    int64_t token_key;
    int64_t project_key;
    int64_t node_key;
    enum role role;
    char actor[96];
};

enum access_verb {
    ACCESS_SEE,    /* own project's rows, and public ones */
    ACCESS_CHANGE, /* own project's rows only */
};

/* Belongs to no project and to no node: sees all. */
bool caller_is_operator(const struct caller *who);

/* Key of the row that `ref` (name or UUID) means for this caller. For an operator a name is looked
 * up in `project_key` (0: the default project); an id anywhere. Deleted rows are found by id with
 * ACCESS_SEE only. A name also finds a public image or network of another project, one's own
 * first; operators' own tokens are in project 0. Agents find nothing by this door: their
 * handlers look only at rows of their node. */
int access_row(struct db *db, const struct caller *who, enum access_verb verb,
               enum access_kind kind, int64_t project_key, const char *ref, int64_t *ret_key,
               struct err *err);
/* The project a request acts in: the token's, or for an operator the one that `ref` names
 * (NULL: "default"). */
int access_project(struct db *db, const struct caller *who, const char *ref, int64_t *ret_key,
                   struct err *err);

#endif
