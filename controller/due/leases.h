/* Leases by key: each ends when it was not renewed for a term. Not locked, and knows no clock: its
 * owner does. */
#ifndef MINICLOUD_CONTROLLER_DUE_LEASES_H
#define MINICLOUD_CONTROLLER_DUE_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct leases {
    struct lease *items; /* by key */
    size_t count, cap;
};

void leases_release(struct leases *leases);
/* It starts anew. `ended`: somebody knows already that it has ended. */
void leases_renew(struct leases *leases, int64_t key, int64_t now_ms, bool ended);
void leases_remove(struct leases *leases, int64_t key);
/* Saying that it ended has failed: not again before this. false: there is none. */
bool leases_retry(struct leases *leases, int64_t key, int64_t retry_ms);
/* Whether it was not renewed for the term. */
bool leases_over(const struct leases *leases, int64_t key, int64_t now_ms, int64_t term_ms);
/* One that has ended since nobody was told, or 0; *ret_next: when the earliest of the rest ends. */
int64_t leases_take(struct leases *leases, int64_t now_ms, int64_t term_ms, int64_t *ret_next);

#endif
