/* Arithmetic of addresses. */
#include "controller/placement/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/err.h"

int64_t address_number(const char *text)
{
    struct in_addr address;
    if (!text || inet_pton(AF_INET, text, &address) != 1)
        return -1;
    return (int64_t)ntohl(address.s_addr);
}

void address_text(int64_t number, char text[ADDRESS_TEXT_MAX])
{
    snprintf(text, ADDRESS_TEXT_MAX, "%u.%u.%u.%u", (unsigned)(number >> 24 & 255),
             (unsigned)(number >> 16 & 255), (unsigned)(number >> 8 & 255),
             (unsigned)(number & 255));
}

int cidr_parse(const char *field, const char *text, int64_t *ret_base, int *ret_prefix,
               struct err *err)
{
    const char *slash = strchr(text, '/');
    char base[ADDRESS_TEXT_MAX] = "";
    if (slash && (size_t)(slash - text) < sizeof(base))
        memcpy(base, text, (size_t)(slash - text));
    char *end = NULL;
    long prefix = slash && slash[1] >= '0' && slash[1] <= '9' ? strtol(slash + 1, &end, 10) : -1;
    int64_t number = address_number(base);
    if (number < 0 || !end || *end || prefix < 8 || prefix > 29)
        return err_field(err, field, "%s: want an IPv4 network such as 10.77.0.0/16, /8 to /29",
                         field);
    if (number & ((1LL << (32 - prefix)) - 1))
        return err_field(err, field, "%s: %s has bits set behind its prefix", field, text);
    *ret_base = number;
    *ret_prefix = (int)prefix;
    return 0;
}

int network_range(const char *cidr, const char *gateway, int64_t *ret_first, int64_t *ret_last,
                  struct err *err)
{
    int64_t base;
    int prefix;
    if (cidr_parse("/cidr", cidr, &base, &prefix, err) != 0)
        return -1;
    *ret_first = address_number(gateway) + 1;
    *ret_last = base + (1LL << (32 - prefix)) - 2;
    return 0;
}

void network_mac(const char *network_id, int64_t address, char text[MAC_TEXT_MAX])
{
    uint32_t mix = 2166136261u; /* FNV-1a */
    for (const char *at = network_id; *at; at++)
        mix = (mix ^ (unsigned char)*at) * 16777619u;
    uint32_t bits = (uint32_t)address ^ mix;
    snprintf(text, MAC_TEXT_MAX, "52:54:%02x:%02x:%02x:%02x", bits >> 24, bits >> 16 & 255,
             bits >> 8 & 255, bits & 255);
}
