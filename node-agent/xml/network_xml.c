/* Writes a network's XML; see network_xml.h. */
#include "node-agent/xml/network_xml.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/id.h"
#include "api/node_protocol.h"
#include "node-agent/xml/xml.h"

void network_name(const char *id, char out[NETWORK_NAME_MAX])
{
    snprintf(out, NETWORK_NAME_MAX, "mc-%.40s", id);
}

/* "10.77.0.0/16" -> 16. The address part must be one, and below the prefix nothing is set. */
static int parse_cidr(const char *cidr, int *ret_prefix, struct err *err)
{
    char address[64];
    struct in_addr in;
    const char *slash = cidr ? strchr(cidr, '/') : NULL;
    char *end = NULL;
    long prefix = slash ? strtol(slash + 1, &end, 10) : -1;
    if (slash)
        snprintf(address, sizeof address, "%.*s", (int)(slash - cidr), cidr);
    if (!slash || *end || end == slash + 1 || prefix < 8 || prefix > 30 ||
        inet_pton(AF_INET, address, &in) != 1)
        return err_set(err, ERR_INVALID, "network range '%s' is not an IPv4 range of /8 to /30",
                       cidr ? cidr : "");
    *ret_prefix = (int)prefix;
    return 0;
}

/* The same on every host, so that a guest that moves keeps its gateway's MAC. */
static void gateway_mac(const char *id, char out[18])
{
    uint8_t hash[SHA256_BYTES];
    sha256(id, strlen(id), hash);
    snprintf(out, 18, "52:54:00:%02x:%02x:%02x", hash[0], hash[1], hash[2]);
}

/* The gateway's own entry is never asked for: it is there because libvirt restarts dnsmasq
 * (0.5 s) when the first entry comes or the last one goes. */
static void write_ip(struct xml_out *x, const struct desired_network *network, int prefix,
                     const char *bridge_mac)
{
    xml_open(x, "ip", "family", "ipv4", "address", network->gateway, "prefix",
             xml_digits(prefix).text, NULL);
    xml_open(x, "dhcp", NULL);
    xml_empty(x, "host", "mac", bridge_mac, "ip", network->gateway, NULL);
    xml_close(x);
    xml_close(x);
}

int network_xml(const struct desired_network *network, struct buf *out, struct err *err)
{
    int prefix = 0;
    struct in_addr in;
    char name[NETWORK_NAME_MAX], bridge[24], bridge_mac[18];
    if (parse_cidr(network->cidr, &prefix, err))
        return -1;
    if (!network->gateway || inet_pton(AF_INET, network->gateway, &in) != 1)
        return err_set(err, ERR_INVALID, "gateway '%s' is no IPv4 address",
                       network->gateway ? network->gateway : "");
    network_name(network->id, name);
    gateway_mac(network->id, bridge_mac);
    snprintf(bridge, sizeof bridge, "mcbr%lld", (long long)network->bridge);

    struct xml_out *x = xml_begin();
    xml_open(x, "network", NULL);
    xml_text(x, "name", name);
    xml_text(x, "uuid", network->id);
    /* What goes in and out is ours to say: see nat.h. */
    xml_empty(x, "forward", "mode", "open", NULL);
    xml_empty(x, "bridge", "name", bridge, "stp", "off", "delay", "0", NULL);
    xml_empty(x, "mac", "address", bridge_mac, NULL);
    xml_empty(x, "dns", "enable", "yes", NULL);
    write_ip(x, network, prefix, bridge_mac);
    xml_finish(x, out);
    return 0;
}

void lease_xml(const char *mac, const char *address, struct buf *out)
{
    struct xml_out *x = xml_begin();
    xml_empty(x, "host", "mac", mac, "ip", address, NULL);
    xml_finish(x, out);
}
