/* Sums between the pages of an answer; see usage_kept.h. */
#include "controller/usage/usage_kept.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "controller/usage/usage_cursor.h"

enum {
    KEPT = 8,
    KEPT_BYTES = 96 * 1024 * 1024, /* of all together */
    IDLE_MS = 30 * 1000,
};

struct place {
    struct usage_sum *sum; /* NULL: free */
    struct usage_question question;
    struct ledger_moment moment;
    int64_t from_ms, to_ms; /* of which the sums are */
    int64_t given_ms;
    size_t bytes;
};

struct usage_kept {
    pthread_mutex_t lock;
    struct place places[KEPT];
};

struct usage_kept *usage_kept_new(void)
{
    struct usage_kept *kept = xcalloc(1, sizeof(*kept));
    pthread_mutex_init(&kept->lock, NULL);
    return kept;
}

void usage_kept_free(struct usage_kept *kept)
{
    if (!kept)
        return;
    for (int i = 0; i < KEPT; i++)
        usage_sum_free(kept->places[i].sum);
    pthread_mutex_destroy(&kept->lock);
    free(kept);
}

static bool same_question(const struct usage_question *a, const struct usage_question *b)
{
    return a->from_ms == b->from_ms && a->to_ms == b->to_ms && a->period == b->period &&
           a->by_count == b->by_count &&
           memcmp(a->by, b->by, a->by_count * sizeof(a->by[0])) == 0 && a->meters == b->meters &&
           a->project_key == b->project_key;
}

static bool same_moment(const struct ledger_moment *a, const struct ledger_moment *b)
{
    return a->observation_key == b->observation_key && a->until_ms == b->until_ms &&
           a->seal_key == b->seal_key && a->sealed_ms == b->sealed_ms &&
           a->revision == b->revision && a->vouched == b->vouched;
}

static struct usage_sum *take_place(struct place *place)
{
    struct usage_sum *sum = place->sum;
    *place = (struct place){0};
    return sum;
}

struct usage_sum *usage_kept_take(struct usage_kept *kept, const struct usage_query *query)
{
    struct usage_sum *sum = NULL;
    pthread_mutex_lock(&kept->lock);
    for (int i = 0; i < KEPT && !sum; i++) {
        struct place *place = &kept->places[i];
        if (place->sum && query->position_ms >= place->from_ms &&
            query->position_ms < place->to_ms && same_moment(&place->moment, &query->moment) &&
            same_question(&place->question, &query->question))
            sum = take_place(place);
    }
    pthread_mutex_unlock(&kept->lock);
    return sum;
}

/* Numbers of labels and prices are their request's own. */
static bool stands_alone(const struct usage_question *question)
{
    for (size_t i = 0; i < question->by_count; i++) {
        if (question->by[i] >= USAGE_BY_LABEL || question->by[i] == USAGE_BY_PRICE)
            return false;
    }
    return true;
}

/* The oldest go, until there is a place and `bytes` fit in. */
static struct place *make_room(struct usage_kept *kept, size_t bytes)
{
    for (;;) {
        size_t total = bytes;
        struct place *oldest = NULL, *place = NULL;
        for (int i = 0; i < KEPT; i++) {
            struct place *at = &kept->places[i];
            total += at->bytes;
            if (!at->sum)
                place = at;
            else if (!oldest || at->given_ms < oldest->given_ms)
                oldest = at;
        }
        if (place && (total <= KEPT_BYTES || !oldest))
            return place;
        usage_sum_free(take_place(oldest));
    }
}

void usage_kept_give(struct usage_kept *kept, const struct usage_query *query,
                     struct usage_sum *sum)
{
    struct place given = {.sum = sum,
                          .question = query->question,
                          .moment = query->moment,
                          .given_ms = clock_boottime_ms(),
                          .bytes = usage_sum_bytes(sum)};
    if (!stands_alone(&query->question) || given.bytes > KEPT_BYTES) {
        usage_sum_free(sum);
        return;
    }
    usage_sum_span(sum, &given.from_ms, &given.to_ms);
    pthread_mutex_lock(&kept->lock);
    *make_room(kept, given.bytes) = given;
    pthread_mutex_unlock(&kept->lock);
}

void usage_kept_tidy(struct usage_kept *kept)
{
    int64_t now = clock_boottime_ms();
    pthread_mutex_lock(&kept->lock);
    for (int i = 0; i < KEPT; i++) {
        if (kept->places[i].sum && now - kept->places[i].given_ms > IDLE_MS)
            usage_sum_free(take_place(&kept->places[i]));
    }
    pthread_mutex_unlock(&kept->lock);
}
