/* Private to http_server*.c: what the server keeps for a connection, and the
 * calls between those files. No other file includes this or <microhttpd.h>.
 *
 * There is one `struct http_request` for each connection, used again for each
 * request on it, so that a request costs no allocation here. Two kinds of
 * threads touch it: the connection's own (libmicrohttpd's, which runs all
 * callbacks) and whichever thread answers. `lock` guards what both use; what is
 * only the connection's own is marked so. While `asleep` libmicrohttpd leaves
 * the connection alone, and whoever sets `asleep` to false must resume it. */
#ifndef MINICLOUD_API_HTTP_HTTP_SERVER_IMPL_H
#define MINICLOUD_API_HTTP_HTTP_SERVER_IMPL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/http/http_server.h"

enum {
    /* The memory that libmicrohttpd gives a connection for a request's head, its
     * reply's head and its read buffer. It holds the largest head that we accept,
     * so that our own limits speak first (beyond this size libmicrohttpd refuses it:
     * http_server_malformed.c), and no more: the whole of it is zeroed for each request
     * on a connection that is kept alive. */
    HTTP_POOL_BYTES = 24 * 1024,
    HTTP_PARAMS_MAX = 32,         /* query parameters of one request */
    HTTP_TARGET_INLINE = 128,     /* a target longer than this is allocated */
    HTTP_KEEPALIVE_SECONDS = 120, /* a connection between two requests */
    /* A client must take its reply at this pace, besides the time an upload may stand still. */
    HTTP_SEND_BYTES_PER_MS = 16,
    HTTP_TRIM_MS = 2000,             /* asleep for this long: its memory is trimmed */
    HTTP_STREAM_BYTES = 1024 * 1024, /* unsent bytes of a stream */
    HTTP_LISTENERS = 2,
    /* Connections beyond the limit that may be open for the moment that their 503 takes. */
    HTTP_SPARE_CONNECTIONS = 64,
    HTTP_PEER_BUCKETS = 64,
    /* What the kernel may hold of a reply, and of those to pipelined requests behind it; it
     * takes twice as much for its own. A client's next request waits until the rest is taken. */
    HTTP_SEND_BUFFER = 64 * 1024,
    HTTP_SMALL_REPLY = 4 * 1024,   /* not counted: connections are */
    HTTP_STREAM_SHARE = 16 * 1024, /* unsent bytes of a stream when there are too many in all */
    /* After so much was freed, of connections, bodies and replies, memory is given back. */
    HTTP_TRIM_BYTES = 256 * HTTP_POOL_BYTES,
};

enum http_phase {
    HTTP_IDLE,   /* between requests */
    HTTP_HEAD,   /* the request line was seen, headers follow */
    HTTP_BODY,   /* `begin` was called; body bytes follow, if any */
    HTTP_HANDLE, /* the whole request is there */
    HTTP_SENDING,
};

/* Of a connection in the set of http_server_leave.c. */
enum http_leave {
    HTTP_LEAVE_UNKNOWN, /* it is not in there */
    HTTP_LEAVE_EXPECTED,
    HTTP_LEAVE_TOLD, /* and will not be told again */
};

/* Where the framing of a connection's bytes stands, and what was wrong with it. */
enum http_raw_state {
    HTTP_RAW_START, /* before a request line */
    HTTP_RAW_EMPTY_LF,
    HTTP_RAW_TEXT, /* in a line of a head or of trailer fields */
    HTTP_RAW_LINE_LF,
    HTTP_RAW_LINE, /* at the beginning of the next one */
    HTTP_RAW_LAST_LF,
    HTTP_RAW_HEAD_DONE, /* what follows is not known yet */
    HTTP_RAW_BODY,      /* `left` bytes of one that has a Content-Length */
    HTTP_RAW_CHUNK,     /* at the beginning of a chunk's line */
    HTTP_RAW_DIGITS,
    HTTP_RAW_EXTENSION,
    HTTP_RAW_CHUNK_LF,
    HTTP_RAW_DATA, /* `left` bytes of a chunk */
    HTTP_RAW_DATA_CR,
    HTTP_RAW_DATA_LF,
};

