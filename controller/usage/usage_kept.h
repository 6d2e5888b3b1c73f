/* Sums of an answer whose next page may be asked for soon, so that pages need not sum up all of
 * it again. Nothing depends on them: whoever finds none makes them anew, and they come out the
 * same, since all pages of an answer speak of one moment. */
#ifndef MINICLOUD_CONTROLLER_USAGE_USAGE_KEPT_H
#define MINICLOUD_CONTROLLER_USAGE_USAGE_KEPT_H

struct usage_kept;
struct usage_query;
struct usage_sum;

struct usage_kept *usage_kept_new(void);
void usage_kept_free(struct usage_kept *kept);

/* Finished sums in which the query's position lies, now the caller's; NULL: there are none. */
struct usage_sum *usage_kept_take(struct usage_kept *kept, const struct usage_query *query);
/* Takes finished sums over; those that are many, or tell labels or prices apart, are freed at
 * once. */
void usage_kept_give(struct usage_kept *kept, const struct usage_query *query,
                     struct usage_sum *sum);
/* Lets go of what nobody came back for. */
void usage_kept_tidy(struct usage_kept *kept);

#endif
