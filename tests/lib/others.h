/* Rows of somebody else, in any number: what must not cost those who have nothing. */
#ifndef MINICLOUD_TESTS_OTHERS_H
#define MINICLOUD_TESTS_OTHERS_H

/* So many of each kind, of one project, in the database that a controller has made, with one more
 * project in it, and that none has open: what lives and what is gone, evidence that no seal knows
 * yet, and a ledger of months before. Nothing of it is to be read for what it says. */
void others_fill(const char *db_path, int count);
/* All of it has ended and was deleted long ago. */
void others_end(const char *db_path);

#endif