enum http_raw_fault {
    HTTP_RAW_GOOD,
    HTTP_RAW_NUL,
    HTTP_RAW_CONTROL,
    HTTP_RAW_LF,
    HTTP_RAW_CR,
    HTTP_RAW_FOLDED,
    HTTP_RAW_EMPTY,
    HTTP_RAW_SIZE,
    HTTP_RAW_HUGE,
    HTTP_RAW_LONG,
    HTTP_RAW_END,
};

struct http_raw {
    enum http_raw_state state;
    enum http_raw_fault fault; /* the first; nothing behind it is looked at */
    bool headers;              /* behind the request line */
    bool trailer;              /* in trailer fields */
    bool ahead;                /* in a request that libmicrohttpd has not come to */
    bool fault_ahead;          /* likewise, the fault */
    unsigned count;            /* of empty lines, or of a chunk's line */
    size_t head_size;
    size_t unread;     /* bytes behind the head, not looked at */
    uint64_t left;     /* of a body or a chunk */
    uint64_t body;     /* bytes in chunks so far */
    uint64_t fault_at; /* the same, when the fault came */
};

/* What the threads that look for a connection to close may know of another thread's. */
enum http_use {
    HTTP_RESTS, /* no request, or a part of a head */
    HTTP_WORKS, /* a request is being worked on, or its body comes */
    HTTP_SENDS, /* its reply goes out */
};

enum http_body_mode { HTTP_BODY_NONE, HTTP_BODY_MEMORY, HTTP_BODY_UPLOAD };

struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    int fd;
    struct http_request *prev, *next; /* all connections; guarded by server->lock */
    /* CLOCK_MONOTONIC milliseconds; 0: none. At that time the reaper shuts the
     * connection, or trims it when it is asleep. */
    _Atomic int64_t deadline_ms;
    _Atomic int use;          /* enum http_use */
    _Atomic int64_t sends_ms; /* since when, while in use for HTTP_SENDS */
    _Atomic int64_t debt;     /* bytes of its reply that count as waiting */
    /* Guarded by server->lock; `proved` and `refused` are written on the connection's own
     * thread only, which may read them without. */
    struct http_peer *peer;
    struct http_peer *owner; /* NULL: none, or one without a limit */
    bool proved;             /* a good token was seen */
    bool cut;                /* shut since its reply was not taken */
    bool ousted;             /* shut to make room; counted no longer */
    bool refused;            /* answered 503 because of a limit */

    pthread_mutex_t lock;
    bool wants_sleep; /* http_suspend() was called */
    bool asleep;
    struct MHD_Response *response;      /* the reply, until it is queued */
    struct http_shared *response_owner; /* when it is a shared one */
    int status;                         /* of the reply; 0: none yet */
    const char *reply_body;     /* what `response` owns, for http_reply_raw(); NULL: a file */
    int64_t reply_size;         /* -1: not known, a stream */
    struct http_stream *stream; /* while the reply is one */
    enum http_leave leave;

    /* The connection's own. */
    enum http_phase phase;
    struct http_raw raw;
    bool over;  /* the last word was said: nothing that comes is looked at */
    bool begun; /* `begin` was called, so `end` is owed */
    bool has_body;
    bool shared;        /* http_suspend() was called: other threads may know of the request */
    bool slept;         /* likewise, during the last callback */
    bool used;          /* the connection has brought a request line */
    bool keeps;         /* libmicrohttpd keeps the connection after the reply, for certain */
    bool stays_open;    /* nothing but the client's leaving or a bad request line can end it now */
    int refused_status; /* of libmicrohttpd's own refusal; 0: none */
    enum http_body_mode body_mode;
    size_t body_limit;
    struct buf body;
    http_sink *sink;
    void *sink_ctx;
    void *data; /* the caller's */
    int64_t content_length;
    int64_t uploaded; /* bytes of the body that were taken */
    int64_t started_ns;
    const char *raw_target; /* in libmicrohttpd's memory, until the head is complete */
    size_t raw_target_len;
    const char *head; /* start of the head in libmicrohttpd's memory; NULL: not proved */
    size_t head_size;
    const char *method;
    char *target; /* decoded: path NUL (name NUL value NUL)* */
    size_t params;
    char inline_target[HTTP_TARGET_INLINE];
    char id[17];
};

