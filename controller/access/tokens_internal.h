/* What tokens.c (the table) and store_token.c (the rows) share. */
#ifndef MINICLOUD_CONTROLLER_ACCESS_TOKENS_INTERNAL_H
#define MINICLOUD_CONTROLLER_ACCESS_TOKENS_INTERNAL_H

#include "api/base/id.h"
#include "controller/access/tokens.h"

enum { ACTOR_MAX = 96 };

struct token_entry {
    uint8_t hash[SHA256_BYTES];
    int64_t key, project_key, node_key;
    enum role role;
    char actor[ACTOR_MAX];
};

void tokens_put(struct tokens *tokens, const struct token_entry *entry);
void tokens_remove(struct tokens *tokens, int64_t key);
void tokens_clear(struct tokens *tokens);

#endif
