/* Prices in order, and what they ask of segments. The grains of one price are counted by
 * division: what a segment costs takes as long for a year as for a second, and grows only with
 * the changes of its price. */
#include "controller/ledger/price/rate.h"

#include <stdbool.h>
#include <stdlib.h>

#include "api/base/mem.h"

/* ---- the book ---- */

/* From `from_ms` until the next one of its scope begins; `price` NULL: there is none. */
struct stretch {
    int64_t from_ms;
    const struct price *price;
};

/* All prices of one meter, project and flavor, as stretches that follow one another. */
struct scope {
    int64_t project_key, flavor_key;
    size_t first, count; /* of its stretches */
};

struct price_book {
    struct scope *scopes;                /* by meter, project, flavor */
    size_t meter_first[METER_COUNT + 1]; /* where each meter's scopes begin */
    struct stretch *stretches;
    size_t stretch_count;
    void *prices, *ids; /* what it owns of them, see price_book_own() */
};

static int compare_keys(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_scope(const struct price *a, const struct price *b)
{
    int order = compare_keys(a->meter, b->meter);
    if (order == 0)
        order = compare_keys(a->project_key, b->project_key);
    return order ? order : compare_keys(a->flavor_key, b->flavor_key);
}

/* Of two that begin together the one that was made last comes last, and holds. */
static int compare_prices(const void *left, const void *right)
{
    const struct price *a = *(const struct price *const *)left;
    const struct price *b = *(const struct price *const *)right;
    int order = compare_scope(a, b);
    if (order == 0)
        order = compare_keys(a->valid_from_ms, b->valid_from_ms);
    return order ? order : compare_keys(a->key, b->key);
}

static void add_stretch(struct price_book *book, const struct scope *scope, int64_t from_ms,
                        const struct price *price)
{
    bool any = book->stretch_count > scope->first;
    if (any && book->stretches[book->stretch_count - 1].from_ms == from_ms)
        book->stretch_count--;
    book->stretches[book->stretch_count++] = (struct stretch){from_ms, price};
}

/* Ends what ends until `to_ms`: below an ended one, the one that began last goes on. */
static size_t end_prices(struct price_book *book, const struct scope *scope,
                         const struct price **begun, size_t depth, int64_t to_ms)
{
    while (depth && begun[depth - 1]->valid_until_ms <= to_ms) {
        int64_t end_ms = begun[--depth]->valid_until_ms;
        while (depth && begun[depth - 1]->valid_until_ms <= end_ms)
            depth--;
        if (end_ms < INT64_MAX)
            add_stretch(book, scope, end_ms, depth ? begun[depth - 1] : NULL);
    }
    return depth;
}

/* `begun` has room for all: those that began and did not end, the last one on top. */
static void add_scope(struct price_book *book, struct scope *scope, const struct price **prices,
                      size_t count, const struct price **begun)
{
    size_t depth = 0;
    *scope = (struct scope){.project_key = prices[0]->project_key,
                            .flavor_key = prices[0]->flavor_key,
                            .first = book->stretch_count};
    for (size_t i = 0; i < count; i++) {
        if (prices[i]->valid_until_ms <= prices[i]->valid_from_ms)
            continue;
        depth = end_prices(book, scope, begun, depth, prices[i]->valid_from_ms);
        begun[depth++] = prices[i];
        add_stretch(book, scope, prices[i]->valid_from_ms, prices[i]);
    }
    end_prices(book, scope, begun, depth, INT64_MAX);
    scope->count = book->stretch_count - scope->first;
}

struct price_book *price_book_new(const struct price *prices, size_t count)
{
    struct price_book *book = xcalloc(1, sizeof(*book));
    autofree const struct price **sorted = xcalloc(count + 1, sizeof(const struct price *));
    autofree const struct price **begun = xcalloc(count + 1, sizeof(const struct price *));
    size_t scopes = 0;
    book->scopes = xcalloc(count + 1, sizeof(*book->scopes));
    book->stretches = xcalloc(2 * count + 1, sizeof(*book->stretches));
    for (size_t i = 0; i < count; i++)
        sorted[i] = &prices[i];
    qsort(sorted, count, sizeof(const struct price *), compare_prices);
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && compare_scope(sorted[first], sorted[next]) == 0;)
            next++;
        add_scope(book, &book->scopes[scopes++], sorted + first, next - first, begun);
        book->meter_first[sorted[first]->meter + 1] = scopes;
    }
    /* A meter without prices has the empty range behind the one before it. */
    for (int i = 1; i <= METER_COUNT; i++) {
        if (book->meter_first[i] == 0)
            book->meter_first[i] = book->meter_first[i - 1];
    }
    return book;
}

