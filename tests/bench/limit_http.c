/* The limit of every HTTP figure: libmicrohttpd with one epoll thread and suspend allowed,
 * that answers each request with the same bytes and looks at nothing. */
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/base/mem.h"
#include "tests/bench/bench.h"

struct limit_http {
    pid_t pid;
    int port;
};

static enum MHD_Result answer(void *ctx, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    (void)url;
    (void)method;
    (void)version;
    (void)data;
    (void)size;
    if (!*state) {
        *state = ctx;
        return MHD_YES;
    }
    return MHD_queue_response(connection, 200, ctx);
}

static void serve(int fd, size_t body_size)
{
    char *body = xmalloc(body_size + 1);
    memset(body, 'x', body_size);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body_size, body, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json");
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, answer, response,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_END);
    if (!daemon)
        _exit(1);
    for (;;)
        pause();
}

struct limit_http *limit_http_start(size_t body_size)
{
    struct limit_http *limit = xcalloc(1, sizeof(*limit));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        cloud_fail("cannot listen on 127.0.0.1");
    limit->port = ntohs(address.sin_port);
    limit->pid = fork();
    if (limit->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(fd, body_size);
    }
    close(fd);
    return limit;
}

int limit_http_port(const struct limit_http *limit)
{
    return limit->port;
}

pid_t limit_http_pid(const struct limit_http *limit)
{
    return limit->pid;
}

void limit_http_stop(struct limit_http *limit)
{
    kill(limit->pid, SIGKILL);
    waitpid(limit->pid, NULL, 0);
    free(limit);
}
