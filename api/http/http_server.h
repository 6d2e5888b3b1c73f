/* The HTTP server: the only code that includes <microhttpd.h>.
 *
 * Framing is judged here, before anything else sees the request, because
 * Debian's libmicrohttpd 0.9.75 takes two Content-Lengths, Content-Length with
 * Transfer-Encoding, a space before the colon and cuts a URL at %00. After a
 * framing error or an unread body the connection is closed. What libmicrohttpd refuses by
 * itself gets a problem document like all else (http_server_malformed.c).
 *
 * Threads: each listener has one epoll thread (a setting for more) on which
 * `handle` runs. A handler answers at once with http_reply(), or calls
 * http_suspend() and lets any thread call http_reply() later; a suspended
 * connection holds no thread. Requests live until their reply is sent or the
 * connection ends; `on_close` tells a handler's state to let go. */
#ifndef MINICLOUD_API_HTTP_HTTP_SERVER_H
#define MINICLOUD_API_HTTP_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct http_server;
struct http_request;

struct http_handlers {
    void *ctx;
    /* The head is complete; no body was read yet. Decides what becomes of the body by
     * calling http_accept_body() or http_accept_upload(), or answers at once.
     * A request that has no body and is not answered here comes to `handle`. */
    void (*begin)(void *ctx, struct http_request *req);
    /* The whole request is there (the body of an upload has gone to its sink). */
    void (*handle)(void *ctx, struct http_request *req);
    /* The client of a request that was suspended, and has no reply yet, has closed its side of
     * the connection, or is gone: nobody waits for the reply, which has to be given all the
     * same, at once or in time. Any thread, with the connection locked: tell whoever will
     * reply, but call nothing of this file. May be NULL. */
    void (*left)(void *ctx, struct http_request *req);
    /* The reply was sent or the connection ended, in any case exactly once for each `begin`.
     * `status` 0: ended without a reply. */
    void (*end)(void *ctx, struct http_request *req, int status, int64_t elapsed_ns);
};

struct http_settings {
    const char *listen;       /* "127.0.0.1:8080", "[::1]:8080"; NULL: none. Loopback only. */
    const char *unix_path;    /* Unix socket, NULL: none; mode 0666: tokens decide */
    unsigned threads;         /* per listener, 1 by default */
    unsigned max_connections; /* in all; 0: LIMIT_CONNECTIONS; see http_server_stats */
    int64_t max_waiting;      /* bytes of replies not yet taken; 0: LIMIT_WAITING_BYTES */
    int64_t request_ms;       /* 0: LIMIT_REQUEST_SECONDS */
    int64_t upload_idle_ms;   /* 0: LIMIT_UPLOAD_IDLE_SECONDS */
};

int http_server_start(const struct http_settings *settings, const struct http_handlers *handlers,
                      struct http_server **ret_server, struct err *err);
/* Connections have limits in all, for each peer (an address, or the user at the other end of
 * the Unix socket), for each owner of tokens and for those that have not yet shown a token. At a
 * limit the oldest that nobody waits for gives way, else the new one is answered 503. */
struct http_stats {
    unsigned limit, peer_limit, owner_limit, unproved_limit;
    unsigned open, unproved;
    uint64_t refused;      /* connections answered 503 because a limit was reached */
    uint64_t ousted;       /* connections closed to make room for another */
    uint64_t cut;          /* connections closed because their replies were taken too slowly */
    uint64_t trims;        /* how often memory that was free was given back */
    int64_t waiting_bytes; /* of replies that were not taken yet, beside what sockets hold */
};
void http_server_stats(struct http_server *server, struct http_stats *ret_stats);
/* The TCP port in use (for listen port 0). */
int http_server_port(const struct http_server *server);
/* No new connections; open ones go on. */
void http_server_quiesce(struct http_server *server);
/* Answers what is still suspended with ERR_UNAVAILABLE, ends streams, gives replies two
 * seconds to go out, closes, frees. No other thread may touch a request afterwards. */
void http_server_stop(struct http_server *server);

/* ---- the request ---- */

/* HEAD is given as GET; its reply goes out without the body. */
const char *http_method(const struct http_request *req);
/* Path, percent-decoded by segment and checked (no %00, no %2F, valid UTF-8, no
 * empty, "." or ".." segment). */
