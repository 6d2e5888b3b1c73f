/* Time: the thread that shuts connections which are too slow, reads what clients
 * still send after an early reply, gives back the memory of connections that wait
 * for long, and hears of clients that leave meanwhile. It sleeps until something is
 * due; connections that merely wait cost it nothing. Knows nothing of what requests mean. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/base/clock.h"
#include "api/base/log.h"
#include "api/http/http_server_impl.h"

enum {
    LINGER_MS = 5000,
    OWN_FDS = 2, /* the reaper's event, and those who leave */
    LINGERS = sizeof(((struct http_server *)0)->lingers) / sizeof(struct http_linger)
};

int64_t http_now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

static void wake_reaper(struct http_server *server)
{
    uint64_t one = 1;
    ssize_t done = write(server->reaper_event, &one, sizeof(one));
    (void)done; /* a full counter wakes it as well */
}

void http_deadline(struct http_request *req, int64_t at_ms, bool soon)
{
    struct http_server *server = req->server;
    if (!soon) {
        atomic_store_explicit(&req->deadline_ms, at_ms, memory_order_relaxed);
        return;
    }
    /* Either the reaper sees this deadline in its next look or we see when it wakes. */
    atomic_store(&req->deadline_ms, at_ms);
    if (at_ms < atomic_load(&server->reaper_wakes_ms)) {
        atomic_store(&server->reaper_wakes_ms, at_ms);
        wake_reaper(server);
    }
}

/* ---- memory of connections that wait ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAVE_GLIBC_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAVE_GLIBC_MALLOC 0
#endif
#endif
#if !defined(HAVE_GLIBC_MALLOC) && defined(__GLIBC__)
#define HAVE_GLIBC_MALLOC 1
#endif

/* Whether `head` is the start of libmicrohttpd's pool for this connection. It is, unless
 * the client sent empty lines first (these are zeros now) or libmicrohttpd changes its
 * ways. glibc keeps a block's size in the word before it, and that tells. */
static bool is_pool(const char *head)
{
#if HAVE_GLIBC_MALLOC
    size_t word;
    memcpy(&word, head - sizeof(word), sizeof(word));
    word &= ~(size_t)15;
    return word >= HTTP_POOL_BYTES + sizeof(word) && word <= HTTP_POOL_BYTES + 64;
#else
    (void)head;
    return false;
#endif
}

static bool all_zero(const char *page, size_t len)
{
    return page[0] == 0 && memcmp(page, page + 1, len - 1) == 0;
}

/* Gives back those whole pages of the connection's pool that hold nothing but zeros.
 * libmicrohttpd zeroes all of the pool between two requests, so a connection that was kept
 * alive would hold all of it. A page of zeros given back reads as zeros again: no one can
 * tell, and no one else touches it, since the connection is asleep and we hold its lock. */
static void trim(struct http_request *req)
{
    if (!req->head || !is_pool(req->head))
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t at = ((uintptr_t)req->head + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)req->head + HTTP_POOL_BYTES) / page * page;
    while (at < end) {
        uintptr_t run = at;
        while (run < end && all_zero((const char *)run, page))
            run += page;
        if (run > at)
            madvise((void *)at, run - at, MADV_DONTNEED);
        at = run + page;
    }
}

/* Of the whole process, as the heap is. */
static _Atomic int64_t freed;

void http_freed_later(int64_t bytes)
{
    atomic_fetch_add_explicit(&freed, bytes, memory_order_relaxed);
}

void http_freed(struct http_server *server, int64_t bytes)
{
    http_freed_later(bytes);
    if (atomic_load_explicit(&freed, memory_order_relaxed) >= HTTP_TRIM_BYTES &&
        !atomic_exchange(&server->trim_due, true))
        wake_reaper(server);
}

static void give_back(struct http_server *server)
{
#if HAVE_GLIBC_MALLOC
    malloc_trim(0);
#endif
    pthread_mutex_lock(&server->lock);
    server->counts.trims++;
    pthread_mutex_unlock(&server->lock);
}

/* Gives free memory back when much was freed, once in a while. Returns when to come again, or
 * `next`. */
static int64_t trim_heap(struct http_server *server, int64_t now, int64_t next)
{
    if (!atomic_load(&server->trim_due))
        return next;
    if (now < server->next_trim_ms)
        return server->next_trim_ms < next ? server->next_trim_ms : next;
    atomic_store(&server->trim_due, false);
    atomic_store(&freed, 0);
    server->next_trim_ms = now + HTTP_TRIM_MS;
    give_back(server);
    return next;
}

/* ---- what is due ---- */

static void due(struct http_request *req, int64_t at)
{
    pthread_mutex_lock(&req->lock);
    /* Only if the connection has not gone on in the meantime. */
    if (atomic_compare_exchange_strong(&req->deadline_ms, &at, 0)) {
        if (req->asleep)
            trim(req);
        else
            shutdown(req->fd, SHUT_RDWR); /* libmicrohttpd sees it and closes */
    }
    pthread_mutex_unlock(&req->lock);
}

