/* What is kept of clocks from one start to the next: a word and two numbers under a name, as a
 * value of the whole database (meta.h). */
#ifndef MINICLOUD_CONTROLLER_CLOCK_NOTE_H
#define MINICLOUD_CONTROLLER_CLOCK_NOTE_H

#include <stdint.h>

#include "controller/hosts.h"

struct db;
struct err;
struct tx;

struct clock_note {
    char word[HOST_WORD_MAX]; /* without blanks; "": nothing is noted */
    int64_t a, b;
};
int clock_note_read(struct db *db, const char *name, struct clock_note *ret_note, struct err *err);
int clock_note_write(struct tx *tx, const char *name, const struct clock_note *note,
                     struct err *err);

#endif
