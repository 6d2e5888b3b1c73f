/* A simulated agent: the real protocol over a modelled host, so that the controller can be
 * tested and measured by the fleet without libvirt. One thread each; everything may be
 * called from any thread. */
#ifndef MINICLOUD_TESTS_SIM_AGENT_H
#define MINICLOUD_TESTS_SIM_AGENT_H

#include "tests/lib/sim_host.h"

struct err;
struct sim_agent;

struct sim_settings {
    const char *url, *join_token;
    const char *name;              /* also the host's identity */
    const char *token;             /* NULL: join; else of an earlier life (sim_token) */
    const char *boot_id;           /* NULL: a new boot */
    struct node_capacity capacity; /* all 0: 64 CPUs, 256 GiB memory, 10 TiB disk */
    struct sim_delays delays;
    int64_t heartbeat_ms; /* 0: 10 s */
    bool passive;         /* no thread: the test calls sim_round() itself */
};

int sim_new(const struct sim_settings *settings, struct sim_agent **ret_agent, struct err *err);
/* Stops the thread; no farewell. */
void sim_free(struct sim_agent *agent);
const char *sim_token(const struct sim_agent *agent);
const char *sim_node_id(const struct sim_agent *agent);
/* Good until the next reboot. */
const char *sim_boot_id(const struct sim_agent *agent);

/* One turn: reports if there is news (or `full`), then asks for at most wait_ms. */
int sim_round(struct sim_agent *agent, bool full, int64_t wait_ms, struct err *err);

/* For the host it is that much later: what takes time there is done in the next round. */
void sim_pass(struct sim_agent *agent, int64_t ms);
/* From now on nothing is sent (true), or all as usual. */
void sim_silence(struct sim_agent *agent, bool silent);
/* false: there is no such guest, or it does not run. Reported at once. */
bool sim_guest_shutdown(struct sim_agent *agent, const char *id);
bool sim_guest_crash(struct sim_agent *agent, const char *id);
void sim_guest_stubborn(struct sim_agent *agent, const char *id);
/* The next start fails with this reason. */
void sim_fail_next(struct sim_agent *agent, const char *reason, bool final);
/* The agent process restarts: guests run on, what was desired is forgotten. */
void sim_restart(struct sim_agent *agent);
/* The host reboots: guests are dead, a new boot id. */
void sim_reboot(struct sim_agent *agent);
/* What it counts its boots with is lost: the next one has this place in their order. */
void sim_forget_boots(struct sim_agent *agent, int64_t boot_order);
/* A domain made behind the controller's back. */
void sim_foreign(struct sim_agent *agent, const char *id, int64_t vcpus, int64_t memory_mib,
                 int64_t uid, const char *address);
/* Loses a domain, as if someone had removed it by hand. */
void sim_lose(struct sim_agent *agent, const char *id);
/* libvirt is away: nothing is done, and nothing found on the host (true), or all as usual. */
void sim_blind(struct sim_agent *agent, bool blind);
/* What the next reports say of the epoch (NULL: the truth) and revision (0: the truth). */
void sim_claim(struct sim_agent *agent, const char *epoch, int64_t revision);
/* Sends the last but `back` report once more; returns the HTTP status. */
int sim_replay(struct sim_agent *agent, unsigned back);

/* The next report brings this evidence, true or not; times that are 0 are now. */
void sim_say(struct sim_agent *agent, const char *id, const struct observation *what);

/* A copy of a guest; false: none. */
bool sim_guest(struct sim_agent *agent, const char *id, struct sim_guest *ret_guest);
struct sim_count {
    int64_t guests, running, starts, double_starts, reports, pages;
};
void sim_count(struct sim_agent *agent, struct sim_count *ret_count);

#endif
