/* Writes and applies the rules; see nat.h. The only code that includes libnftables. */
#include "node-agent/host/nat.h"

#include <malloc.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/failpoint.h"
#include "api/base/mem.h"
#include "api/node_protocol.h"

/* Texts from the controller become part of a command: they must be addresses. */
static bool is_plain(const char *text)
{
    return text && *text && text[strspn(text, "0123456789./")] == '\0';
}

static void put_forward(const struct desired_network *network, struct buf *out)
{
    long long number = network->bridge;
    buf_printf(out, "    iifname \"mcbr%lld\" oifname \"mcbr%lld\" accept\n", number, number);
    if (network->nat)
        buf_printf(out,
                   "    oifname \"mcbr%lld\" ip daddr %s ct state established,related accept\n",
                   number, network->cidr);
    else
        buf_printf(out, "    iifname \"mcbr%lld\" drop\n", number);
    buf_printf(out, "    oifname \"mcbr%lld\" reject\n", number);
}

static void put_nat(const struct desired_network *network, struct buf *out)
{
    buf_printf(out, "    ip saddr %s ip daddr != %s oifname != \"mcbr%lld\" masquerade\n",
               network->cidr, network->cidr, (long long)network->bridge);
}

/* The first line makes sure that there is something to delete. */
void nat_rules(const struct desired_network *networks, size_t count, struct buf *out)
{
    buf_puts(out, "table inet minicloud\ndelete table inet minicloud\ntable inet minicloud {\n"
                  "  chain forward {\n    type filter hook forward priority filter; policy "
                  "accept;\n");
    for (size_t i = 0; i < count; i++) {
        if (is_plain(networks[i].cidr))
            put_forward(&networks[i], out);
    }
    buf_puts(out, "  }\n  chain postrouting {\n    type nat hook postrouting priority srcnat; "
                  "policy accept;\n");
    for (size_t i = 0; i < count; i++) {
        if (networks[i].nat && is_plain(networks[i].cidr))
            put_nat(&networks[i], out);
    }
    buf_puts(out, "  }\n}\n");
}

int nat_apply(const char *rules, struct err *err)
{
    if (FAILPOINT("nft.run", err))
        return -1;
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    if (!nft)
        return err_set(err, ERR_OPERATION_FAILED, "nftables is not to be had on this host");
    nft_ctx_buffer_output(nft);
    nft_ctx_buffer_error(nft);
    int r = nft_run_cmd_from_buffer(nft, rules);
    if (r != 0)
        err_set(err, ERR_OPERATION_FAILED, "nftables refused the networks' rules: %.300s",
                nft_ctx_get_error_buffer(nft));
    nft_ctx_free(nft);
    /* It leaves several MiB of heap behind, for a thing done once. */
    malloc_trim(0);
    return r != 0 ? -1 : 0;
}
