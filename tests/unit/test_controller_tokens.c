/* The live tokens in memory: found by secret and by key, and gone at once, in whatever order
 * they come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/access/tokens_internal.h"
#include "controller/request/request.h"

enum { KEYS = 600, TURNS = 20000, LOOKS = 25 };

static void secret_of(int64_t key, char text[32])
{
    snprintf(text, 32, "mc_%lld", (long long)key);
}

static void put(struct tokens *tokens, int64_t key)
{
    char secret[32];
    secret_of(key, secret);
    struct token_entry entry = {.key = key, .project_key = key + 1000, .role = ROLE_MEMBER};
    sha256(secret, strlen(secret), entry.hash);
    snprintf(entry.actor, sizeof(entry.actor), "token:%s", secret);
    tokens_put(tokens, &entry);
}

static void is(struct tokens *tokens, int64_t key, bool there)
{
    char secret[32];
    struct caller caller = {0};
    secret_of(key, secret);
    assert_int_equal(tokens_alive(tokens, key), there);
    assert_int_equal(tokens_find(tokens, secret, &caller), there);
    if (!there)
        return;
    assert_int_equal(caller.token_key, key);
    assert_int_equal(caller.project_key, key + 1000);
    assert_string_equal(caller.actor + strlen("token:"), secret);
}

static void test_tokens__are_what_was_put_and_not_removed_since(void **state)
{
    (void)state;
    static bool there[KEYS];
    struct tokens *tokens = tokens_new();
    srandom(11);
    for (int turn = 0; turn < TURNS; turn++) {
        int64_t key = 1 + random() % (KEYS - 1);
        if (there[key])
            tokens_remove(tokens, key);
        else
            put(tokens, key);
        there[key] = !there[key];
        for (int look = 0; look < LOOKS; look++) {
            int64_t any = 1 + random() % (KEYS - 1);
            is(tokens, any, there[any]);
        }
    }
    tokens_remove(tokens, KEYS); /* that never was */
    for (int64_t key = 1; key < KEYS; key++)
        is(tokens, key, there[key]);
    tokens_clear(tokens);
    for (int64_t key = 1; key < KEYS; key++)
        is(tokens, key, false);
    tokens_free(tokens);
}

static void test_tokens__one_put_again_is_there_once(void **state)
{
    (void)state;
    struct tokens *tokens = tokens_new();
    put(tokens, 1);
    put(tokens, 1);
    is(tokens, 1, true);
    tokens_remove(tokens, 1);
    is(tokens, 1, false);
    tokens_free(tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens__are_what_was_put_and_not_removed_since),
        cmocka_unit_test(test_tokens__one_put_again_is_there_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
