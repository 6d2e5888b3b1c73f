/* The HTTP client over one libcurl easy handle, which keeps its connection from
 * call to call. Knows the manners of our API (bearer token, quoted ETags,
 * problem documents) and none of its nouns. */
#include "api/http/http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/err.h"
#include "api/base/mem.h"

enum {
    CONNECT_MS = 5000,
    CALL_MS = 30000,
    SILENCE_SECONDS = 60,
    ANSWER_BYTES = 64 * 1024 * 1024,
};

struct http_client {
    CURL *easy;
    char *shown; /* the address as it was given, for messages */
    char *base;
    char *unix_path;
    char *authorization;
    char *user_agent;
    int connect_timeout_ms;
};

/* One call's state, for libcurl's callbacks. */
struct exchange {
    struct http_client *client;
    const struct http_call *call;
    struct http_answer *answer;
    struct err *err; /* filled by a callback that stopped the transfer */
    bool failed;
    bool cancelled;
};

static void start_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        abort();
}

/* ---- new and free ---- */

static int parse_url(struct http_client *client, const char *url, struct err *err)
{
    if (strncmp(url, "unix:/", 6) == 0) {
        client->unix_path = xstrdup(url + 5);
        client->base = xstrdup("http://localhost");
        return 0;
    }
    if (strncmp(url, "http://", 7) != 0 || !url[7])
        return err_set(err, ERR_USAGE,
                       "\"%s\" is not an address of a controller. Give http://HOST:PORT or "
                       "unix:/PATH (there is no TLS yet).",
                       url);
    size_t len = strlen(url);
    while (url[len - 1] == '/')
        len--;
    client->base = xstrndup(url, len);
    return 0;
}

int http_client_new(const struct http_client_settings *settings, struct http_client **ret_client,
                    struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    struct http_client *client = xcalloc(1, sizeof(*client));
    if (parse_url(client, settings->url, err)) {
        http_client_free(client);
        return -1;
    }
    client->easy = curl_easy_init();
    if (!client->easy)
        abort();
    client->shown = xstrdup(settings->url);
    client->user_agent = xstrdup(settings->user_agent);
    client->connect_timeout_ms =
        settings->connect_timeout_ms ? settings->connect_timeout_ms : CONNECT_MS;
    if (settings->token)
        client->authorization = xasprintf("Authorization: Bearer %s", settings->token);
    *ret_client = client;
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    if (client->easy)
        curl_easy_cleanup(client->easy);
    free(client->shown);
    free(client->base);
    free(client->unix_path);
    free(client->authorization);
    free(client->user_agent);
    free(client);
}

/* ---- callbacks ---- */

static size_t on_data(char *data, size_t one, size_t len, void *ctx)
{
    (void)one;
    struct exchange *exchange = ctx;
    long status = 0;
    curl_easy_getinfo(exchange->client->easy, CURLINFO_RESPONSE_CODE, &status);
    if (exchange->call->sink && status >= 200 && status < 300) {
        exchange->failed =
            exchange->call->sink(exchange->call->sink_ctx, data, len, exchange->err) != 0;
        return exchange->failed ? 0 : len;
    }
    if (exchange->answer->body.len + len > ANSWER_BYTES) {
        exchange->failed = true;
        err_set(exchange->err, ERR_TOO_LARGE, "The reply of %s exceeds %d MiB; ask for less.",
                exchange->client->shown, ANSWER_BYTES / 1024 / 1024);
        return 0;
    }
    buf_add(&exchange->answer->body, data, len);
    return len;
}

static size_t on_upload(char *out, size_t one, size_t max, void *ctx)
{
    struct exchange *exchange = ctx;
    ssize_t got;
    do
        got = read(exchange->call->upload_fd, out, one * max);
    while (got < 0 && errno == EINTR);
    if (got >= 0)
        return (size_t)got;
    exchange->failed = true;
    err_errno(exchange->err, "Cannot read what is to be uploaded");
    return CURL_READFUNC_ABORT;
}

/* A kept connection may turn out to be closed; then libcurl begins again on a new one. */
static int on_rewind(void *ctx, curl_off_t offset, int origin)
{
    struct exchange *exchange = ctx;
    return lseek(exchange->call->upload_fd, offset, origin) < 0 ? CURL_SEEKFUNC_CANTSEEK
                                                                : CURL_SEEKFUNC_OK;
}

static int on_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    struct exchange *exchange = ctx;
    const struct http_call *call = exchange->call;
    if (call->cancel && __atomic_load_n(call->cancel, __ATOMIC_RELAXED)) {
        exchange->cancelled = true;
        return 1;
    }
    if (call->progress)
        call->progress(call->progress_ctx, call->upload ? up : down,
                       call->upload ? up_total : down_total);
    return 0;
}

/* ---- one call ---- */

/* A line break in what becomes a header line would add a header. */
static int check_line(const char *what, const char *text, struct err *err)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7F)
            return err_set(err, ERR_USAGE,
                           "The %s holds a line break or another control character.", what);
    return 0;
}

static int check_call(const struct http_client *client, const struct http_call *call,
                      struct err *err)
{
    if (call->upload && call->upload_fd < 0)
        return err_set(err, ERR_USAGE, "There is nothing to upload.");
    if (check_line("token", client->authorization, err) || check_line("path", call->path, err) ||
        check_line("idempotency key", call->idempotency_key, err))
        return -1;
    return check_line("ETag", call->if_match, err);
}

#define SET(option, value) curl_easy_setopt(easy, CURLOPT_##option, value)

