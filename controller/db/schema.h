/* The migrations, oldest first; each is one text of statements, applied in one transaction. */
#ifndef MINICLOUD_CONTROLLER_DB_SCHEMA_H
#define MINICLOUD_CONTROLLER_DB_SCHEMA_H

const char *const *schema_migrations(int *ret_count);

#endif
