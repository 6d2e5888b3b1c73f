/* Checks every row of a FOCUS export against a file of rules; the file says what they mean. */
#ifndef MINICLOUD_TESTS_FOCUS_RULES_H
#define MINICLOUD_TESTS_FOCUS_RULES_H

#include <stddef.h>

struct focus_rules;

/* NULL: `message` says what is wrong with the rules. */
struct focus_rules *focus_rules_read(const char *text, char *message, size_t size);
void focus_rules_free(struct focus_rules *rules);
/* Lines of the file that hold rules. */
size_t focus_rules_count(const struct focus_rules *rules);
/* Rows that were checked, or -1: `message` names row, rule and cells. */
long focus_rules_check(struct focus_rules *rules, const char *csv, char *message, size_t size);

#endif
