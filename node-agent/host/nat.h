/* What the host's networks do towards the world: NAT for those that have it, nothing in
 * or out for the others, and no way from one network into another. One nftables table of
 * our own, replaced as a whole in one transaction.
 *
 * libvirt could do the NAT (forward mode 'nat'), but it takes all its rules away and puts
 * them back at every change of a DHCP entry: 0.37 s of iptables for each instance made,
 * and running guests without NAT meanwhile. */
#ifndef MINICLOUD_AGENT_NAT_H
#define MINICLOUD_AGENT_NAT_H

#include <stddef.h>

struct buf;
struct desired_network;
struct err;

/* Pure: the commands for nft. */
void nat_rules(const struct desired_network *networks, size_t count, struct buf *out);
int nat_apply(const char *rules, struct err *err);

#endif
