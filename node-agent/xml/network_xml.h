/* A network as XML: a bridge of a known name, DHCP with host entries only (no range: who
 * is not known gets no address), and no rules of libvirt's for traffic. Pure. */
#ifndef MINICLOUD_AGENT_NETWORK_XML_H
#define MINICLOUD_AGENT_NETWORK_XML_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct err;
struct desired_network;

enum { NETWORK_NAME_MAX = 48 };
/* libvirt's name of a network. */
void network_name(const char *id, char out[NETWORK_NAME_MAX]);
/* Errors: ERR_INVALID for a cidr or gateway that is none. */
int network_xml(const struct desired_network *network, struct buf *out, struct err *err);
void lease_xml(const char *mac, const char *address, struct buf *out);

#endif
