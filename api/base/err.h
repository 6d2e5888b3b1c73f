/* Errors: one struct that every fallible function fills, and one table that
 * maps a code to its wire name, HTTP status and cloudctl exit code.
 *
 * A function that can fail returns 0 or -1 and fills `struct err`, its last
 * argument, which is never NULL. The error is returned or logged, never both.
 * The message is a sentence for a person: what was wrong, where, what to do. */
#ifndef MINICLOUD_API_BASE_ERR_H
#define MINICLOUD_API_BASE_ERR_H

#include <stddef.h>

enum err_code {
    ERR_NONE = 0,
    ERR_INVALID,           /* 400 invalid_request: malformed text, framing, query */
    ERR_FIELD,             /* 400 invalid_field: `field` names it, the message the limit */
    ERR_UNAUTHENTICATED,   /* 401 unauthenticated: no token, or one that is not known */
    ERR_FORBIDDEN,         /* 403 forbidden: the role does not allow this action */
    ERR_NOT_FOUND,         /* 404 not_found: missing, or not the caller's to see */
    ERR_NO_ROUTE,          /* 404 no_such_route */
    ERR_METHOD,            /* 405 method_not_allowed */
    ERR_CONFLICT,          /* 409 conflict: the state of the resource does not allow it */
    ERR_NAME_TAKEN,        /* 409 name_taken */
    ERR_IN_USE,            /* 409 in_use: something else still points at it */
    ERR_NO_CAPACITY,       /* 409 no_capacity: `more` says which rule said no on each host */
    ERR_SECRET_SHARED,     /* 409 secret_already_shown: a secret is never replayed */
    ERR_REVISION_GONE,     /* 410 revision_gone: list again, then watch from there */
    ERR_PRECONDITION,      /* 412 precondition_failed: If-Match named an older state */
    ERR_TOO_LARGE,         /* 413 too_large */
    ERR_URI_TOO_LONG,      /* 414 uri_too_long */
    ERR_MEDIA_TYPE,        /* 415 unsupported_media_type */
    ERR_CHECKSUM,          /* 422 checksum_mismatch */
    ERR_BAD_IMAGE,         /* 422 bad_image: the header reader refused it, and says why */
    ERR_IDEMPOTENCY,       /* 422 idempotency_key_reused: same key, another body */
    ERR_TOO_MANY_REQUESTS, /* 429 too_many_requests */
    ERR_HEADERS_TOO_LARGE, /* 431 headers_too_large */
    ERR_INTERNAL,          /* 500 internal: a defect or a broken disk; the log says more */
    ERR_NOT_IMPLEMENTED,   /* 501 not_implemented */
    ERR_UNAVAILABLE,       /* 503 unavailable: stopping, or a bound was reached; try again */
    ERR_HOST_TIMEOUT,      /* 504 host_timeout: the node did not answer in time */
    ERR_HTTP_VERSION,      /* 505 http_version_not_supported */
    ERR_STORAGE_FULL,      /* 507 storage_full */
    /* Reasons of an operation that ended failed; they also serve as problem codes. */
    ERR_OPERATION_FAILED, /* operation_failed: the host said why */
    ERR_DEADLINE,         /* deadline_passed: the operation ended, the desire did not */
    ERR_SUPERSEDED,       /* superseded: a later request changed what is desired */
    /* Of clients only, never on the wire. */
    ERR_CONNECT,   /* no connection to the controller */
    ERR_USAGE,     /* a command line that cannot be meant */
    ERR_TIMED_OUT, /* the client stopped waiting */
    ERR_CODES
};

enum { ERR_FIELD_MAX = 128, ERR_MSG_MAX = 1024 };

struct err {
    enum err_code code;
    char field[ERR_FIELD_MAX]; /* JSON pointer or parameter name; "" when none fits */
    char msg[ERR_MSG_MAX];
    char *more; /* owned: JSON text of an object whose members extend the problem, or NULL */
};

/* One row of the table. `exit_code` is cloudctl's. */
struct err_info {
    const char *name;
    const char *title;
    int status;
    int exit_code;
};

const struct err_info *err_info(enum err_code code);
/* ERR_INTERNAL when no code has this wire name. */
enum err_code err_code_from_name(const char *name);

/* Fill `err` (replacing what it held) and return -1, so that a caller can
 * write `return err_set(err, ...)`. */
int err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int err_field(struct err *err, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* ERR_INTERNAL with strerror(errno) behind the text. */
int err_errno(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts text before the message: what was being done. Returns -1. */
int err_context(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void err_move(struct err *to, struct err *from);
/* Frees `more` and empties the rest; a kilobyte of text is not worth zeroing. */
void err_clear(struct err *err);
#define auto_err __attribute__((cleanup(err_clear)))

#endif
