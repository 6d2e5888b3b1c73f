/* Names of what a row's keys mean, and values of labels. Of what was deleted, and is gone, both
 * stay, so everything keeps its name; labels are the present, or the last ones. */
#ifndef MINICLOUD_CONTROLLER_USAGE_USAGE_NAMES_H
#define MINICLOUD_CONTROLLER_USAGE_USAGE_NAMES_H

#include "controller/noun/store_noun.h"
#include "controller/usage/usage_sum.h"

struct usage_names;
struct usage_names *usage_names_new(void);
void usage_names_free(struct usage_names *names);
void usage_names_cleanup(struct usage_names **names);
#define auto_usage_names __attribute__((cleanup(usage_names_cleanup)))
/* The connection to read with from now on. */
void usage_names_use(struct usage_names *names, struct db *db);

/* NULL: key 0, or it cannot be read. Good until the next call for this kind. */
const struct noun_row *usage_name(struct usage_names *names, enum access_kind kind, int64_t key);
/* All labels of an instance or image as a JSON object. Good until the next call. */
const char *usage_labels_json(struct usage_names *names, int resource, int64_t key);

/* What sums ask for: `label` is the place among those named here. */
void usage_names_label(struct usage_names *names, int label, const char *name);
struct usage_labels usage_names_labels(struct usage_names *names);
/* The value behind a number; NULL for 0. */
const char *usage_label_text(const struct usage_names *names, int32_t value);
/* What could not be read on the way: 0 or -1. */
int usage_names_failed(struct usage_names *names, struct err *err);

#endif
