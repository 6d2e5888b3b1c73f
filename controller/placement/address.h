/* Addresses of networks as numbers, and the MAC that follows from an address. Pure. */
#ifndef MINICLOUD_CONTROLLER_PLACEMENT_ADDRESS_H
#define MINICLOUD_CONTROLLER_PLACEMENT_ADDRESS_H

#include <stdint.h>

struct err;

enum { ADDRESS_TEXT_MAX = 16, MAC_TEXT_MAX = 18 };

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

#endif
