/* The live tokens in memory, in two tables of open addressing: by the first bytes of the
 * SHA-256, which are as good as random, for whoever comes, and by key, for what stays open.
 * Readers share a lock; it changes seldom. */
#include "controller/access/tokens.h"

#include <pthread.h>
#include <string.h>

#include "api/base/mem.h"
#include "controller/access/access.h"
#include "controller/access/tokens_internal.h"

enum table { BY_HASH, BY_KEY, TABLES };

struct tokens {
    pthread_rwlock_t lock;
    struct token_entry **slots[TABLES]; /* NULL: free */
    size_t cap, count;
};

struct tokens *tokens_new(void)
{
    struct tokens *tokens = xcalloc(1, sizeof(*tokens));
    pthread_rwlock_init(&tokens->lock, NULL);
    tokens->cap = 64;
    for (enum table table = 0; table < TABLES; table++)
        tokens->slots[table] = xcalloc(tokens->cap, sizeof(struct token_entry *));
    return tokens;
}

static void clear(struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->cap; i++) {
        free(tokens->slots[BY_KEY][i]);
        tokens->slots[BY_KEY][i] = tokens->slots[BY_HASH][i] = NULL;
    }
    tokens->count = 0;
}

void tokens_free(struct tokens *tokens)
{
    if (!tokens)
        return;
    clear(tokens);
    pthread_rwlock_destroy(&tokens->lock);
    free(tokens->slots[BY_HASH]);
    free(tokens->slots[BY_KEY]);
    free(tokens);
}

/* ---- the tables ---- */

/* Where it stands if nothing is in its way. */
static size_t home(const struct tokens *tokens, enum table table, const struct token_entry *entry)
{
    uint64_t word = (uint64_t)entry->key * 0x9E3779B97F4A7C15u >> 32;
    if (table == BY_HASH)
        memcpy(&word, entry->hash, sizeof(word));
    return word & (tokens->cap - 1);
}

static bool same(enum table table, const struct token_entry *a, const struct token_entry *b)
{
    return table == BY_KEY ? a->key == b->key : memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

/* Its slot, or the free one in which it would stand. */
static size_t place_of(const struct tokens *tokens, enum table table,
                       const struct token_entry *entry)
{
    struct token_entry *const *slots = tokens->slots[table];
    size_t at = home(tokens, table, entry);
    while (slots[at] && !same(table, slots[at], entry))
        at = (at + 1) & (tokens->cap - 1);
    return at;
}

/* Frees a slot, and moves up those behind it that stand there because it was taken. */
static void vacate(struct tokens *tokens, enum table table, size_t gap)
{
    struct token_entry **slots = tokens->slots[table];
    size_t mask = tokens->cap - 1;
    for (size_t at = (gap + 1) & mask; slots[at]; at = (at + 1) & mask) {
        size_t from_home = (at - home(tokens, table, slots[at])) & mask;
        if (from_home < ((at - gap) & mask))
            continue;
        slots[gap] = slots[at];
        gap = at;
    }
    slots[gap] = NULL;
}

static void grow(struct tokens *tokens)
{
    size_t old_cap = tokens->cap;
    tokens->cap *= 2;
    for (enum table table = 0; table < TABLES; table++) {
        struct token_entry **old = tokens->slots[table];
        tokens->slots[table] = xcalloc(tokens->cap, sizeof(*old));
        for (size_t i = 0; i < old_cap; i++) {
            if (old[i])
                tokens->slots[table][place_of(tokens, table, old[i])] = old[i];
        }
        free(old);
    }
}

static void drop(struct tokens *tokens, int64_t key)
{
    size_t by_key = place_of(tokens, BY_KEY, &(struct token_entry){.key = key});
    struct token_entry *entry = tokens->slots[BY_KEY][by_key];
    if (!entry)
        return;
    vacate(tokens, BY_HASH, place_of(tokens, BY_HASH, entry));
    vacate(tokens, BY_KEY, by_key);
    tokens->count--;
    free(entry);
}

void tokens_put(struct tokens *tokens, const struct token_entry *entry)
{
    struct token_entry *own = xmalloc(sizeof(*own));
    *own = *entry;
    pthread_rwlock_wrlock(&tokens->lock);
    drop(tokens, entry->key);
    if ((tokens->count + 1) * 2 > tokens->cap)
        grow(tokens);
    for (enum table table = 0; table < TABLES; table++)
        tokens->slots[table][place_of(tokens, table, own)] = own;
    tokens->count++;
    pthread_rwlock_unlock(&tokens->lock);
}

void tokens_remove(struct tokens *tokens, int64_t key)
{
    pthread_rwlock_wrlock(&tokens->lock);
    drop(tokens, key);
    pthread_rwlock_unlock(&tokens->lock);
}

void tokens_clear(struct tokens *tokens)
{
    pthread_rwlock_wrlock(&tokens->lock);
    clear(tokens);
    pthread_rwlock_unlock(&tokens->lock);
}

/* ---- asking ---- */

/* Equal hashes mean equal secrets, so finding by hash leaks nothing about a secret that
 * the asker does not have. */
bool tokens_find(struct tokens *tokens, const char *secret, struct caller *ret_caller)
{
    struct token_entry wanted;
    sha256(secret, strlen(secret), wanted.hash);
    pthread_rwlock_rdlock(&tokens->lock);
    const struct token_entry *entry = tokens->slots[BY_HASH][place_of(tokens, BY_HASH, &wanted)];
    bool found = entry != NULL;
    if (found) {
        ret_caller->token_key = entry->key;
        ret_caller->project_key = entry->project_key;
        ret_caller->node_key = entry->node_key;
        ret_caller->role = entry->role;
        memcpy(ret_caller->actor, entry->actor, sizeof(entry->actor));
    }
    pthread_rwlock_unlock(&tokens->lock);
    return found;
}

bool tokens_alive(struct tokens *tokens, int64_t key)
{
    struct token_entry wanted = {.key = key};
    pthread_rwlock_rdlock(&tokens->lock);
    bool found = tokens->slots[BY_KEY][place_of(tokens, BY_KEY, &wanted)] != NULL;
    pthread_rwlock_unlock(&tokens->lock);
    return found;
}
