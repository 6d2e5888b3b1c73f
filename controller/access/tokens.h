/* Tokens: who a bearer secret means. The rows are the truth; a table in memory, keyed by
 * the SHA-256 of the secret, spares each request a query. It changes only after COMMIT. */
#ifndef MINICLOUD_CONTROLLER_ACCESS_TOKENS_H
#define MINICLOUD_CONTROLLER_ACCESS_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "api/base/id.h"
#include "api/types.h"

struct caller;
struct db;
struct err;
struct tokens;
struct tx;

struct tokens *tokens_new(void);
void tokens_free(struct tokens *tokens);
/* Replaces the table by the rows. */
int tokens_load(struct tokens *tokens, struct db *db, struct err *err);
/* Any thread. false: no such token. */
bool tokens_find(struct tokens *tokens, const char *secret, struct caller *ret_caller);

/* Whether a token that was found is still good; for what stays open. Its end touches
 * WATCH_TOKEN after this says no: who looks here after watch_revision() and waits behind that
 * revision misses nothing. */
bool tokens_alive(struct tokens *tokens, int64_t key);

/* Inside a job: the same by the row, so that what was revoked while a request waited to be
 * written is refused. ERR_UNAUTHENTICATED. */
int token_check(struct tx *tx, int64_t key, struct err *err);

struct token_new {
    const char *name;
    int64_t project_key; /* 0: none */
    int64_t node_key;    /* 0: none */
    enum role role;
    const char *secret; /* NULL: a new one is made */
};

struct token_made {
    int64_t key;
    char id[ID_TEXT_MAX];
    char secret[SECRET_TEXT_MAX];
    int64_t revision;
};

/* Inserts the row (only the hash), its event, and after COMMIT the table's entry. The actor
 * of a node's token is "node:<name>", of all others "token:<name>". */
int token_mint(struct tx *tx, const struct token_new *new, struct token_made *ret_made,
               struct err *err);
/* Marks deleted; after COMMIT the secret is not known any more, and what waits ends. */
int token_revoke(struct tx *tx, int64_t key, struct err *err);
/* All tokens of a node or of a project that goes. 0: do not match by this. */
int token_revoke_all(struct tx *tx, int64_t project_key, int64_t node_key, struct err *err);

#endif
