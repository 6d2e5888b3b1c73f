/* The table of live tokens in memory: open addressing on the first bytes of the SHA-256,
 * which are as good as random. Readers share a lock; it changes seldom. */
#include "controller/tokens.h"

#include <pthread.h>
#include <string.h>

#include "api/mem.h"
#include "controller/request.h"
#include "controller/tokens_internal.h"

struct tokens {
    pthread_rwlock_t lock;
    struct token_entry *slots; /* key 0: free */
    size_t cap, count;
};

struct tokens *tokens_new(void)
{
    struct tokens *tokens = xcalloc(1, sizeof(*tokens));
    pthread_rwlock_init(&tokens->lock, NULL);
    tokens->cap = 64;
    tokens->slots = xcalloc(tokens->cap, sizeof(*tokens->slots));
    return tokens;
}

void tokens_free(struct tokens *tokens)
{
    if (!tokens)
        return;
    pthread_rwlock_destroy(&tokens->lock);
    free(tokens->slots);
    free(tokens);
}

static size_t place_of(const struct tokens *tokens, const uint8_t hash[SHA256_BYTES])
{
    uint64_t word;
    memcpy(&word, hash, sizeof(word));
    size_t at = word & (tokens->cap - 1);
    while (tokens->slots[at].key &&
           memcmp(tokens->slots[at].hash, hash, sizeof(tokens->slots[at].hash)) != 0)
        at = (at + 1) & (tokens->cap - 1);
    return at;
}

static void rebuild(struct tokens *tokens, size_t cap)
{
    struct token_entry *old = tokens->slots;
    size_t old_cap = tokens->cap;
    tokens->slots = xcalloc(cap, sizeof(*tokens->slots));
    tokens->cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].key)
            tokens->slots[place_of(tokens, old[i].hash)] = old[i];
    }
    free(old);
}

static void put(struct tokens *tokens, const struct token_entry *entry)
{
    if ((tokens->count + 1) * 2 > tokens->cap)
        rebuild(tokens, tokens->cap * 2);
    struct token_entry *slot = &tokens->slots[place_of(tokens, entry->hash)];
    tokens->count += slot->key == 0;
    *slot = *entry;
}

void tokens_put(struct tokens *tokens, const struct token_entry *entry)
{
    pthread_rwlock_wrlock(&tokens->lock);
    put(tokens, entry);
    pthread_rwlock_unlock(&tokens->lock);
}

void tokens_remove(struct tokens *tokens, int64_t key)
{
    pthread_rwlock_wrlock(&tokens->lock);
    for (size_t i = 0; i < tokens->cap; i++) {
        if (tokens->slots[i].key != key)
            continue;
        tokens->slots[i].key = 0;
        tokens->count--;
        rebuild(tokens, tokens->cap); /* closes the gap in its chain */
        break;
    }
    pthread_rwlock_unlock(&tokens->lock);
}

void tokens_clear(struct tokens *tokens)
{
    pthread_rwlock_wrlock(&tokens->lock);
    memset(tokens->slots, 0, tokens->cap * sizeof(*tokens->slots));
    tokens->count = 0;
    pthread_rwlock_unlock(&tokens->lock);
}

/* Equal hashes mean equal secrets, so finding by hash leaks nothing about a secret that
 * the asker does not have. */
bool tokens_find(struct tokens *tokens, const char *secret, struct caller *ret_caller)
{
    uint8_t hash[SHA256_BYTES];
    sha256(secret, strlen(secret), hash);
    pthread_rwlock_rdlock(&tokens->lock);
    const struct token_entry *entry = &tokens->slots[place_of(tokens, hash)];
    bool found = entry->key != 0;
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
    bool found = false;
    pthread_rwlock_rdlock(&tokens->lock);
    for (size_t i = 0; i < tokens->cap && !found; i++)
        found = tokens->slots[i].key == key;
    pthread_rwlock_unlock(&tokens->lock);
    return found;
}
