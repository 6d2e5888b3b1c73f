/* Notes of clocks: "<word> <number> <number>"; see clock_note.h. */
#include "controller/clock_note.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/mem.h"
#include "controller/meta.h"

int clock_note_read(struct db *db, const char *name, struct clock_note *ret_note, struct err *err)
{
    autofree char *text = NULL;
    *ret_note = (struct clock_note){0};
    if (meta_get(db, name, &text, err) != 0)
        return -1;
    if (text &&
        sscanf(text, "%63s %" SCNd64 " %" SCNd64, ret_note->word, &ret_note->a, &ret_note->b) != 3)
        *ret_note = (struct clock_note){0};
    return 0;
}

int clock_note_write(struct tx *tx, const char *name, const struct clock_note *note,
                     struct err *err)
{
    autofree char *text = NULL;
    if (note->word[0])
        text = xasprintf("%s %" PRId64 " %" PRId64, note->word, note->a, note->b);
    return meta_set(tx, name, text ? text : "", err);
}
