/* A file of zeros that is given back to the file system when it is full, so that deletes,
 * which need a little room themselves, still work. */
#ifndef MINICLOUD_CONTROLLER_TX_BALLAST_H
#define MINICLOUD_CONTROLLER_TX_BALLAST_H

#include <stdbool.h>

struct err;

enum { BALLAST_BYTES = 4 * 1024 * 1024 };

/* That the file is ours to write: one that cannot be opened would look like a full disk for ever.
 */
int ballast_check(const char *path, struct err *err);
/* Makes it, when beside it at least as much stays free. false: there is no room yet. */
bool ballast_fill(const char *path);
void ballast_release(const char *path);

#endif
