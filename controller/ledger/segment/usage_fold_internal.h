/* What usage_fold.c and usage_count.c share: one boot of one resource, in its host's time. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_SEGMENT_USAGE_FOLD_INTERNAL_H
#define MINICLOUD_CONTROLLER_LEDGER_SEGMENT_USAGE_FOLD_INTERNAL_H

#include "controller/ledger/segment/usage_fold.h"

enum { NEVER = -1 };

struct run {
    int64_t run, start, stop, noticed; /* NEVER: no word of it */
    int64_t counted;                   /* it was on then; NEVER: not known */
    int64_t word;                      /* the earliest of it of any kind but a count */
    int64_t next;                      /* that of any later run; INT64_MAX: none */
    const struct fact *first;          /* the word of its start: its sizes */
};

/* The facts of one boot and one resource, in the order of time. */
struct group {
    struct fact *facts;
    size_t count;
    const struct boot *boot;
    int64_t gone;    /* nothing was left; INT64_MAX: not so */
    int64_t cut;     /* deleted or gone; INT64_MAX: not */
    int64_t vouched; /* the last moment that is vouched for */
};

struct runs {
    struct run *items;
    size_t count;
};

struct folding {
    const struct fold_question *question;
    const struct group *group;
    struct segments *out;
    int64_t shift_ms; /* from boottime to UTC */
};

/* A segment from one boottime to another; an empty one is none. */
void fold_put(const struct folding *f, struct segment segment, int64_t start, int64_t end,
              bool final);
/* Those whose start was proved, in order; the caller frees the items. */
void fold_runs(const struct group *group, struct runs *runs);
int fold_boot_order(const struct boot *a, const struct boot *b);
/* What the samples of the question say of this boot's runs. */
void fold_counts(const struct folding *f);

#endif