static void set_connection(const struct http_client *client, const struct http_call *call,
                           const char *url)
{
    CURL *easy = client->easy;
    SET(URL, url);
    SET(PATH_AS_IS, 1L);
    SET(PROTOCOLS_STR, "http");
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (client->unix_path)
        SET(UNIX_SOCKET_PATH, client->unix_path);
    SET(PROXY, "");
    SET(NOPROXY, "*");
    SET(NOSIGNAL, 1L);
    SET(FOLLOWLOCATION, 0L);
    SET(TCP_KEEPALIVE, 1L);
    SET(CONNECTTIMEOUT_MS, (long)client->connect_timeout_ms);
    if (client->user_agent)
        SET(USERAGENT, client->user_agent);
    if (call->timeout_ms >= 0) {
        SET(TIMEOUT_MS, (long)(call->timeout_ms ? call->timeout_ms : CALL_MS));
    } else {
        SET(LOW_SPEED_LIMIT, 1L);
        SET(LOW_SPEED_TIME, (long)SILENCE_SECONDS);
    }
}

static void set_body(const struct http_client *client, struct exchange *exchange)
{
    CURL *easy = client->easy;
    const struct http_call *call = exchange->call;
    if (call->upload) {
        SET(UPLOAD, 1L);
        SET(READFUNCTION, on_upload);
        SET(READDATA, exchange);
        SET(SEEKFUNCTION, on_rewind);
        SET(SEEKDATA, exchange);
        SET(INFILESIZE_LARGE, (curl_off_t)call->upload_size);
    } else if (call->body || strcmp(call->method, "POST") == 0) {
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)(call->body ? call->body_len : 0));
        SET(POSTFIELDS, call->body ? call->body : "");
    } else if (strcmp(call->method, "HEAD") == 0) {
        SET(NOBODY, 1L);
    }
    SET(CUSTOMREQUEST, call->method);
    SET(WRITEFUNCTION, on_data);
    SET(WRITEDATA, exchange);
    SET(XFERINFOFUNCTION, on_progress);
    SET(XFERINFODATA, exchange);
    SET(NOPROGRESS, 0L);
}

static void add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        abort();
    *list = longer;
}

static struct curl_slist *make_headers(const struct http_client *client,
                                       const struct http_call *call)
{
    struct curl_slist *list = NULL;
    add_line(&list, "Accept: application/json");
    if (client->authorization)
        add_line(&list, client->authorization);
    if (call->upload)
        add_line(&list, "Content-Type: application/octet-stream");
    else if (call->body)
        add_line(&list, "Content-Type: application/json");
    else
        add_line(&list, "Content-Type:"); /* libcurl would call an empty POST a form */
    /* An upload keeps libcurl's "Expect: 100-continue": one that is refused is not sent. */
    if (!call->upload)
        add_line(&list, "Expect:");
    if (call->idempotency_key) {
        autofree char *line = xasprintf("Idempotency-Key: %s", call->idempotency_key);
        add_line(&list, line);
    }
    if (call->if_match) {
        const char *quote = strcmp(call->if_match, "*") == 0 ? "" : "\"";
        autofree char *line = xasprintf("If-Match: %s%s%s", quote, call->if_match, quote);
        add_line(&list, line);
    }
    return list;
}

static char *answer_header(CURL *easy, const char *name)
{
    struct curl_header *header;
    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    return xstrdup(header->value);
}

static void read_answer(CURL *easy, struct http_answer *answer)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (int)status;
    answer->location = answer_header(easy, "Location");
    answer->content_type = answer_header(easy, "Content-Type");
    autofree char *etag = answer_header(easy, "ETag");
    size_t len = etag ? strlen(etag) : 0;
    if (len >= 2 && etag[0] == '"' && etag[len - 1] == '"')
        answer->etag = xstrndup(etag + 1, len - 2);
}

static int explain(const struct exchange *exchange, CURLcode code, const char *detail)
{
    const struct http_client *client = exchange->client;
    struct err *err = exchange->err;
    if (exchange->failed)
        return -1; /* the callback has said why */
    if (exchange->cancelled)
        return err_set(err, ERR_TIMED_OUT, "The call to %s was given up.", client->shown);
    long os_error = 0;
    curl_easy_getinfo(client->easy, CURLINFO_OS_ERRNO, &os_error);
    const char *reason = detail[0] ? detail : curl_easy_strerror(code);
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        return err_set(err, ERR_CONNECT,
                       "Cannot reach the controller at %s: %s. Check that it runs and that the "
                       "address is right.",
                       client->shown, os_error ? strerror((int)os_error) : reason);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, ERR_TIMED_OUT,
                       "The controller at %s did not answer in time (%s). Try again; whether the "
                       "request was carried out is not known.",
                       client->shown, reason);
    return err_set(err, ERR_CONNECT,
                   "The connection to the controller at %s failed: %s. Try again; whether the "
                   "request was carried out is not known.",
                   client->shown, reason);
}

int http_client_call(struct http_client *client, const struct http_call *call,
                     struct http_answer *ret_answer, struct err *err)
{
    *ret_answer = (struct http_answer){0};
    if (check_call(client, call, err))
        return -1;
    struct exchange exchange = {client, call, ret_answer, err, false, false};
    char detail[CURL_ERROR_SIZE] = "";
    CURL *easy = client->easy;
    autofree char *url = xasprintf("%s%s", client->base, call->path);
    struct curl_slist *headers = make_headers(client, call);
    curl_easy_reset(easy); /* options only; connections stay */
    set_connection(client, call, url);
    set_body(client, &exchange);
    SET(HTTPHEADER, headers);
    SET(ERRORBUFFER, detail);
    CURLcode code = curl_easy_perform(easy);
    int result = 0;
    if (code == CURLE_OK)
        read_answer(easy, ret_answer);
    else
        result = explain(&exchange, code, detail);
    curl_easy_reset(easy); /* it points to what ends here */
    curl_slist_free_all(headers);
    if (result)
        http_answer_release(ret_answer);
    return result;
}
