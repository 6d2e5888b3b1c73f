/* Networks: how they are shown, and the one of the first start. */
#ifndef MINICLOUD_CONTROLLER_NETWORK_NETWORK_H
#define MINICLOUD_CONTROLLER_NETWORK_NETWORK_H

#include <stdint.h>

struct err;
struct tx;
struct json_writer;
struct network;

void network_put(struct json_writer *w, const char *key, const struct network *network);

/* At first start, in the transaction that makes the default project. */
int network_create_default(struct tx *tx, int64_t project_key, const char *cidr, struct err *err);

#endif
