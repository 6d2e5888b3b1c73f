/* Views of the evidence log between answers; see ledger_views.h. */
#include "controller/ledger/evidence/ledger_views.h"

#include <pthread.h>
#include <stdlib.h>

#include "api/base/mem.h"
#include "controller/ledger/evidence/evidence.h"

/* Behind more rows than these a new view is read as fast as an old one goes on. */
enum { ROWS_BEHIND = 20000 };

struct ledger_views {
    pthread_mutex_t lock;
    struct evidence *kept[VIEW_COUNT]; /* NULL: somebody has it, or nobody made one */
};

struct ledger_views *ledger_views_new(void)
{
    struct ledger_views *views = xcalloc(1, sizeof(*views));
    pthread_mutex_init(&views->lock, NULL);
    return views;
}

void ledger_views_free(struct ledger_views *views)
{
    if (!views)
        return;
    for (int i = 0; i < VIEW_COUNT; i++)
        evidence_free(views->kept[i]);
    pthread_mutex_destroy(&views->lock);
    free(views);
}

static bool of_use(const struct evidence *kept, enum ledger_view which, int64_t key)
{
    int64_t of = kept ? evidence_key(kept) : 0;
    return kept && of <= key && key - of <= (which == VIEW_SEALED ? 0 : ROWS_BEHIND);
}

struct evidence *ledger_views_take(struct ledger_views *views, enum ledger_view which,
                                   struct db *db, int64_t key, struct err *err)
{
    struct evidence *kept = NULL;
    pthread_mutex_lock(&views->lock);
    if (of_use(views->kept[which], which, key))
        kept = take(views->kept[which]);
    pthread_mutex_unlock(&views->lock);
    return kept ? evidence_go_on(kept, db, key, err) : evidence_at(db, key, 0, NULL, NULL);
}

/* The newer of two; with a new seal both begin anew, so that boots which are over are not kept for
 * ever. */
void ledger_views_give(struct ledger_views *views, enum ledger_view which,
                       struct evidence *evidence)
{
    struct evidence *drop = evidence, *too = NULL;
    pthread_mutex_lock(&views->lock);
    struct evidence *kept = views->kept[which];
    if (evidence && (!kept || evidence_key(kept) < evidence_key(evidence))) {
        drop = kept;
        views->kept[which] = evidence;
        if (which == VIEW_SEALED && kept)
            too = take(views->kept[VIEW_NEWEST]);
    }
    pthread_mutex_unlock(&views->lock);
    evidence_free(drop);
    evidence_free(too);
}
