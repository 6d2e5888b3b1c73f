/* What a data folder holds, before anything in it is made: a cloud, nothing yet, or what is left
 * of a cloud whose database was lost. */
#ifndef MINICLOUD_CONTROLLER_DATA_DIR_H
#define MINICLOUD_CONTROLLER_DATA_DIR_H

struct err;

/* With the lock held. Refuses (ERR_CONFLICT) a folder that has files of ours and no database;
 * marks a new one, durably, as having begun. */
int data_dir_open(const char *data_dir, struct err *err);
/* The first start is committed: takes the mark away. */
int data_dir_begun(const char *data_dir, struct err *err);
/* With the lock held: marks a folder whose database is lost, so that the next start makes a new
 * one. Moves and deletes nothing, and refuses where that start would. */
int data_dir_begin_anew(const char *data_dir, struct err *err);
/* ERR_NOT_FOUND unless its database holds a cloud. */
int data_dir_has_cloud(const char *data_dir, struct err *err);

#endif
