/* Clients that leave while their connection sleeps. libmicrohttpd does not look at the socket
 * of a suspended connection, so that one would be asleep until somebody answers it; a long
 * poll's place would be taken by nobody for a minute. These sockets are in an epoll set of our
 * own, which the reaper watches: a connection that sleeps costs nothing there, and one system
 * call in its life, since it stays in the set when it wakes.
 *
 * A client that closes only its sending side looks the same as one that has gone, and is
 * treated the same, as libmicrohttpd does with one that it sees: whoever wants the answer keeps
 * the connection open. A pipelined request is none of this: its bytes stay where they are until
 * libmicrohttpd reads them. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/base/log.h"
#include "api/http/http_server_impl.h"

enum { LEAVERS_AT_ONCE = 64 };

int http_leave_start(struct http_server *server, struct err *err)
{
    server->leave_epoll = epoll_create1(EPOLL_CLOEXEC);
    return server->leave_epoll < 0 ? err_errno(err, "epoll") : 0;
}

void http_leave_stop(struct http_server *server)
{
    if (server->leave_epoll >= 0)
        close(server->leave_epoll);
}

/* Told once, of whoever left already too: then it has to be asked for again. */
void http_leave_expect(struct http_request *req)
{
    if (req->leave == HTTP_LEAVE_EXPECTED)
        return;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data = {.ptr = req}};
    int how = req->leave == HTTP_LEAVE_TOLD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(req->server->leave_epoll, how, req->fd, &event) == 0)
        req->leave = HTTP_LEAVE_EXPECTED;
    else
        log_warn("http.leave", "reason=\"%s\"", strerror(errno)); /* it goes unseen, no more */
}

void http_leave_forget(struct http_request *req)
{
    if (req->leave != HTTP_LEAVE_UNKNOWN)
        epoll_ctl(req->server->leave_epoll, EPOLL_CTL_DEL, req->fd, NULL);
}

static void leave(struct http_request *req)
{
    struct http_server *server = req->server;
    pthread_mutex_lock(&req->lock);
    req->leave = HTTP_LEAVE_TOLD;
    /* Awake, libmicrohttpd sees it by itself; an upload that sleeps goes on in a moment. */
    bool sleeps = req->asleep && req->phase != HTTP_BODY;
    if (sleeps && req->status == 0 && server->handlers.left)
        server->handlers.left(server->handlers.ctx, req);
    bool streams = sleeps && req->stream;
    pthread_mutex_unlock(&req->lock);
    if (streams)
        http_stream_stop(req);
}

/* With the server's lock no connection goes, so that none of these is one that went. */
void http_leave_look(struct http_server *server)
{
    struct epoll_event events[LEAVERS_AT_ONCE];
    int count;
    do {
        pthread_mutex_lock(&server->lock);
        count = epoll_wait(server->leave_epoll, events, LEAVERS_AT_ONCE, 0);
        for (int i = 0; i < count; i++)
            leave(events[i].data.ptr);
        pthread_mutex_unlock(&server->lock);
    } while (count == LEAVERS_AT_ONCE);
}
