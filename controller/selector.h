/* Label selectors of lists: `label=tier=web,env=prod` (all must match). */
#ifndef MINICLOUD_CONTROLLER_SELECTOR_H
#define MINICLOUD_CONTROLLER_SELECTOR_H

struct err;

/* A JSON object for the store, owned by the caller; NULL for NULL. */
int selector_parse(const char *text, char **ret_json, struct err *err);

#endif
