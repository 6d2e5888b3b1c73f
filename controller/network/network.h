/* Networks: their addresses as numbers, and the MAC that follows from an address. */
#ifndef MINICLOUD_CONTROLLER_NETWORK_NETWORK_H
#define MINICLOUD_CONTROLLER_NETWORK_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct tx;
struct json_writer;

enum { ADDRESS_TEXT_MAX = 16, MAC_TEXT_MAX = 18 };

/* A row; texts are borrowed from the statement that reads it. */
struct network {
    int64_t key, revision, created_ms;
    const char *id, *name, *project, *cidr, *gateway;
    bool nat;
    int64_t generation;
};

/* An IPv4 address as a number; -1 when the text is none. */
int64_t address_number(const char *text);
void address_text(int64_t number, char text[ADDRESS_TEXT_MAX]);

/* "10.77.0.0/16", base bits only, /8 to /29. */
int cidr_parse(const char *field, const char *text, int64_t *ret_base, int *ret_prefix,
               struct err *err);
/* What instances may get: after the gateway, up to before the broadcast address. */
int network_range(const char *cidr, const char *gateway, int64_t *ret_first, int64_t *ret_last,
                  struct err *err);
/* 52:54 and 32 bits in which, within one network, two addresses never meet. */
void network_mac(const char *network_id, int64_t address, char text[MAC_TEXT_MAX]);

void network_put(struct json_writer *w, const char *key, const struct network *network);

/* At first start, in the transaction that makes the default project. */
int network_create_default(struct tx *tx, int64_t project_key, const char *cidr, struct err *err);

#endif
