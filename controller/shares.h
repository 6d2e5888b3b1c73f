/* How many watchers each token has open, so that one project cannot take the room of all. */
#ifndef MINICLOUD_CONTROLLER_SHARES_H
#define MINICLOUD_CONTROLLER_SHARES_H

#include <stdint.h>

struct caller;
struct err;
struct shares;

struct shares *shares_new(void);
void shares_free(struct shares *shares);
/* Counts one more for this token. Operators are not counted: *ret_key is 0 then. Any thread.
 * ERR_TOO_MANY_REQUESTS at LIMIT_TOKEN_WATCHERS. */
int shares_take(struct shares *shares, const struct caller *caller, int64_t *ret_key,
                struct err *err);
/* Of a key that shares_take() gave; 0: nothing. */
void shares_give(struct shares *shares, int64_t key);

#endif
