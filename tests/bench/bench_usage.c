/* usage_month_all and usage_month_hourly: a month's bill out of a year's ledger, beside SQL and
 * C by hand on the same file. Each run first holds both sides' numbers against each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "tests/bench/bench.h"
#include "tests/bench/usage_year.h"

#define JUNE "/v1/usage?start=2025-06&end=2025-07&limit=10000"
enum { PAIRS = 9, PROJECT = 7, ROUNDS = 20 };

/* ---- a client: one connection, whole answers ---- */

struct client {
    int fd;
    char *token;
    struct buf in;
    const char *body; /* within `in` */
    char cursor[512]; /* of the next page; "": there is none */
};

static struct client client_open(const struct cloud *cloud)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct client client = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                            .token = cloud->token};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/data/api.sock", cloud->dir);
    if (client.fd < 0 || connect(client.fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        cloud_fail("cannot connect to %s", address.sun_path);
    buf_reserve(&client.in, 8 << 20);
    return client;
}

static void client_close(struct client *client)
{
    close(client->fd);
    buf_release(&client->in);
}

static void receive(struct client *client)
{
    buf_reserve(&client->in, 1 << 20);
    ssize_t got =
        recv(client->fd, client->in.data + client->in.len, client->in.cap - client->in.len - 1, 0);
    if (got <= 0)
        cloud_fail("the controller closed the connection");
    client->in.len += (size_t)got;
    client->in.data[client->in.len] = '\0';
}

static void find_cursor(struct client *client)
{
    /* Behind the rows there is little. */
    const char *end = client->in.data + client->in.len,
               *at = end > client->body + 1000 ? end - 1000 : client->body;
    const char *next = strstr(at, "\"next\":\"");
    client->cursor[0] = '\0';
    if (next)
        snprintf(client->cursor, sizeof(client->cursor), "%.*s", (int)strcspn(next + 8, "\""),
                 next + 8);
}

static void get(struct client *client, const char *path)
{
    autofree char *request =
        xasprintf("GET %s%s%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
                  path, client->cursor[0] ? "&cursor=" : "", client->cursor, client->token);
    const char *length = NULL;
    client->body = NULL;
    buf_reset(&client->in);
    if (write(client->fd, request, strlen(request)) != (ssize_t)strlen(request))
        cloud_fail("the controller takes no request");
    do {
        receive(client);
        const char *end = strstr(client->in.data, "\r\n\r\n");
        client->body = end ? end + 4 : NULL;
        length = end ? strstr(client->in.data, "Content-Length: ") : NULL;
    } while (!length || client->in.len < (size_t)(client->body - client->in.data) +
                                             strtoul(length + 16, NULL, 10));
    if (strncmp(client->in.data + 9, "200", 3) != 0)
        cloud_fail("%s: %s", path, client->in.data);
    find_cursor(client);
}

/* All pages; `each` may be NULL. */
static int64_t get_all(struct client *client, const char *path,
                       void (*each)(void *ctx, const char *body, size_t len), void *ctx)
{
    int64_t bytes = 0;
    client->cursor[0] = '\0';
    do {
        get(client, path);
        size_t len = (size_t)(client->in.data + client->in.len - client->body);
        bytes += (int64_t)len;
        if (each)
            each(ctx, client->body, len);
    } while (client->cursor[0]);
    return bytes;
}

/* ---- the same numbers ---- */

struct read {
    struct year_sums *sums;
    int places;
    const char *key; /* of the place: "project", "instance"; NULL: the hour */
};

static int place_of(const struct read *read, const struct json *row)
{
    static const int digits[] = {8, 9, 11, 12}; /* of day and hour in 2025-06-01T00 */
    const char *text = json_str(json_get(row, read->key ? read->key : "start"));
    if (!text)
        return -1;
    if (read->key)
        return (int)strtol(text + 1, NULL, 10);
    int numbers[4];
    for (int i = 0; i < 4; i++)
        numbers[i] = text[digits[i]] - '0';
    return (numbers[0] * 10 + numbers[1] - 1) * 24 + numbers[2] * 10 + numbers[3];
}

static void read_page(void *ctx, const char *body, size_t len)
{
    struct read *read = ctx;
    auto_json struct json *root = NULL;
    struct err auto_err err = {0};
    if (json_parse(body, len, &root, &err) != 0)
        cloud_fail("no JSON: %s", err.msg);
    for (struct json *row = json_first(json_get(root, "usage")); row; row = json_next(row)) {
        const char *meter = json_str(json_get(row, "meter"));
        int place = place_of(read, row), at = 0;
        while (at < YEAR_METERS && strcmp(year_meters[at], meter) != 0)
            at++;
        if (place < 0 || place >= read->places || at == YEAR_METERS)
            cloud_fail("an unexpected row of %s", meter);
        read->sums[place].of[at] += strtoll(json_str(json_get(row, "quantity")), NULL, 10);
    }
}

static void must_agree(struct client *client, const char *path, const char *key,
                       const struct year_sums *expected, int places)
{
    autofree struct year_sums *sums = xcalloc((size_t)places, sizeof(*sums));
    struct read read = {sums, places, key};
    get_all(client, path, read_page, &read);
    for (int i = 0; i < places; i++) {
        for (int meter = 0; meter < YEAR_METERS; meter++) {
            if (sums[i].of[meter] != expected[i].of[meter])
                cloud_fail("%s %d: %s is %lld, by hand %lld", key ? key : "hour", i,
                           year_meters[meter], (long long)sums[i].of[meter],
                           (long long)expected[i].of[meter]);
        }
    }
}

/* ---- a controller with a year behind it ---- */

static struct cloud *year_cloud(const char *name, char **ret_db)
{
    struct cloud *cloud = cloud_new(name);
    cloud_start_controller(cloud, NULL, NULL);
    proc_stop(&cloud->controller, 20000);
    *ret_db = xasprintf("%s/data/minicloud.db", cloud->dir);
    double start = now_s();
    usage_year_fill(*ret_db);
    printf("%-18s %d segments in %.1f s\n", "", YEAR_SEGMENTS + YEAR_REVERSED, now_s() - start);
    cloud_start_controller(cloud, NULL, NULL);
    return cloud;
}

void bench_usage_month_all(void)
{
    autofree char *db = NULL;
    struct cloud *cloud = year_cloud("month", &db);
    struct limit_usage *limit = limit_usage_open(db);
    struct client client = client_open(cloud);
    autofree struct year_sums *projects = xcalloc(YEAR_PROJECTS, sizeof(*projects));
    autofree struct year_sums *instances = xcalloc(YEAR_INSTANCES, sizeof(*instances));
    struct pairs pairs = {0};
    double first = now_s();
    int64_t bytes = get_all(&client, JUNE "&group_by=project", NULL, NULL);
    first = now_s() - first;
    limit_usage_month(limit, projects, instances);
    must_agree(&client, JUNE "&group_by=project", "project", projects, YEAR_PROJECTS);
    must_agree(&client, JUNE "&group_by=project,instance", "instance", instances, YEAR_INSTANCES);
    long cpu = proc_cpu_ms(cloud->controller.pid);
    for (int i = 0; i < PAIRS; i++) {
        double start = now_s();
        bytes = get_all(&client, JUNE "&group_by=project", NULL, NULL);
        bytes += get_all(&client, JUNE "&group_by=project,instance", NULL, NULL);
        double ours = (now_s() - start) * 1000;
        pairs_add(&pairs, ours, limit_usage_month(limit, projects, instances) * 1000);
    }
    cpu = proc_cpu_ms(cloud->controller.pid) - cpu;
    pairs_print(&pairs, "usage_month_all", "ms for both, the SQL without JSON", "<= 0.4");
    printf("%-18s ours: %.1f MB of JSON, %.0f ms of CPU, the first question after the start"
           " %.0f ms, then %.1f MiB; SQL: %s; %s\n",
           "", (double)bytes / 1e6, (double)cpu / PAIRS, first * 1000,
           (double)proc_pss_kib(cloud->controller.pid) / 1024, limit_usage_best(limit, 0),
           limit_usage_best(limit, 1));
    client_close(&client);
    limit_usage_close(limit);
    cloud_free(cloud);
}

void bench_usage_month_hourly(void)
{
    autofree char *db = NULL;
    struct cloud *cloud = year_cloud("hourly", &db);
    struct limit_usage *limit = limit_usage_open(db);
    struct client client = client_open(cloud);
    autofree struct year_sums *hours = xcalloc(YEAR_JUNE_HOURS, sizeof(*hours));
    autofree char *path = xasprintf(JUNE "&granularity=hour&group_by=project&project=p%d", PROJECT);
    struct pairs pairs = {0};
    int64_t bytes = 0, bare_bytes;
    limit_usage_hourly(limit, PROJECT, hours, &bare_bytes);
    must_agree(&client, path, NULL, hours, YEAR_JUNE_HOURS);
    for (int i = 0; i < PAIRS; i++) {
        double start = now_s(), bare = 0;
        for (int n = 0; n < ROUNDS; n++)
            bytes = get_all(&client, path, NULL, NULL);
        double ours = (now_s() - start) * 1000 / ROUNDS;
        for (int n = 0; n < ROUNDS; n++)
            bare += limit_usage_hourly(limit, PROJECT, hours, &bare_bytes) * 1000 / ROUNDS;
        pairs_add(&pairs, ours, bare);
    }
    pairs_print(&pairs, "usage_month_hourly", "ms, both with the rows as JSON", "<= 1.5");
    printf("%-18s %.2f MB of JSON, by hand %.2f\n", "", (double)bytes / 1e6,
           (double)bare_bytes / 1e6);
    client_close(&client);
    limit_usage_close(limit);
    cloud_free(cloud);
}
