/* The error table and the struct that carries one. Knows nothing of where errors
 * come from or go to. */
#include "api/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/base/mem.h"
#include "api/base/utf8.h"

/* Exit codes: 1 API error, 2 usage, 3 not found, 4 access, 5 operation failed,
 * 6 timed out, 7 no connection. */
static const struct err_info infos[ERR_CODES] = {
    [ERR_NONE] = {"none", "No error", 200, 0},
    [ERR_INVALID] = {"invalid_request", "The request cannot be read", 400, 1},
    [ERR_FIELD] = {"invalid_field", "A field has a value that is not allowed", 400, 1},
    [ERR_UNAUTHENTICATED] = {"unauthenticated", "A known token is needed", 401, 4},
    [ERR_FORBIDDEN] = {"forbidden", "This token may not do that", 403, 4},
    [ERR_NOT_FOUND] = {"not_found", "There is no such thing", 404, 3},
    [ERR_NO_ROUTE] = {"no_such_route", "There is no such path", 404, 1},
    [ERR_METHOD] = {"method_not_allowed", "This path does not take this method", 405, 1},
    [ERR_CONFLICT] = {"conflict", "The present state does not allow it", 409, 1},
    [ERR_NAME_TAKEN] = {"name_taken", "The name is taken", 409, 1},
    [ERR_IN_USE] = {"in_use", "Something else still uses it", 409, 1},
    [ERR_NO_CAPACITY] = {"no_capacity", "No host can take it", 409, 1},
    [ERR_SECRET_SHARED] = {"secret_already_shown", "The secret was shown once already", 409, 1},
    [ERR_REVISION_GONE] = {"revision_gone", "The revision is no longer kept", 410, 1},
    [ERR_PRECONDITION] = {"precondition_failed", "It has changed since", 412, 1},
    [ERR_TOO_LARGE] = {"too_large", "The content is too large", 413, 1},
    [ERR_URI_TOO_LONG] = {"uri_too_long", "The request target is too long", 414, 1},
    [ERR_MEDIA_TYPE] = {"unsupported_media_type", "This content type is not taken", 415, 1},
    [ERR_CHECKSUM] = {"checksum_mismatch", "The content is not what was announced", 422, 1},
    [ERR_BAD_IMAGE] = {"bad_image", "The image cannot be used", 422, 1},
    [ERR_IDEMPOTENCY] = {"idempotency_key_reused", "The key belongs to another request", 422, 1},
    [ERR_TOO_MANY_REQUESTS] = {"too_many_requests", "Too many requests", 429, 1},
    [ERR_HEADERS_TOO_LARGE] = {"headers_too_large", "The header lines are too large", 431, 1},
    [ERR_INTERNAL] = {"internal", "Something broke in the cloud itself", 500, 1},
    [ERR_NOT_IMPLEMENTED] = {"not_implemented", "This is not implemented", 501, 1},
    [ERR_UNAVAILABLE] = {"unavailable", "Not at the moment", 503, 1},
    [ERR_HTTP_VERSION] = {"http_version_not_supported", "This version of HTTP is not supported",
                          505, 1},
    [ERR_HOST_TIMEOUT] = {"host_timeout", "The node did not answer in time", 504, 6},
    [ERR_STORAGE_FULL] = {"storage_full", "The storage is full", 507, 1},
    [ERR_OPERATION_FAILED] = {"operation_failed", "The operation failed", 500, 5},
    [ERR_DEADLINE] = {"deadline_passed", "The operation ran out of time", 504, 5},
    [ERR_SUPERSEDED] = {"superseded", "A later request took its place", 409, 5},
    [ERR_CONNECT] = {"no_connection", "No connection to the controller", 503, 7},
    [ERR_USAGE] = {"usage", "The command line cannot be understood", 400, 2},
    [ERR_TIMED_OUT] = {"timed_out", "Stopped waiting", 504, 6},
};

const struct err_info *err_info(enum err_code code)
{
    if ((unsigned)code >= ERR_CODES)
        code = ERR_INTERNAL;
    return &infos[code];
}

enum err_code err_code_from_name(const char *name)
{
    for (int code = ERR_NONE + 1; name && code < ERR_CODES; code++) {
        if (strcmp(infos[code].name, name) == 0)
            return (enum err_code)code;
    }
    return ERR_INTERNAL;
}

/* Copies what fits, cutting no UTF-8 sequence in two. */
static void copy_text(char *to, size_t size, const char *text)
{
    size_t len = utf8_cut(text, strlen(text), size - 1);
    memcpy(to, text, len);
    to[len] = '\0';
}

/* The arguments may point into `err` itself, so the text is made before anything
 * there changes. */
static int fill(struct err *err, enum err_code code, const char *field, const char *format,
                va_list args) __attribute__((format(printf, 4, 0)));
static int fill(struct err *err, enum err_code code, const char *field, const char *format,
                va_list args)
{
    char field_copy[ERR_FIELD_MAX];
    copy_text(field_copy, sizeof(field_copy), field);
    autofree char *text = xvasprintf(format, args);
    err_clear(err);
    err->code = code;
    memcpy(err->field, field_copy, sizeof(err->field));
    copy_text(err->msg, sizeof(err->msg), text);
    return -1;
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, code, "", format, args);
    va_end(args);
    return -1;
}

int err_field(struct err *err, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, ERR_FIELD, field, format, args);
    va_end(args);
    return -1;
}

int err_errno(struct err *err, const char *format, ...)
{
    char reason[128];
    /* There will be descriptors again: whoever waits finds them. */
    enum err_code code = errno == EMFILE || errno == ENFILE ? ERR_UNAVAILABLE : ERR_INTERNAL;
    const char *known = strerror_r(errno, reason, sizeof(reason));
    va_list args;
    va_start(args, format);
    autofree char *text = xvasprintf(format, args);
    va_end(args);
    return err_set(err, code, "%s: %s", text, known);
}

int err_context(struct err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    autofree char *text = xvasprintf(format, args);
    va_end(args);
    autofree char *joined = xasprintf("%s: %s", text, err->msg);
    copy_text(err->msg, sizeof(err->msg), joined);
    return -1;
}

void err_move(struct err *to, struct err *from)
{
    if (to == from)
        return;
    err_clear(to);
    *to = *from;
    from->more = NULL;
    err_clear(from);
}

void err_clear(struct err *err)
{
    free(err->more);
    err->more = NULL;
    err->code = ERR_NONE;
    err->field[0] = '\0';
    err->msg[0] = '\0';
}
