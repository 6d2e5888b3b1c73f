/* The lowest numbers that are free, and not held by a quarantined domain of the same host. */
#include "controller/instance/instance_numbers.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/base/err.h"
#include "api/base/mem.h"
#include "controller/placement/address.h"
#include "controller/placement/hosts.h"
#include "controller/placement/store_node.h"
#include "controller/tx/writer.h"

enum { HOSTS_TRIED = 16 };

/* What is held on a host by domains that are none of ours: LIMIT_NODE_STRANGERS at most. */
struct held {
    const struct hosts *hosts;
    const struct hosts_network *network;
    int64_t *uids, *numbers;
    size_t uid_count, number_count, cap;
};

static void collect(void *ctx, const struct quarantined *row)
{
    struct held *held = ctx;
    size_t most = held->uid_count > held->number_count ? held->uid_count : held->number_count;
    if (most == held->cap) {
        held->cap = held->cap ? 2 * held->cap : 16;
        held->uids = xrealloc(held->uids, held->cap * sizeof(*held->uids));
        held->numbers = xrealloc(held->numbers, held->cap * sizeof(*held->numbers));
    }
    int64_t number = row->address ? address_number(row->address) : -1;
    if (row->uid)
        held->uids[held->uid_count++] = row->uid;
    /* A stranger does not say in which network: it is in one, and in no other. */
    if (number >= 0 && hosts_network_of(held->hosts, number) == held->network)
        held->numbers[held->number_count++] = number;
}

static int by_number(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* -1: there is none. */
static int64_t lowest_beside(const struct numbers *numbers, int64_t *held, size_t count)
{
    if (count)
        qsort(held, count, sizeof(*held), by_number);
    int64_t number = numbers_lowest(numbers);
    while (number >= 0 && count && bsearch(&number, held, count, sizeof(*held), by_number))
        number = numbers_next(numbers, number + 1);
    return number;
}

static int allot_on(struct tx *tx, struct allotted *allotted, struct err *err)
{
    struct held held = {.hosts = tx->hosts, .network = allotted->network};
    int rc = store_quarantine_list(tx->db, allotted->host->key, collect, &held, err);
    if (rc == 0) {
        allotted->uid = lowest_beside(hosts_uids(tx->hosts), held.uids, held.uid_count);
        allotted->number =
            lowest_beside(&allotted->network->numbers, held.numbers, held.number_count);
    }
    free(held.uids);
    free(held.numbers);
    return rc;
}

/* What no host can give. */
static int check_any(struct tx *tx, const struct hosts_network *network, struct err *err)
{
    const char *lacks = NULL;
    if (!network)
        lacks = "there is no network to put an instance into";
    else if (hosts_uid_lowest(tx->hosts) < 0)
        lacks = "every host user id is taken";
    else if (numbers_lowest(&network->numbers) < 0)
        lacks = "every address of the default network is taken";
    return lacks ? err_set(err, ERR_NO_CAPACITY, "%s", lacks) : 0;
}

static int refuse(const struct host *host, struct err *err)
{
    return err_set(err, ERR_NO_CAPACITY,
                   "quarantined domains hold every free address or user id on node %s, and no "
                   "other node has room: see cloudctl node show %s",
                   host->name, host->name);
}

static int search(struct tx *tx, const struct sizes *sizes, struct allotted *allotted,
                  struct err *err)
{
    const struct host *full = NULL;
    for (int tried = 0; tried < HOSTS_TRIED; tried++) {
        if (hosts_place(tx->hosts, sizes, &allotted->host, err) != 0) {
            if (full)
                err_clear(err);
            return full ? refuse(full, err) : -1;
        }
        /* Room first: that refusal says more. */
        if (check_any(tx, allotted->network, err) != 0 || allot_on(tx, allotted, err) != 0)
            return -1;
        if (allotted->uid >= 0 && allotted->number >= 0)
            return 0;
        full = allotted->host;
        hosts_set_aside(tx->hosts, full->key);
    }
    return refuse(full, err);
}

int instance_allot(struct tx *tx, const struct sizes *sizes, struct allotted *ret_allotted,
                   struct err *err)
{
    *ret_allotted = (struct allotted){.network = hosts_network_default(tx->hosts)};
    int rc = search(tx, sizes, ret_allotted, err);
    hosts_put_back(tx->hosts);
    return rc;
}
