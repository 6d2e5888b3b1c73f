/* One instance's turn in a worker, and what a listing of the host says of it. */
#ifndef MINICLOUD_AGENT_INSTANCE_H
#define MINICLOUD_AGENT_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

struct agent;
struct desired_image;
struct err;
struct facts;
struct instance;
struct step_env;
struct work_item;
struct worker;

/* The cache of images, as a turn sees it; link/images.h says more. */
enum image_state { IMAGE_READY, IMAGE_COMING, IMAGE_FAILED };
struct image_cache {
    bool (*ready)(struct agent *agent, const char *sha256);
    enum image_state (*want)(struct agent *agent, const struct desired_image *image,
                             struct err *err);
};

/* For a pool of workers, each of which holds a connection; see work.h. */
void *instance_open(void *agent, struct worker *worker);
void instance_close(void *agent, void *hv);
void instance_run(void *agent, void *hv, struct worker *worker, struct work_item *item);
void instance_stuck(void *agent, struct work_item *item, const char *call, int64_t ms);
/* What a listing says of it: reported, and worked on if it is not as it should be. The
 * lock held. */
void instance_seen(struct agent *agent, struct instance *instance, const struct facts *facts);
/* The same of a volume; one that no domain names may be a rest of something: its owner's
 * next turn looks. After the listing's domains. */
void instance_volume_seen(struct agent *agent, struct instance *instance, const char *name);
/* Its environment for steps, on this connection. */
void instance_env(struct agent *agent, void *hv, struct step_env *ret);

#endif
