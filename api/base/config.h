/* Settings: `key = value` lines, `#` comments; a table says what exists. The
 * precedence is flag, environment (MINICLOUD_<KEY in capitals>), file, default.
 * An unknown key, a bad value or one out of range is an error that names file,
 * line, key and limit. */
#ifndef MINICLOUD_API_BASE_CONFIG_H
#define MINICLOUD_API_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct buf;

enum config_type { CONFIG_STR, CONFIG_INT, CONFIG_BOOL, CONFIG_ENUM, CONFIG_SECONDS };

struct config_field {
    const char *key;
    enum config_type type;
    size_t offset;            /* char* (owned) | int64_t | bool | int | int64_t milliseconds */
    const char *fallback;     /* default, as text */
    int64_t min, max;         /* CONFIG_INT and CONFIG_SECONDS (in seconds) */
    const char *const *names; /* CONFIG_ENUM, ended by NULL */
    const char *help;
};

/* Loads defaults, then `path` (may be NULL; a missing file is an error only
 * when `required`), then the environment, then --key=value / --key value flags from argv
 * (underscores and dashes are alike). `--help` and `--version` are the caller's. */
int config_load(const struct config_field *fields, size_t count, const char *path, bool required,
                int argc, char **argv, void *ret_settings, struct err *err);
void config_release(const struct config_field *fields, size_t count, void *settings);
/* A commented example file, and the text of --help. */
void config_describe(const struct config_field *fields, size_t count, struct buf *out);

#endif
