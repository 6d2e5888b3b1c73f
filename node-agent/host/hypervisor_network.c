/* Networks and their DHCP entries through libvirt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/node_protocol.h"
#include "node-agent/host/hypervisor_private.h"
#include "node-agent/xml/network_xml.h"

static virNetworkPtr find_network(struct hv *hv, const char *id, struct err *err)
{
    if (hv_connect(hv, err))
        return NULL;
    virNetworkPtr network =
        HV_CALL(hv, "network_lookup", virNetworkLookupByUUIDString(hv->connection, id));
    if (!network && !hv_error_is(VIR_ERR_NO_NETWORK))
        hv_error(err, "a network could not be looked for");
    return network;
}

static virNetworkPtr define_network(struct hv *hv, const struct desired_network *network,
                                    struct err *err)
{
    auto_buf struct buf xml = {0};
    if (network_xml(network, &xml, err) || FAILPOINT("libvirt.network_define", err))
        return NULL;
    virNetworkPtr made =
        HV_CALL(hv, "network_define", virNetworkDefineXML(hv->connection, xml.data));
    if (!made)
        hv_error(err, "libvirt refused the network");
    return made;
}

/* Two instances may come here at once: the one that loses finds it active. */
static int start_network(struct hv *hv, virNetworkPtr network, struct err *err)
{
    if (HV_CALL(hv, "network_is_active", virNetworkIsActive(network)) == 1)
        return 0;
    if (FAILPOINT("libvirt.network_create", err))
        return -1;
    if (HV_CALL(hv, "network_create", virNetworkCreate(network)) == 0)
        return 0;
    hv_error(err, "the network could not be started");
    if (HV_CALL(hv, "network_is_active", virNetworkIsActive(network)) != 1)
        return -1;
    err_clear(err);
    return 0;
}

struct lease_search {
    const char *mac, *address;
    bool found;
    char other[64]; /* address of an entry for the same MAC that is not ours any more */
};

static void compare_lease(void *ctx, const char *mac, const char *ip)
{
    struct lease_search *search = ctx;
    if (strcasecmp(mac, search->mac) != 0)
        return;
    if (strcmp(ip, search->address) == 0)
        search->found = true;
    else
        text_copy(search->other, sizeof search->other, ip);
}

static int find_lease(struct hv *hv, virNetworkPtr network, struct lease_search *search,
                      struct err *err)
{
    autofree char *xml = HV_CALL(hv, "network_get_xml", virNetworkGetXMLDesc(network, 0));
    if (!xml)
        return hv_error(err, "the network's XML is not told");
    return facts_read_network(xml, compare_lease, search, err);
}

static int update_lease(struct hv *hv, virNetworkPtr network, unsigned command, const char *mac,
                        const char *address, struct err *err)
{
    auto_buf struct buf xml = {0};
    lease_xml(mac, address, &xml);
    bool active = HV_CALL(hv, "network_is_active", virNetworkIsActive(network)) == 1;
    unsigned flags =
        VIR_NETWORK_UPDATE_AFFECT_CONFIG | (active ? VIR_NETWORK_UPDATE_AFFECT_LIVE : 0);
    if (FAILPOINT("libvirt.network_update", err))
        return -1;
    if (HV_CALL(hv, "network_update",
                virNetworkUpdate(network, command, VIR_NETWORK_SECTION_IP_DHCP_HOST, -1, xml.data,
                                 flags)) < 0)
        return hv_error(err, "the network's DHCP entries could not be changed");
    FAILPOINT_VOID("libvirt.network_update.after");
    return 0;
}

int hv_network_ensure(void *host, const struct desired_network *network, const char *mac,
                      const char *address, struct err *err)
{
    struct hv *hv = host;
    struct lease_search search = {.mac = mac, .address = address};
    auto_network virNetworkPtr found = find_network(hv, network->id, err);
    if (!found && err->code == ERR_NONE)
        found = define_network(hv, network, err);
    if (!found || start_network(hv, found, err) || find_lease(hv, found, &search, err))
        return -1;
    if (search.other[0] &&
        update_lease(hv, found, VIR_NETWORK_UPDATE_COMMAND_DELETE, mac, search.other, err))
        return -1;
    if (search.found)
        return 0;
    return update_lease(hv, found, VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, mac, address, err);
}

int hv_network_active(void *host, const char *id, bool *ret, struct err *err)
{
    struct hv *hv = host;
    auto_network virNetworkPtr network = find_network(hv, id, err);
    *ret = network && HV_CALL(hv, "network_is_active", virNetworkIsActive(network)) == 1;
    return network || err->code == ERR_NONE ? 0 : -1;
}

int hv_lease_remove(void *host, const char *id, const char *mac, const char *address,
                    struct err *err)
{
    struct hv *hv = host;
    struct lease_search search = {.mac = mac, .address = address};
    auto_network virNetworkPtr network = find_network(hv, id, err);
    if (!network)
        return err->code == ERR_NONE ? 0 : -1;
    if (find_lease(hv, network, &search, err))
        return -1;
    if (!search.found)
        return 0;
    return update_lease(hv, network, VIR_NETWORK_UPDATE_COMMAND_DELETE, mac, address, err);
}
