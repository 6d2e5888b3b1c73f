/* The ledger's part in the start and the end of the program. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_BOOK_USAGE_LIFE_H
#define MINICLOUD_CONTROLLER_LEDGER_BOOK_USAGE_LIFE_H

struct app;
struct err;

/* At start, before requests: our own line of time, and evidence that the images are there. */
int usage_start(struct app *app, struct err *err);
/* At the end, when nobody asks any more and the writer still runs: until when hosts vouched. */
void usage_stop(struct app *app);

#endif
