/* Replies that clients have not taken yet, and the memory that they hold: bounded in all. Where
 * the bound is reached those who have kept a reply waiting for longest are cut off, and when that
 * is not enough a new large reply is a 503. What is in a socket's buffer is the kernel's, and
 * bounded for each connection (HTTP_SEND_BUFFER); files cost no memory, streams count themselves.
 */
#include <sys/socket.h>

#include "api/http/http_server_impl.h"

/* Of the whole process, as memory is. */
static _Atomic int64_t waiting;

int64_t http_debt(void)
{
    return atomic_load_explicit(&waiting, memory_order_relaxed);
}

void http_debt_add(int64_t bytes)
{
    atomic_fetch_add_explicit(&waiting, bytes, memory_order_relaxed);
}

bool http_debt_allows(const struct http_server *server, int64_t bytes)
{
    return http_debt() + bytes <= server->max_waiting;
}

void http_debt_settle(struct http_request *req)
{
    /* Either who sends or who cuts settles it. */
    if (!atomic_load_explicit(&req->debt, memory_order_relaxed))
        return;
    int64_t bytes = atomic_exchange(&req->debt, 0);
    http_debt_add(-bytes);
    http_freed(req->server, bytes);
}

/* Whose large reply goes out since the earliest time: of those with bytes of their own, or of
 * those who keep a shared reply from being freed. */
static struct http_request *slowest(struct http_server *server, bool own)
{
    struct http_request *found = NULL;
    int64_t first = INT64_MAX;
    for (struct http_request *req = server->oldest; req; req = req->prev) {
        bool owes = atomic_load_explicit(&req->debt, memory_order_relaxed) > 0;
        int64_t since = atomic_load_explicit(&req->sends_ms, memory_order_relaxed);
        if (owes != own || since >= first || req->cut ||
            atomic_load_explicit(&req->use, memory_order_relaxed) != HTTP_SENDS)
            continue;
        first = since;
        found = req;
    }
    return found;
}

/* False: there is nobody to be cut off. */
static bool cut_slowest(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct http_request *req = slowest(server, true);
    if (!req)
        req = slowest(server, false);
    if (req) {
        req->cut = true;
        server->counts.cut++;
        shutdown(req->fd, SHUT_RDWR); /* libmicrohttpd sees it and frees the reply */
        http_debt_settle(req);
    }
    pthread_mutex_unlock(&server->lock);
    return req != NULL;
}

bool http_debt_take(struct http_server *server, int64_t bytes)
{
    /* However large, a reply may be given when there are few others. */
    int64_t room = server->max_waiting - bytes;
    if (room < server->max_waiting / 2)
        room = server->max_waiting / 2;
    while (http_debt() > room)
        if (!cut_slowest(server))
            return false;
    http_debt_add(bytes);
    return true;
}
