/* Label selectors of lists: `label=tier=web,env`, all must hold: a label with this value, a label
 * of this name whatever its value. */
#ifndef MINICLOUD_CONTROLLER_NOUN_SELECTOR_H
#define MINICLOUD_CONTROLLER_NOUN_SELECTOR_H

struct err;

/* A JSON object for the store, owned by the caller; null stands for any value. NULL for NULL. */
int selector_parse(const char *text, char **ret_json, struct err *err);

#endif