/* Who connections come from: an address, a user by the Unix socket, or an owner of tokens.
 * Guarded by the server's lock; there as long as it has connections. */
struct http_peer {
    struct http_peer *next; /* in its bucket */
    int family;             /* AF_UNSPEC: an owner */
    unsigned char id[16];
    unsigned connections, unproved;
    unsigned refs; /* these, and those that are about to be closed */
};

struct http_linger {
    int fd;
    int64_t until_ms;
};

struct http_server {
    struct http_handlers handlers;
    int64_t request_ms, upload_idle_ms, unproved_ms;
    int64_t max_waiting;
    atomic_bool trim_due; /* the reaper was woken to give memory back */
    struct MHD_Daemon *daemons[HTTP_LISTENERS];
    int listen_fds[HTTP_LISTENERS];
    size_t listeners;
    int port;
    char *unix_path;
    _Atomic uint64_t next_id;
    atomic_bool stopping;

    pthread_mutex_t lock;
    pthread_cond_t quiet;                      /* `busy` became 0 while stopping */
    struct http_request *connections, *oldest; /* newest first */
    struct http_peer *peers[HTTP_PEER_BUCKETS];
    struct http_stats counts;
    unsigned ousting; /* connections shut and not yet closed: part of counts.open */
    atomic_int busy;  /* requests begun and not ended */

    /* The reaper's. */
    pthread_t reaper;
    bool reaper_runs;
    atomic_bool reaper_stop;
    int reaper_event;                /* eventfd */
    int leave_epoll;                 /* sockets of connections that sleep, or did */
    _Atomic int64_t reaper_wakes_ms; /* when it will look again */
    int64_t next_trim_ms;            /* its own: memory is not given back before */
    struct http_linger lingers[32];  /* guarded by `lock` */
    size_t linger_count;
};

/* ---- http_server_target.c ---- */

/* Takes the raw request target. -1: it is bad, and the reply says so. */
int http_target_parse(struct http_request *req, const char *raw, size_t len);
/* host[:port], and no user in front of it. */
bool http_is_authority(const char *text, size_t len);

/* ---- http_server_request.c ---- */

/* Judges the framing of a complete head. -1 as above. */
int http_head_check(struct http_request *req, const char *method, const char *version);
/* The reply to a request that breaks a rule of these two files. Returns -1. Out of line: a
 * struct err is large, and most requests need none. */
int http_refuse(struct http_request *req, enum err_code code, const char *format, ...)
    __attribute__((cold, format(printf, 3, 4)));

/* ---- http_server_access.c: libmicrohttpd's callbacks ---- */

