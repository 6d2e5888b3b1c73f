/* What was read of the evidence log's boots, kept between answers: most of them ask for the same
 * hosts' lines of time, and of a host that has told nothing new these are what they were. Two
 * views: as of the last seal, which changes with that alone, and as of the newest row, which goes
 * on from answer to answer. Thread-safe; a view belongs to whoever took it, and who finds none
 * reads for himself. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_EVIDENCE_LEDGER_VIEWS_H
#define MINICLOUD_CONTROLLER_LEDGER_EVIDENCE_LEDGER_VIEWS_H

#include <stdint.h>

struct db;
struct err;
struct evidence;

enum ledger_view { VIEW_SEALED, VIEW_NEWEST, VIEW_COUNT };

struct ledger_views;
struct ledger_views *ledger_views_new(void);
void ledger_views_free(struct ledger_views *views);

/* The log up to the row `key`, read by this connection; the caller's until it is given back. NULL
 * on failure. */
struct evidence *ledger_views_take(struct ledger_views *views, enum ledger_view which,
                                   struct db *db, int64_t key, struct err *err);
/* NULL does nothing. */
void ledger_views_give(struct ledger_views *views, enum ledger_view which,
                       struct evidence *evidence);

#endif