void price_book_own(struct price_book *book, struct price *prices, void *ids)
{
    book->prices = prices;
    book->ids = ids;
}

void price_book_free(struct price_book *book)
{
    if (!book)
        return;
    free(book->scopes);
    free(book->stretches);
    free(book->prices);
    free(book->ids);
    free(book);
}

static const struct scope *find_scope(const struct price_book *book, int meter, int64_t project_key,
                                      int64_t flavor_key)
{
    size_t low = book->meter_first[meter], high = book->meter_first[meter + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct scope *scope = &book->scopes[middle];
        int order = compare_keys(project_key, scope->project_key);
        if (order == 0)
            order = compare_keys(flavor_key, scope->flavor_key);
        if (order == 0)
            return scope;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* What holds by this scope alone; *until_ms comes down to where that ends. */
static const struct price *find_in_scope(const struct price_book *book, const struct scope *scope,
                                         int64_t at_ms, int64_t *until_ms)
{
    const struct stretch *all = book->stretches + scope->first;
    size_t low = 0, high = scope->count; /* how many have begun is within */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (all[middle].from_ms <= at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < scope->count && all[low].from_ms < *until_ms)
        *until_ms = all[low].from_ms;
    return low ? all[low - 1].price : NULL;
}

const struct price *price_find(const struct price_book *book, int meter, int64_t project_key,
                               int64_t flavor_key, int64_t at_ms, int64_t *ret_until_ms)
{
    *ret_until_ms = INT64_MAX;
    if (meter == METER_GAP)
        return NULL;
    for (int rank = 0; rank < 4; rank++) {
        bool any_project = rank >= 2, any_flavor = rank % 2;
        if ((!any_project && !project_key) || (!any_flavor && !flavor_key))
            continue;
        const struct scope *scope =
            find_scope(book, meter, any_project ? 0 : project_key, any_flavor ? 0 : flavor_key);
        const struct price *price = scope ? find_in_scope(book, scope, at_ms, ret_until_ms) : NULL;
        if (price)
            return price;
    }
    return NULL;
}

/* ---- what they ask ---- */

/* What was started of a price that may come back. */
struct paused {
    const struct price *price;
    quantity units;
};

/* Along one segment, from where its billing begins. */
struct walk {
    const struct price_book *book;
    const struct segment *segment;
    int meter;
    int64_t at_ms, until_ms;   /* here it is; until there `price` holds */
    int64_t paid_ms;           /* where the last grain that was started ends */
    const struct price *price; /* NULL: none */
    quantity units;            /* of it until here: grains, or what was counted */
    struct paused *paused;
    size_t paused_count, paused_room;
};

/* What is counted begins anew with each row of the ledger; grains go on over the ends of months. */
static struct walk walk_begin(const struct price_book *book, const struct segment *segment,
                              int meter)
{
    int64_t at_ms = meters[meter].counted ? segment->start_ms : segment->origin_ms;
    return (struct walk){.book = book,
                         .segment = segment,
                         .meter = meter,
                         .at_ms = at_ms,
                         .until_ms = at_ms,
                         .paid_ms = at_ms};
}

static void walk_release(struct walk *walk)
{
    free(walk->paused);
}

static void pause_price(struct walk *walk)
{
    if (!walk->price || walk->price->valid_until_ms <= walk->until_ms)
        return;
    if (walk->paused_count == walk->paused_room) {
        walk->paused_room = walk->paused_room ? 2 * walk->paused_room : 8;
        walk->paused = xrealloc(walk->paused, walk->paused_room * sizeof(*walk->paused));
    }
    walk->paused[walk->paused_count++] = (struct paused){walk->price, walk->units};
}

static quantity resume_price(struct walk *walk, const struct price *price)
{
    if (!price || price->valid_from_ms == walk->at_ms)
        return 0;
    for (size_t i = walk->paused_count; i-- > 0;) {
        if (walk->paused[i].price == price) {
            quantity units = walk->paused[i].units;
            walk->paused[i] = walk->paused[--walk->paused_count];
            return units;
        }
    }
    return 0;
}

/* To the one that holds where the last one ended. */
static void next_price(struct walk *walk)
{
    const struct segment *segment = walk->segment;
    pause_price(walk);
    walk->price = price_find(walk->book, walk->meter, segment->project_key, segment->flavor_key,
                             walk->at_ms, &walk->until_ms);
    walk->units = resume_price(walk, walk->price);
}

/* How many grains start from here until `to_ms`, one where the other ended; moves paid_ms. */
static int64_t start_grains(struct walk *walk, int64_t to_ms)
{
    int64_t grain = walk->price->grain_ms, started = 0;
    if (walk->price->minimum_ms && walk->at_ms == walk->segment->origin_ms)
        started = (walk->price->minimum_ms + grain - 1) / grain;
    walk->paid_ms += started * grain;
    if (walk->paid_ms < walk->at_ms)
        walk->paid_ms = walk->at_ms;
    if (walk->paid_ms < to_ms) {
        int64_t more = (to_ms - walk->paid_ms - 1) / grain + 1;
        walk->paid_ms += more * grain;
        started += more;
    }
    return started;
}

/* Grains, or what was counted, from here until `to_ms`, while the price holds throughout. */
static quantity take_units(struct walk *walk, int64_t to_ms)
{
    const struct segment *segment = walk->segment;
    if (!walk->price)
        return 0;
    if (meters[walk->meter].counted)
        return segment_until(segment, walk->meter, to_ms) -
               segment_until(segment, walk->meter, walk->at_ms);
    return start_grains(walk, to_ms);
}

/* The difference of what is asked for the units up to `after` and up to `before`, each rounded
 * down. Divided before it is multiplied: 9e15 nanos for each of 2^44 bytes over a thousand years
 * would not fit into 128 bits, their quotients do with room to spare. */
static quantity asked(const struct walk *walk, quantity before, quantity after)
{
    const struct meter_def *def = &meters[walk->meter];
    quantity rate = walk->price->nanos, unit = (quantity)def->priced_unit_hi * def->priced_unit_lo;
    if (!def->counted) {
        rate *= walk->segment->amounts[def->amount];
        unit /= walk->price->grain_ms;
    }
    quantity whole = rate / unit, rest = rate - whole * unit;
    return whole * (after - before) + (rest * after / unit - rest * before / unit);
}

/* `each` NULL: nothing is told on the way. */
static void walk_to(struct walk *walk, int64_t to_ms, charge_each *each, void *ctx)
{
    while (walk->at_ms < to_ms) {
        if (walk->at_ms == walk->until_ms)
            next_price(walk);
        int64_t from = walk->at_ms, until = walk->until_ms < to_ms ? walk->until_ms : to_ms;
        quantity before = walk->units;
        walk->units += take_units(walk, until);
        walk->at_ms = until;
        if (!each)
            continue;
        quantity nanos = walk->units > before ? asked(walk, before, walk->units) : 0;
        each(ctx, walk->price, from, until, segment_within(walk->segment, walk->meter, from, until),
             walk->segment->sign < 0 ? -nanos : nanos);
    }
}

void rate_periods(const struct price_book *book, const struct segment *segment, int meter,
                  const int64_t *bounds, size_t periods, charge_each *each, void *ctx)
{
    if (meters[meter].kind != segment->kind)
        return;
    struct walk walk __attribute__((cleanup(walk_release))) = walk_begin(book, segment, meter);
    int64_t from = bounds[0] > segment->start_ms ? bounds[0] : segment->start_ms;
    if (from >= segment->end_ms || from >= bounds[periods])
        return;
    walk_to(&walk, from, NULL, NULL);
    for (size_t i = 1; i <= periods && walk.at_ms < segment->end_ms; i++)
        walk_to(&walk, bounds[i] < segment->end_ms ? bounds[i] : segment->end_ms, each, ctx);
}

void rate_segment(const struct price_book *book, const struct segment *segment, int meter,
                  int64_t from_ms, int64_t to_ms, charge_each *each, void *ctx)
{
    rate_periods(book, segment, meter, (const int64_t[]){from_ms, to_ms}, 1, each, ctx);
}

void rate_cap(int64_t cap_nanos, quantity before, quantity *nanos, size_t count)
{
    quantity sum = before;
    for (size_t i = 0; cap_nanos && i < count; i++) {
        quantity below = sum < cap_nanos ? sum : cap_nanos;
        sum += nanos[i];
        nanos[i] = (sum < cap_nanos ? sum : cap_nanos) - below;
    }
}