void *http_on_target(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_on_access(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *data_len, void **context);
void http_on_completed(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode how);

void http_request_reset(struct http_request *req);
/* A request line was read, or could not be. */
void http_request_started(struct http_request *req);

/* ---- http_server_admit.c ---- */

void http_limits_set(struct http_server *server, const struct http_settings *settings);
/* A new connection: counted, or (false) answered 503 and only waiting for its end. */
bool http_admit(struct http_request *req);
/* Its end: no longer counted. */
void http_admit_end(struct http_request *req);
/* How long this connection may take for a head, or be quiet between two requests. */
int64_t http_patience(const struct http_request *req, int64_t proved_ms);

/* ---- http_server_debt.c ---- */

/* Bytes that wait in all. */
int64_t http_debt(void);
void http_debt_add(int64_t bytes);
bool http_debt_allows(const struct http_server *server, int64_t bytes);
/* Adds a reply's; false: too much waits already, and nobody could be cut off for it. */
bool http_debt_take(struct http_server *server, int64_t bytes);
/* The request's reply waits no longer. */
void http_debt_settle(struct http_request *req);

/* ---- http_server_malformed.c ---- */

/* MHD_queue_response(), which no file but that one may call. */
enum MHD_Result http_queue_response(struct MHD_Connection *connection, unsigned status,
                                    struct MHD_Response *response);
/* libmicrohttpd is about to close the connection's socket. */
void http_malformed_closing(struct http_request *req);

/* ---- http_server_scan.c ---- */

/* Follows the framing up to the end of these bytes, of a head, or to a fault. */
void http_scan(struct http_raw *raw, const void *bytes, size_t len);
/* What comes next is a request line, or a chunk. */
void http_scan_head(struct http_raw *raw);
void http_scan_chunk(struct http_raw *raw);
void http_scan_explain(const struct http_raw *raw, struct err *err);

/* ---- http_server_raw.c ---- */

/* Looks at what libmicrohttpd receives for this connection, or no longer. */
void http_raw_watch(struct http_request *req, bool on);
/* The head was judged and says what follows. -1: its bytes are no good; answered. */
int http_raw_framed(struct http_request *req);
/* Whether what libmicrohttpd works on now has a fault; answered then. */
bool http_raw_refused(struct http_request *req);
/* Whether the body has a fault behind as many bytes. */
bool http_raw_reached(const struct http_request *req, uint64_t delivered);
/* The request has ended: what was ahead is now at hand. `goes_on`: the connection does too. */
void http_raw_next(struct http_request *req, bool goes_on);

/* ---- http_server_reply.c ---- */

/* Sends a stored reply over the socket by ourselves: libmicrohttpd takes none between
 * the head and the end of a body. The connection must be closed afterwards. */
void http_reply_raw(struct http_request *req);
/* Lets go of a response: a shared one by its owner's count. */
void http_drop_response(struct MHD_Response *response, struct http_shared *owner);
/* Gives a built response to the request and wakes it; drops it if there is one already. */
void http_answer(struct http_request *req, struct MHD_Response *response, int status,
                 const char *body, int64_t size);
void http_add_headers(struct http_request *req, struct MHD_Response *response,
                      const struct http_reply *reply, bool has_body);
void http_reply_unavailable(struct http_request *req);

/* ---- http_server_stream.c ---- */

void http_stream_stop(struct http_request *req);

/* ---- http_server_reaper.c ---- */

int http_reaper_start(struct http_server *server, struct err *err);
void http_reaper_stop(struct http_server *server);
int64_t http_now_ms(void);
/* 0 clears it. `soon`: it may lie before the next time that the reaper looks. */
void http_deadline(struct http_request *req, int64_t at_ms, bool soon);
/* Keeps the socket open after libmicrohttpd closed it and reads what the client
 * still sends, for a short time: closing with bytes unread would reset the connection,
 * and the client might never see the reply. */
void http_linger(struct http_request *req);

/* So much was freed. Much together leaves memory free that the heap would keep. */
void http_freed(struct http_server *server, int64_t bytes);
/* The same where no server is at hand: it is given back with what is freed next. */
void http_freed_later(int64_t bytes);

/* ---- http_server_leave.c ---- */

int http_leave_start(struct http_server *server, struct err *err);
void http_leave_stop(struct http_server *server);
/* With `lock` held: from now on the client's leaving will be seen. */
void http_leave_expect(struct http_request *req);
/* With the server's lock held, before the socket is closed. */
void http_leave_forget(struct http_request *req);
/* Tells those of the clients that have left. */
void http_leave_look(struct http_server *server);

/* ---- http_server.c ---- */

/* With `lock` held, on the connection's own thread: suspends it. */
void http_sleep(struct http_request *req);
/* With `lock` held: true when the caller must resume the connection. */
bool http_wake(struct http_request *req);

#endif
