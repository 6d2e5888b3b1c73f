/* The placement table: what each host has and has left, the order of its reports, and
 * which uids and addresses are taken. It lives in the writer's memory and is a cache of
 * rows: hosts_load() rebuilds it, a job's changes are journaled so that a rollback undoes
 * them. Only the writer's thread touches it. */
#ifndef MINICLOUD_CONTROLLER_PLACEMENT_HOSTS_H
#define MINICLOUD_CONTROLLER_PLACEMENT_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base/id.h"
#include "api/base/limits.h"
#include "controller/placement/numbers.h"
#include "controller/placement/placement.h"
#include "controller/tx/writer.h"

enum { HOST_WORD_MAX = 64, UID_FIRST = 200000, UID_LAST = UID_FIRST + NUMBERS_MAX - 1 };

struct host {
    int64_t key; /* 0: removed */
    char id[ID_TEXT_MAX];
    char name[LIMIT_NAME + 1];
    struct sizes capacity, used;
    int64_t instances;
    bool schedulable, reported, silent;
    int virt;
    char version[HOST_WORD_MAX];
    char boot_id[HOST_WORD_MAX], incarnation[HOST_WORD_MAX];
    int64_t boot_order;  /* as in struct observation */
    int64_t sequence;    /* of the last report taken */
    int64_t row_seen_ms; /* last_seen_ms of the row: at most a minute old */
    /* Until when it has vouched for all that had not ended, by its CLOCK_BOOTTIME. */
    int64_t seen_boottime_ms;
    /* The last pair of clocks, its and our CLOCK_BOOTTIME; 0: none since our start. */
    int64_t pair_boottime_ms, pair_own_ms;
    int64_t pair_wall_ms; /* its wall clock then */
    /* When its bare word began an epoch of its own, by our CLOCK_BOOTTIME; 0: never. */
    int64_t epoch_own_ms;
    /* How much evidence was left to it to bring, and when; 0: it brought none since our start. */
    int64_t evidence_left, evidence_ms;
};

struct hosts_network {
    int64_t key;
    char id[ID_TEXT_MAX];
    char name[LIMIT_NAME + 1];
    struct numbers numbers; /* addresses that instances may get, as IPv4 numbers */
};

/* NULL when there is none. The pointer holds until the next change. */
const struct host *hosts_find(const struct hosts *hosts, int64_t node_key);
size_t hosts_count(const struct hosts *hosts);
/* In order of keys; NULL for a removed one. */
const struct host *hosts_at(const struct hosts *hosts, size_t index);

/* Adds or replaces by key. */
void hosts_put(struct hosts *hosts, const struct host *host);
void hosts_remove(struct hosts *hosts, int64_t node_key);
/* Adds to what is used (negative: gives back). */
void hosts_use(struct hosts *hosts, int64_t node_key, const struct sizes *delta, int64_t instances);

/* The host for a new instance; ERR_NO_CAPACITY says what each host lacks. */
int hosts_place(struct hosts *hosts, const struct sizes *need, const struct host **ret_host,
                struct err *err);
/* No instance is placed there until all are put back. */
void hosts_set_aside(struct hosts *hosts, int64_t node_key);
void hosts_put_back(struct hosts *hosts);
/* Whether one host has room for more of an instance that is there already. */
int hosts_room(struct hosts *hosts, int64_t node_key, const struct sizes *more, struct err *err);

/* Lowest free ones; -1: none left. Taking is a separate step. */
int64_t hosts_uid_lowest(const struct hosts *hosts);
const struct numbers *hosts_uids(const struct hosts *hosts);
void hosts_uid_set(struct hosts *hosts, int64_t uid, bool taken);

/* The network that an instance gets when it asks for none; NULL: there is none. */
const struct hosts_network *hosts_network_default(const struct hosts *hosts);
const struct hosts_network *hosts_network_find(const struct hosts *hosts, int64_t network_key);
void hosts_network_add(struct hosts *hosts, int64_t key, const char *id, const char *name,
                       int64_t first, int64_t last);
/* The first network that gives out this address; NULL: none does. */
const struct hosts_network *hosts_network_of(const struct hosts *hosts, int64_t number);
void hosts_address_set(struct hosts *hosts, int64_t network_key, int64_t number, bool taken);

/* For hosts_load() (store_hosts.c): forget all. */
void hosts_reset(struct hosts *hosts);
int hosts_load(struct hosts *hosts, struct db *db, struct err *err);

/* The placement table; writer.c calls the hooks. */
struct hosts *hosts_new(void);
void hosts_free(struct hosts *hosts);
extern const struct hosts_hooks hosts_hooks;

#endif
