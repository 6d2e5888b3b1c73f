/* Logging: one line of logfmt to standard error per event, whole lines only,
 * from any thread. No secret and no user_data is ever passed to it. */
#ifndef MINICLOUD_API_BASE_LOG_H
#define MINICLOUD_API_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

extern const char *const log_level_names[]; /* "debug","info","warn","error",NULL */

void log_set_level(enum log_level level);
/* `event` is a short stable name ("node.joined"); the rest are key=value pairs
 * already formatted; values with spaces are quoted by the caller with %s inside
 * quotes, control bytes are escaped here. */
void log_event(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(event, ...) log_event(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) log_event(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) log_event(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)

#endif
