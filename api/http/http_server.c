/* Listeners, connections, start and stop. What happens to a request is in
 * http_server_access.c. */
#include "api/http/http_server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/base/clock.h"
#include "api/base/file.h"
#include "api/base/id.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/http/http_server_impl.h"

/* ---- connections ---- */

static struct http_request *connection_new(struct http_server *server,
                                           struct MHD_Connection *connection)
{
    struct http_request *req = xcalloc(1, sizeof(*req));
    req->server = server;
    req->connection = connection;
    req->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    int space = HTTP_SEND_BUFFER;
    setsockopt(req->fd, SOL_SOCKET, SO_SNDBUF, &space, sizeof(space));
    pthread_mutex_init(&req->lock, NULL);
    http_request_reset(req);
    /* A connection's first request is counted from here. */
    req->phase = HTTP_HEAD;
    req->stays_open = true;
    http_deadline(req, http_now_ms() + http_patience(req, server->request_ms), false);
    http_admit(req);
    http_raw_watch(req, true);
    return req;
}

static void connection_free(struct http_request *req)
{
    http_raw_watch(req, false);
    http_admit_end(req);
    http_debt_settle(req);
    pthread_mutex_destroy(&req->lock);
    free(req);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = connection_new(cls, connection);
        return;
    }
    struct http_request *req = take(*context);
    if (!req)
        return;
    http_malformed_closing(req);
    /* libmicrohttpd forgets to, when one error of a request follows another. */
    if (req->raw_target)
        http_on_completed(cls, connection, &(void *){req}, MHD_REQUEST_TERMINATED_WITH_ERROR);
    shutdown(req->fd, SHUT_WR); /* the end reaches the client even while the socket lingers */
    connection_free(req);
}

void http_sleep(struct http_request *req)
{
    req->wants_sleep = false;
    req->asleep = true;
    /* An upload's memory is in use; any other connection that waits gives its own back. */
    bool upload = req->phase == HTTP_BODY;
    http_deadline(req, upload ? 0 : http_now_ms() + HTTP_TRIM_MS, !upload);
    http_leave_expect(req);
    MHD_suspend_connection(req->connection);
}

bool http_wake(struct http_request *req)
{
    if (!req->asleep)
        return false;
    req->asleep = false;
    /* What stood there meant: trim. An upload goes on at its client's pace. */
    bool upload = req->phase == HTTP_BODY;
    http_deadline(req, upload ? http_now_ms() + req->server->upload_idle_ms : 0, false);
    return true;
}

/* ---- listeners ---- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, address, sizeof(in6));
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

static int bind_and_listen(int fd, const struct sockaddr *address, socklen_t len, const char *text,
                           struct err *err)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, address, len))
        return err_errno(err, "Cannot bind %s", text);
    if (listen(fd, SOMAXCONN))
        return err_errno(err, "Cannot listen on %s", text);
    return 0;
}

static int listen_address(const char *text, const struct addrinfo *found, int *ret_fd,
                          struct err *err)
{
    if (!is_loopback(found->ai_addr))
        return err_field(err, "listen",
                         "\"%s\" is not a loopback address. There is no TLS yet, so the server "
                         "listens on 127.0.0.0/8 and ::1 only.",
                         text);
    autoclose int fd =
        socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (fd < 0)
        return err_errno(err, "Cannot make a socket for %s", text);
    if (bind_and_listen(fd, found->ai_addr, found->ai_addrlen, text, err))
        return -1;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080". */
static int listen_tcp(const char *text, int *ret_fd, struct err *err)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || !colon[1])
        return err_field(err, "listen", "\"%s\" is not an address and a port, like 127.0.0.1:8080.",
                         text);
    bool brackets = text[0] == '[' && colon[-1] == ']';
    autofree char *host = xstrndup(text + brackets, (size_t)(colon - text) - (brackets ? 2 : 0));
    const char *number = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    int failed = getaddrinfo(number, colon + 1, &hints, &found);
    if (failed)
        return err_field(err, "listen", "\"%s\" is not an address and a port, like 127.0.0.1:8080.",
                         text);
    int done = listen_address(text, found, ret_fd, err);
    freeaddrinfo(found);
    return done;
}

/* Removes the socket that a dead server left behind; a living one's stays. */
static int remove_stale(const struct sockaddr_un *address, struct err *err)
{
    struct stat found;
    if (lstat(address->sun_path, &found))
        return errno == ENOENT ? 0 : err_errno(err, "Cannot look at %s", address->sun_path);
    if (!S_ISSOCK(found.st_mode))
        return err_set(err, ERR_CONFLICT,
                       "%s exists and is no socket; remove it or choose another path.",
                       address->sun_path);
    autoclose int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return err_errno(err, "Cannot make a socket");
    if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return err_set(err, ERR_CONFLICT, "Another server listens on %s.", address->sun_path);
    return file_unlink("socket", address->sun_path, err);
}

static int listen_unix(const char *path, int *ret_fd, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return err_field(err, "unix_path", "\"%s\" is too long for a socket: %zu bytes at most.",
                         path, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path));
    if (remove_stale(&address, err))
        return -1;
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "Cannot make a socket for %s", path);
    if (bind_and_listen(fd, (const struct sockaddr *)&address, sizeof(address), path, err))
        return -1;
    if (chmod(path, 0666))
        return err_errno(err, "Cannot open %s to all users", path);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &len))
        return 0;
    struct sockaddr_in in; /* the port stands at the same place in both families */
    memcpy(&in, &address, sizeof(in));
    return ntohs(in.sin_port);
}

