/* Shared by steps.c and steps_disk.c. */
#ifndef MINICLOUD_AGENT_STEPS_PRIVATE_H
#define MINICLOUD_AGENT_STEPS_PRIVATE_H

#include "node-agent/instance/steps.h"

enum { STEP_NICS_MAX = 8 };

int step_disk(const struct step_env *env, struct situation *s, struct facts *f, struct err *err);
int step_grow(const struct step_env *env, struct situation *s, struct facts *f, struct err *err);
int step_seed(const struct step_env *env, struct situation *s, struct facts *f, struct err *err);
int step_network(const struct step_env *env, struct situation *s, struct facts *f, struct err *err);
int step_sweep(const struct step_env *env, struct facts *f, const char *volume, struct err *err);
int step_clean(const struct step_env *env, struct situation *s, struct facts *f, struct err *err);
int step_remove_logs(const struct step_env *env, struct situation *s, const struct facts *f,
                     struct err *err);

#endif
