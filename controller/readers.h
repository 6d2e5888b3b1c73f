/* One read-only connection for each thread that reads. */
#ifndef MINICLOUD_CONTROLLER_READERS_H
#define MINICLOUD_CONTROLLER_READERS_H

struct app;
struct readers;

struct readers *readers_new(const char *db_path);
/* When no thread reads any more. */
void readers_free(struct readers *readers);

#endif
