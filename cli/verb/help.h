/* Help pages, made of the table. Each line fits 80 columns. */
#ifndef MINICLOUD_CLI_VERB_HELP_H
#define MINICLOUD_CLI_VERB_HELP_H

#include <stdio.h>

struct noun;
struct verb;

/* Of a verb, of a noun (no verb), or of all (no noun). */
void help_print(const struct noun *noun, const struct verb *verb, FILE *out);

#endif