/* ---- start ---- */

static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls, (void)connection;
    return strlen(text);
}

static void on_panic(void *cls, const char *file, unsigned int line, const char *reason)
{
    (void)cls;
    log_error("http.panic", "at=%s:%u msg=\"%s\"", file, line, reason ? reason : "");
    abort();
}

static int start_daemon(struct http_server *server, const struct http_settings *settings, int fd,
                        struct err *err)
{
    /* The limits are http_admit()'s; beyond these libmicrohttpd would leave newcomers waiting. */
    unsigned limit = server->counts.limit + HTTP_SPARE_CONNECTIONS;
    struct MHD_OptionItem pool[] = {{MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}};
    if (settings->threads > 1)
        pool[0] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, settings->threads, NULL};
    /* TURBO: read a new connection before asking epoll about it, and leave shutting it down
     * to us, who may have a last word. */
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO, 0, NULL, NULL,
        http_on_access, server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_POOL_BYTES, MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_URI_LOG_CALLBACK,
        http_on_target, server, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (!daemon)
        return err_errno(err, "The HTTP server cannot start its threads");
    server->daemons[server->listeners] = daemon;
    server->listen_fds[server->listeners++] = fd;
    return 0;
}

static int start_listeners(struct http_server *server, const struct http_settings *settings,
                           struct err *err)
{
    if (settings->listen) {
        autoclose int fd = -1;
        if (listen_tcp(settings->listen, &fd, err) || start_daemon(server, settings, fd, err))
            return -1;
        server->port = bound_port(fd);
        fd = -1;
    }
    if (settings->unix_path) {
        autoclose int fd = -1;
        if (listen_unix(settings->unix_path, &fd, err))
            return -1;
        server->unix_path = xstrdup(settings->unix_path);
        if (start_daemon(server, settings, fd, err))
            return -1;
        fd = -1;
    }
    if (server->listeners == 0)
        return err_set(err, ERR_INVALID, "The HTTP server has neither an address nor a socket.");
    return 0;
}

static struct http_server *server_new(const struct http_settings *settings,
                                      const struct http_handlers *handlers)
{
    struct http_server *server = xcalloc(1, sizeof(*server));
    uint64_t seed;
    random_bytes(&seed, sizeof(seed));
    atomic_init(&server->next_id, seed);
    server->handlers = *handlers;
    server->request_ms =
        settings->request_ms ? settings->request_ms : LIMIT_REQUEST_SECONDS * 1000LL;
    server->upload_idle_ms =
        settings->upload_idle_ms ? settings->upload_idle_ms : LIMIT_UPLOAD_IDLE_SECONDS * 1000LL;
    server->max_waiting = settings->max_waiting ? settings->max_waiting : LIMIT_WAITING_BYTES;
    http_limits_set(server, settings);
    server->reaper_event = server->leave_epoll = -1;
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&server->quiet, &clock);
    pthread_condattr_destroy(&clock);
    return server;
}

int http_server_start(const struct http_settings *settings, const struct http_handlers *handlers,
                      struct http_server **ret_server, struct err *err)
{
    struct http_server *server = server_new(settings, handlers);
    MHD_set_panic_func(on_panic, NULL);
    /* Signals belong to the threads that the program chose for them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = http_leave_start(server, err) || http_reaper_start(server, err) ||
                 start_listeners(server, settings, err);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        http_server_stop(server);
        return -1;
    }
    *ret_server = server;
    return 0;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

/* ---- stop ---- */

void http_server_quiesce(struct http_server *server)
{
    for (size_t i = 0; i < server->listeners; i++)
        MHD_quiesce_daemon(server->daemons[i]);
}

static void wake_all(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (struct http_request *req = server->connections; req; req = req->next) {
        pthread_mutex_lock(&req->lock);
        bool waits = req->asleep && req->status == 0;
        pthread_mutex_unlock(&req->lock);
        if (waits)
            http_reply_unavailable(req);
        else
            http_stream_stop(req);
    }
    pthread_mutex_unlock(&server->lock);
}

/* Gives replies a moment to go out; a client that does not read its own is cut off. */
static void wait_until_quiet(struct http_server *server)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 2;
    pthread_mutex_lock(&server->lock);
    while (atomic_load(&server->busy) > 0)
        if (pthread_cond_timedwait(&server->quiet, &server->lock, &until))
            break;
    pthread_mutex_unlock(&server->lock);
}

void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    atomic_store(&server->stopping, true);
    http_server_quiesce(server);
    wake_all(server);
    wait_until_quiet(server);
    wake_all(server);
    for (size_t i = 0; i < server->listeners; i++) {
        MHD_stop_daemon(server->daemons[i]);
        close(server->listen_fds[i]);
    }
    http_reaper_stop(server);
    http_leave_stop(server);
    if (server->unix_path) {
        auto_err struct err err = {0};
        if (file_unlink("socket", server->unix_path, &err))
            log_warn("http.socket", "msg=\"%s\"", err.msg);
        free(server->unix_path);
    }
    pthread_cond_destroy(&server->quiet);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
