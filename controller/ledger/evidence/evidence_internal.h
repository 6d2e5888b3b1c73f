/* What the readers of the evidence log share: a view of it, and the boots it has met. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_EVIDENCE_EVIDENCE_INTERNAL_H
#define MINICLOUD_CONTROLLER_LEDGER_EVIDENCE_EVIDENCE_INTERNAL_H

#include "controller/ledger/evidence/evidence.h"

struct known_boot {
    struct boot boot;
    bool moved; /* it has another line or order than in the view before */
    struct known_boot *next;
};

/* Of thousands of hosts each boot is found at once; an empty view is still made at once. */
enum { EVIDENCE_BUCKETS = 4096 };

struct evidence {
    struct db *db;
    struct evidence *before; /* the view that this one goes on from; NULL: none */
    struct evidence *lines;  /* one of the same row that knows lines and order; NULL: none */
    int64_t observation_key, until_ms;
    int64_t news_key; /* rows before it speak of time before until_ms */
    boot_vouches *vouches;
    void *ctx;
    struct known_boot *buckets[EVIDENCE_BUCKETS];
};

/* Up to which boottime a boot's rows may be older than the news: what lies behind that is among
 * them, so that no query walks through rows that are newer than the view. */
int64_t evidence_old_until(const struct evidence *e, const struct boot *boot);
/* From which row on what lies behind that is to be found. */
int64_t evidence_news_of(const struct evidence *e, const struct boot *boot);
/* Notes when the boot vouched last by a moment of its boottime. */
int evidence_see_before(const struct evidence *e, struct boot *boot, int64_t boottime_ms,
                        struct err *err);

#endif
