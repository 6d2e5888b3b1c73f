/* How many connections there may be, and which one gives way to another: limits in all, for
 * each peer and for those that have not shown a token. None of them exceeds what RLIMIT_NOFILE
 * allows, so that connections never take the descriptors that the rest of the program lives on.
 * Knows nothing of what a token is. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "api/base/mem.h"
#include "api/http/http_server_impl.h"
#include "api/http/problem.h"

/* ---- limits ---- */

/* Each connection may come to hold a file beside its socket (a download, an upload). */
static unsigned fitting(unsigned wanted)
{
    struct rlimit files = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &files);
    rlim_t least = LIMIT_RESERVED_FILES + 2 * LIMIT_CONNECTIONS_LEAST;
    rlim_t room = ((files.rlim_cur < least ? least : files.rlim_cur) - LIMIT_RESERVED_FILES) / 2;
    return room < wanted ? (unsigned)room : wanted;
}

void http_limits_set(struct http_server *server, const struct http_settings *settings)
{
    struct http_stats *counts = &server->counts;
    counts->limit =
        fitting(settings->max_connections ? settings->max_connections : LIMIT_CONNECTIONS);
    /* A quarter is left to all others, whoever comes in numbers. */
    counts->peer_limit = counts->limit - counts->limit / 4;
    /* A share of nothing would shut all out, for ever. */
    counts->owner_limit = counts->limit < 8 ? 1 : counts->limit / 8;
    counts->unproved_limit = counts->limit < 4 ? 1 : counts->limit / 4;
    server->unproved_ms = LIMIT_UNPROVED_SECONDS * 1000LL;
    if (server->request_ms < server->unproved_ms)
        server->unproved_ms = server->request_ms;
}

int64_t http_patience(const struct http_request *req, int64_t proved_ms)
{
    int64_t unproved_ms = req->server->unproved_ms;
    return req->proved || proved_ms < unproved_ms ? proved_ms : unproved_ms;
}

/* ---- peers ---- */

/* A host owns all of 127.0.0.0/8 and, further away, at least a /64. */
static void name_address(const struct sockaddr *address, struct http_peer *peer)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof(in));
        memcpy(peer->id, &in.sin_addr, peer->id[0] == 127 ? 1 : sizeof(in.sin_addr));
        if (peer->id[0] == 127)
            memset(peer->id + 1, 0, 3);
    } else {
        memcpy(&in6, address, sizeof(in6));
        memcpy(peer->id, &in6.sin6_addr, IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) ? 16 : 8);
    }
}

/* Who is at the other end. By the Unix socket come agents from other network namespaces as well
 * as people of this host, and the user is what tells them apart. */
