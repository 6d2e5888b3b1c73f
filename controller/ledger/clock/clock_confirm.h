/* An operator's word on a clock that is off: which time holds for a boot, after clock_step.h has
 * held up sealing, or before it would. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_CLOCK_CLOCK_CONFIRM_H
#define MINICLOUD_CONTROLLER_LEDGER_CLOCK_CLOCK_CONFIRM_H

#include <stdint.h>

struct err;
struct tx;
struct vouchers;

/* What an operator can say of a boot. */
enum clock_word {
    CLOCK_KEEP,       /* the line as it is */
    CLOCK_TAKE,       /* the clock as it shows now, for the whole of the boot */
    CLOCK_CONTROLLER, /* our own time, for the whole of the boot */
};
extern const char *const clock_word_names[]; /* "keep","take","controller",NULL */

struct clock_verdict {
    int64_t node_key;    /* 0: our own clock, of which nobody's is better */
    const char *boot_id; /* NULL: those that are held, else the present one */
    int word;            /* enum clock_word */
};
/* Whatever was held of that boot is released. ERR_CONFLICT when there is nothing to be confirmed,
 * or a clock would have to be read that cannot be read now; ERR_INVALID of "boot" or "clock". */
int clock_confirm(struct vouchers *vouchers, struct tx *tx, const struct clock_verdict *verdict,
                  struct err *err);

#endif