/* Looks at all connections; returns when to look again. */
static int64_t look(struct http_server *server, int64_t now)
{
    /* No deadline that is set after this moment lies before that, but for the `soon`. */
    int64_t shortest =
        server->request_ms < server->upload_idle_ms ? server->request_ms : server->upload_idle_ms;
    if (server->unproved_ms < shortest)
        shortest = server->unproved_ms;
    int64_t next = now + shortest;
    atomic_store(&server->reaper_wakes_ms, next);
    pthread_mutex_lock(&server->lock);
    for (struct http_request *req = server->connections; req; req = req->next) {
        int64_t at = atomic_load(&req->deadline_ms);
        if (at == 0)
            continue;
        if (at <= now)
            due(req, at);
        else if (at < next)
            next = at;
    }
    pthread_mutex_unlock(&server->lock);
    int64_t set = atomic_load(&server->reaper_wakes_ms);
    while (next < set && !atomic_compare_exchange_weak(&server->reaper_wakes_ms, &set, next))
        ;
    return next < set ? next : set;
}

/* ---- lingering ---- */

void http_linger(struct http_request *req)
{
    struct http_server *server = req->server;
    int fd = fcntl(req->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return;
    pthread_mutex_lock(&server->lock);
    bool room = server->linger_count < LINGERS;
    if (room)
        server->lingers[server->linger_count++] =
            (struct http_linger){.fd = fd, .until_ms = http_now_ms() + LINGER_MS};
    pthread_mutex_unlock(&server->lock);
    if (room)
        wake_reaper(server);
    else
        close(fd);
}

/* Reads and forgets; false when the client has finished or failed. */
static bool drain(int fd)
{
    char waste[16 * 1024];
    for (int i = 0; i < 64; i++) {
        ssize_t got = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        if (got == 0)
            return false;
    }
    return true;
}

/* Fills `fds`, behind our own, with the lingering sockets. */
static nfds_t list_lingers(struct http_server *server, struct pollfd *fds)
{
    pthread_mutex_lock(&server->lock);
    size_t count = server->linger_count;
    for (size_t i = 0; i < count; i++)
        fds[OWN_FDS + i] = (struct pollfd){.fd = server->lingers[i].fd, .events = POLLIN};
    pthread_mutex_unlock(&server->lock);
    return OWN_FDS + count;
}

static void serve_lingers(struct http_server *server, const struct pollfd *fds, nfds_t count,
                          int64_t now)
{
    pthread_mutex_lock(&server->lock);
    /* Backwards: the last takes the place of one that goes, and newer ones stay behind. */
    for (size_t i = count - OWN_FDS; i-- > 0;) {
        struct http_linger *linger = &server->lingers[i];
        bool stays = now < linger->until_ms && (!fds[OWN_FDS + i].revents || drain(linger->fd));
        if (stays)
            continue;
        close(linger->fd);
        *linger = server->lingers[--server->linger_count];
    }
    pthread_mutex_unlock(&server->lock);
}

static bool take_event(struct http_server *server)
{
    uint64_t events;
    return read(server->reaper_event, &events, sizeof(events)) > 0;
}

static void *run(void *arg)
{
    struct http_server *server = arg;
    struct pollfd fds[OWN_FDS + LINGERS] = {{.fd = server->reaper_event, .events = POLLIN},
                                            {.fd = server->leave_epoll, .events = POLLIN}};
    int64_t next = 0;
    bool woken = true;
    while (!atomic_load(&server->reaper_stop)) {
        int64_t now = http_now_ms();
        /* Those who leave, or linger, are no reason to look at all others. */
        if (woken || next <= now)
            next = trim_heap(server, now, look(server, now));
        nfds_t count = list_lingers(server, fds);
        int64_t wait = next - http_now_ms();
        if (count > OWN_FDS && wait > LINGER_MS)
            wait = LINGER_MS;
        poll(fds, count, wait < 0 ? 0 : (int)wait + 1);
        woken = take_event(server);
        if (fds[1].revents)
            http_leave_look(server);
        serve_lingers(server, fds, count, http_now_ms());
    }
    return NULL;
}

int http_reaper_start(struct http_server *server, struct err *err)
{
    server->reaper_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->reaper_event < 0)
        return err_errno(err, "eventfd");
    int failed = pthread_create(&server->reaper, NULL, run, server);
    if (failed) {
        errno = failed;
        return err_errno(err, "The HTTP server's timer thread cannot start");
    }
    pthread_setname_np(server->reaper, "http-reaper");
    server->reaper_runs = true;
    return 0;
}

void http_reaper_stop(struct http_server *server)
{
    if (server->reaper_runs) {
        atomic_store(&server->reaper_stop, true);
        wake_reaper(server);
        pthread_join(server->reaper, NULL);
    }
    for (size_t i = 0; i < server->linger_count; i++)
        close(server->lingers[i].fd);
    if (server->reaper_event >= 0)
        close(server->reaper_event);
}