static void name_peer(const struct http_request *req, struct http_peer *peer)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    memset(peer, 0, sizeof(*peer));
    if (address && (address->sa_family == AF_INET || address->sa_family == AF_INET6)) {
        peer->family = address->sa_family;
        name_address(address, peer);
        return;
    }
    struct ucred who;
    socklen_t len = sizeof(who);
    peer->family = AF_UNIX;
    if (getsockopt(req->fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
        memcpy(peer->id, &who.uid, sizeof(who.uid));
}

static struct http_peer **find_peer(struct http_server *server, const struct http_peer *name)
{
    unsigned hash = (unsigned)name->family;
    for (size_t i = 0; i < sizeof(name->id); i++)
        hash = hash * 31 + name->id[i];
    struct http_peer **at = &server->peers[hash % HTTP_PEER_BUCKETS];
    while (*at && ((*at)->family != name->family || memcmp((*at)->id, name->id, sizeof(name->id))))
        at = &(*at)->next;
    return at;
}

static struct http_peer *join_peer(struct http_server *server, const struct http_peer *name)
{
    struct http_peer **at = find_peer(server, name);
    if (!*at) {
        *at = xmalloc(sizeof(**at));
        **at = *name;
    }
    (*at)->refs++;
    return *at;
}

static void uncount(struct http_request *req)
{
    req->peer->connections--;
    if (req->owner)
        req->owner->connections--;
    if (!req->proved) {
        req->peer->unproved--;
        req->server->counts.unproved--;
    }
}

/* ---- who gives way ---- */

/* Of the connections without a token all but those that are being worked for; of the others
 * those between two requests, which any server may close at any time. */
static bool yields(const struct http_request *req)
{
    int use = atomic_load_explicit(&req->use, memory_order_relaxed);
    return !req->ousted && !req->refused && (req->proved ? use == HTTP_RESTS : use != HTTP_WORKS);
}

static void oust(struct http_request *req)
{
    req->ousted = true;
    uncount(req);
    req->server->ousting++;
    req->server->counts.ousted++;
    shutdown(req->fd, SHUT_RDWR); /* libmicrohttpd sees it and closes */
}

/* The peer that has most of what is short. */
static const struct http_peer *largest(const struct http_server *server, bool unproved)
{
    const struct http_peer *most = NULL;
    unsigned count = 0;
    for (size_t i = 0; i < HTTP_PEER_BUCKETS; i++)
        for (const struct http_peer *peer = server->peers[i]; peer; peer = peer->next) {
            if (peer->family == AF_UNSPEC)
                continue;
            unsigned has = unproved ? peer->unproved : peer->connections;
            if (has > count) {
                count = has;
                most = peer;
            }
        }
    return most;
}

/* The oldest without a token that yields, of one peer or (NULL) of all. */
static struct http_request *oldest(const struct http_server *server, const struct http_peer *peer)
{
    for (struct http_request *req = server->oldest; req; req = req->prev)
        if (!req->proved && (!peer || req->peer == peer) && yields(req))
            return req;
    return NULL;
}

/* The one with a token that has been quiet for longest: its deadline is the next. */
static struct http_request *quietest(const struct http_server *server, const struct http_peer *peer)
{
    struct http_request *found = NULL;
    int64_t first = INT64_MAX;
    for (struct http_request *req = server->oldest; req; req = req->prev) {
        int64_t at = atomic_load_explicit(&req->deadline_ms, memory_order_relaxed);
        if (!req->proved || at >= first || (peer && req->peer != peer) || !yields(req))
            continue;
        first = at;
        found = req;
    }
    return found;
}

/* Makes room for one more, within one peer or (NULL) among all; false: nobody gives way. */
static bool make_room(struct http_server *server, const struct http_peer *of, bool proved_too)
{
    struct http_request *out = oldest(server, of ? of : largest(server, true));
    if (!out && !of)
        out = oldest(server, NULL);
    if (!out && proved_too)
        out = quietest(server, of ? of : largest(server, false));
    if (out)
        oust(out);
    return out != NULL;
}

/* With the newcomer counted: whether it may stay. */
static bool has_room(struct http_server *server, const struct http_request *req)
{
    const struct http_stats *counts = &server->counts;
    bool spare = counts->open <= counts->limit + HTTP_SPARE_CONNECTIONS / 2;
    if (req->peer->connections > counts->peer_limit)
        return spare && make_room(server, req->peer, true);
    if (counts->open - server->ousting > counts->limit)
        return spare && make_room(server, NULL, true);
    if (counts->unproved > counts->unproved_limit)
        return spare && make_room(server, NULL, false);
    return true;
}

/* ---- coming and going ---- */

static const char refusal[] =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    "Content-Type: application/problem+json\r\nX-Request-Id: %s\r\nContent-Length: %zu\r\n\r\n%s";

/* Said at once, without the request: the client reads it in place of an answer. What it sends
 * meanwhile is read, a short while, so that the end does not overtake the words. */
static void turn_away(struct http_request *req, bool spare)
{
    auto_err struct err err = {0};
    auto_buf struct buf body = {0}, out = {0};
    err_set(&err, ERR_UNAVAILABLE,
            "The server has too many connections at the moment; try again in a moment.");
    http_request_started(req);
    err_problem(&err, req->id, &body);
    buf_printf(&out, refusal, req->id, body.len, body.data);
    ssize_t sent = send(req->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* the buffer of a new socket is empty */
    req->over = true;
    shutdown(req->fd, spare ? SHUT_WR : SHUT_RDWR);
    if (spare)
        http_deadline(req, http_now_ms() + 1000, true);
}

bool http_admit(struct http_request *req)
{
    struct http_server *server = req->server;
    struct http_peer name;
    name_peer(req, &name);
    pthread_mutex_lock(&server->lock);
    req->peer = join_peer(server, &name);
    req->peer->connections++;
    req->peer->unproved++;
    server->counts.open++;
    server->counts.unproved++;
    bool stays = has_room(server, req);
    if (!stays) {
        uncount(req);
        req->refused = true;
        server->counts.refused++;
        server->ousting++;
    }
    bool spare = server->counts.open <= server->counts.limit + HTTP_SPARE_CONNECTIONS / 2;
    req->next = server->connections;
    if (req->next)
        req->next->prev = req;
    else
        server->oldest = req;
    server->connections = req;
    pthread_mutex_unlock(&server->lock);
    if (!stays)
        turn_away(req, spare);
    return stays;
}

static void unlink_connection(struct http_server *server, struct http_request *req)
{
    if (req->prev)
        req->prev->next = req->next;
    else
        server->connections = req->next;
    if (req->next)
        req->next->prev = req->prev;
    else
        server->oldest = req->prev;
}

static void leave_peer(struct http_server *server, struct http_peer *peer)
{
    if (!peer || --peer->refs)
        return;
    struct http_peer **at = find_peer(server, peer);
    *at = peer->next;
    free(peer);
}

void http_admit_end(struct http_request *req)
{
    struct http_server *server = req->server;
    pthread_mutex_lock(&server->lock);
    unlink_connection(server, req);
    http_leave_forget(req);
    if (req->ousted || req->refused)
        server->ousting--;
    else
        uncount(req);
    server->counts.open--;
    leave_peer(server, req->peer);
    leave_peer(server, req->owner);
    pthread_mutex_unlock(&server->lock);
    http_freed(server, HTTP_POOL_BYTES);
}

/* ---- owners ---- */

/* An owner's own connection gives way to its next: one that is quiet, or whose client has been
 * taking a reply for longest. */
static bool make_room_of_owner(struct http_server *server, const struct http_peer *owner)
{
    struct http_request *found = NULL;
    int64_t first = INT64_MAX;
    for (struct http_request *req = server->oldest; req; req = req->prev) {
        int use = atomic_load_explicit(&req->use, memory_order_relaxed);
        int64_t at = atomic_load_explicit(&req->deadline_ms, memory_order_relaxed);
        if (req->owner != owner || req->ousted || use == HTTP_WORKS || at >= first)
            continue;
        first = at;
        found = req;
    }
    if (found)
        oust(found);
    return found != NULL;
}

static void leave_owner(struct http_request *req)
{
    if (req->owner && !req->ousted)
        req->owner->connections--;
    leave_peer(req->server, req->owner);
    req->owner = NULL;
}

static bool join_owner(struct http_request *req, uint64_t owner)
{
    struct http_server *server = req->server;
    struct http_peer name = {.family = AF_UNSPEC};
    memcpy(name.id, &owner, sizeof(owner));
    leave_owner(req);
    if (owner == 0 || req->ousted)
        return true;
    struct http_peer *joined = join_peer(server, &name);
    joined->connections++;
    bool room =
        joined->connections <= server->counts.owner_limit || make_room_of_owner(server, joined);
    req->owner = joined;
    if (!room) {
        leave_owner(req);
        server->counts.refused++;
    }
    return room;
}

static bool has_owner(const struct http_request *req, uint64_t owner)
{
    return req->owner ? memcmp(req->owner->id, &owner, sizeof(owner)) == 0 : owner == 0;
}

bool http_prove(struct http_request *req, uint64_t owner)
{
    struct http_server *server = req->server;
    if (req->proved && has_owner(req, owner))
        return true;
    pthread_mutex_lock(&server->lock);
    if (!req->proved && !req->ousted) {
        server->counts.unproved--;
        req->peer->unproved--;
    }
    req->proved = true;
    bool room = join_owner(req, owner);
    pthread_mutex_unlock(&server->lock);
    return room;
}

void http_server_stats(struct http_server *server, struct http_stats *ret_stats)
{
    pthread_mutex_lock(&server->lock);
    *ret_stats = server->counts;
    pthread_mutex_unlock(&server->lock);
    ret_stats->waiting_bytes = http_debt();
}
