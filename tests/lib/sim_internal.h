/* What sim_agent.c and sim_report.c share: the insides of a simulated agent. */
#ifndef MINICLOUD_TESTS_SIM_INTERNAL_H
#define MINICLOUD_TESTS_SIM_INTERNAL_H

#include <pthread.h>

#include "tests/lib/sim_agent.h"

struct buf;
struct http_answer;
struct http_client;

enum { REPORTS_KEPT = 8 };

struct sim_agent {
    char *url, *join_token, *name, *token;
    char node_id[ID_TEXT_MAX];
    struct node_capacity capacity;
    int64_t heartbeat_ms;
    pthread_t thread;
    bool has_thread;
    volatile bool stop;
    struct http_client *asker; /* the loop's own: long polls */

    pthread_mutex_t talk; /* one report at a time; taken before `lock` */
    struct http_client *teller;
    char *sent[REPORTS_KEPT]; /* texts of the last reports, newest first */

    pthread_mutex_t lock;   /* everything below */
    pthread_cond_t changed; /* `silent`, or that it is to stop */
    bool silent;
    int64_t passed_ms; /* by sim_pass() */
    struct sim_host host;
    char incarnation[ID_TEXT_MAX];
    int64_t sequence;
    bool needs_full;
    int64_t reported_ms;
    char claim_epoch[ID_TEXT_MAX];
    int64_t claim_revision;
    int64_t reports, pages;
};

/* With the lock held: the model's time. */
int64_t sim_now_ms(const struct sim_agent *agent);
int sim_post(struct http_client *client, const char *path, const struct buf *body,
             struct http_answer *answer, struct err *err);
/* Reports what has changed, or all; nothing while it is silent. */
int sim_tell(struct sim_agent *agent, bool full, struct err *err);

#endif
