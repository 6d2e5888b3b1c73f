/* The NoCloud seed: an ISO 9660 volume called "cidata" with meta-data, user-data,
 * network-config (version 2) and vendor-data. Pure: struct -> bytes. */
#ifndef MINICLOUD_AGENT_SEED_H
#define MINICLOUD_AGENT_SEED_H

#include "api/base/id.h"

struct buf;
struct desired_instance;
struct err;

/* A digest of what the seed says: another digest is another seed. */
void seed_digest(const struct desired_instance *instance, char out[SHA256_TEXT_MAX]);
/* ERR_FIELD when user_data is no base64. */
int seed_make(const struct desired_instance *instance, struct buf *out, struct err *err);

#endif
