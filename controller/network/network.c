/* What is shown of a network, and the network of the first start. */
#include "controller/network/network.h"

#include "api/base/err.h"
#include "api/base/id.h"
#include "api/json/json.h"
#include "controller/db/db.h"
#include "controller/network/store_network.h"
#include "controller/placement/address.h"
#include "controller/placement/hosts.h"
#include "controller/tx/writer.h"

void network_put(struct json_writer *w, const char *key, const struct network *network)
{
    json_open(w, key, '{');
    json_put_str(w, "id", network->id);
    json_put_str(w, "name", network->name);
    json_put_str(w, "project", network->project);
    json_put_str(w, "cidr", network->cidr);
    json_put_str(w, "gateway", network->gateway);
    json_put_bool(w, "nat", network->nat);
    json_put_time(w, "created_at", network->created_ms);
    json_close(w, '}');
}

int network_create_default(struct tx *tx, int64_t project_key, const char *cidr, struct err *err)
{
    int64_t base, first, last;
    int prefix;
    if (cidr_parse("network_cidr", cidr, &base, &prefix, err) != 0)
        return -1;
    char id[ID_TEXT_MAX], gateway[ADDRESS_TEXT_MAX];
    id_new(id);
    address_text(base + 1, gateway);
    struct network network = {
        .id = id, .name = "default", .cidr = cidr, .gateway = gateway, .nat = true};
    network.revision = tx_event(tx, &(struct event_row){.project_key = project_key,
                                                        .kind = "network",
                                                        .id = id,
                                                        .name = "default",
                                                        .what = "created"});
    if (store_network_insert(tx->db, project_key, &network, tx->now_ms, err) != 0 ||
        network_range(cidr, gateway, &first, &last, err) != 0)
        return -1;
    if (tx->hosts)
        hosts_network_add(tx->hosts, db_last_key(tx->db), id, "default", first, last);
    return 0;
}