const char *http_path(const struct http_request *req);
/* Decoded query parameter; NULL when absent. Each may stand once. */
const char *http_query(const struct http_request *req, const char *name);
/* n-th parameter, for refusing unknown ones; false at the end. */
bool http_query_at(const struct http_request *req, size_t index, const char **ret_name,
                   const char **ret_value);
/* Header by name (any case); NULL when absent. Those that we read may stand once (the list
 * is in http_server_request.c); of others this gives the first. */
const char *http_header(const struct http_request *req, const char *name);
/* The JSON body; "" when there is none. Valid until the request ends. */
const char *http_body(const struct http_request *req, size_t *ret_len);
/* Declared Content-Length; -1 when chunked or absent. */
int64_t http_content_length(const struct http_request *req);
/* Whether there is one, however framed; a Content-Length of 0 is none. */
bool http_has_body(const struct http_request *req);
const char *http_request_id(const struct http_request *req); /* 16 hex digits, made here */
/* The caller's state, freed by the caller in `end`. */
void http_set_data(struct http_request *req, void *data);
void *http_data(const struct http_request *req);
/* In `begin`: the request came with a token that is good, so that its connection counts from
 * now on as one of somebody who is known. `owner`: who shares a limit, 0: nobody. False: the
 * owner has too many connections, and none of them gives way; the caller refuses the request. */
bool http_prove(struct http_request *req, uint64_t owner);

/* In `begin` only: collect up to `limit` bytes in memory (413 beyond). */
void http_accept_body(struct http_request *req, size_t limit);
/* In `begin` only: give body bytes to `sink` as they come. The sink runs on the
 * connection's thread: it takes all it is given, or some, and returns how many; having
 * taken 0 (or less than all) it must have called http_suspend() and resumes by
 * http_continue() when it can take more. -1: the upload failed and the sink has
 * already called http_reply_err(). */
typedef long http_sink(void *ctx, struct http_request *req, const char *data, size_t len);
void http_accept_upload(struct http_request *req, http_sink *sink, void *ctx);
void http_continue(struct http_request *req);

/* The connection waits without a thread until http_reply*() or http_continue(). To be
 * called from within `begin`, `handle` or a sink, and before any other thread learns of the
 * request. http_continue() after `begin` goes on to the body, after `handle` calls it again. */
void http_suspend(struct http_request *req);

/* ---- the reply: exactly one per request, from any thread ---- */

struct http_reply {
    int status;
    const char *content_type;             /* NULL: application/json when there is a body */
    const char *etag;                     /* unquoted; NULL: none */
    const char *location;                 /* NULL: none */
    const char *extra_name, *extra_value; /* one more header, NULL: none */
};

/* Takes over `body` (may be empty; the buf is empty afterwards). When clients have left too many
 * bytes waiting, a large one becomes a 503. */
void http_reply(struct http_request *req, const struct http_reply *reply, struct buf *body);
/* The same reply for many connections, counted by reference. It carries no X-Request-Id. */
struct http_shared;
struct http_shared *http_shared_new(const struct http_reply *reply, struct buf *body);
void http_shared_unref(struct http_shared *shared);
void http_reply_shared(struct http_request *req, struct http_shared *shared);
/* application/problem+json. */
void http_reply_err(struct http_request *req, const struct err *err);
/* With one more header: a 405 must say Allow. */
void http_reply_err_with(struct http_request *req, const struct err *err, const char *name,
                         const char *value);
/* Sends a file's bytes; takes over `fd`. `size` is the length sent. */
void http_reply_file(struct http_request *req, const struct http_reply *reply, int fd,
                     int64_t size);

/* A reply that stays open (server-sent events): what is written goes out as it
 * comes. The stream is counted by reference; writing to one whose client has left
 * returns false, as does exceeding 1 MiB of unsent bytes (the client is too slow and
 * is cut off). */
struct http_stream;
struct http_stream *http_reply_stream(struct http_request *req, const struct http_reply *reply);
bool http_stream_write(struct http_stream *stream, const void *data, size_t len);
/* Ends the reply and drops the caller's reference. */
void http_stream_end(struct http_stream *stream);

#endif
