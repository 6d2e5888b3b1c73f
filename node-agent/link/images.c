/* The image cache: volumes "image-<sha256>.<format>", each of which counts only with a
 * sibling "....ok" made after upload, verification and sync. One fetch per image, however
 * many instances want it; a pool of its own, so that hours of download hold up no one. */
#include "node-agent/link/images.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/log.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "node-agent/host/hypervisor.h"
#include "node-agent/instance/registry.h"
#include "node-agent/link/client.h"

enum { FETCHERS = 2, IDLE_MS = 10000, READ_BYTES = 1 << 20 };
/* A failure stands this long before the next try, longer with each in a row. */
enum { STAND_MS = 1000, STAND_MOST_MS = 30000 };

struct image {
    struct work_item work; /* first */
    struct image *next;
    char sha256[SHA256_TEXT_MAX], id[64];
    int format;
    int64_t size;
    enum image_state state;
    bool wanted, unwanted; /* to fetch; to remove */
    bool condemned;        /* the controller says it was deleted: to remove once nothing uses it */
    struct err failure;    /* of the last try, until one succeeds */
    int64_t failed_at;
    int failures; /* in a row */
};

struct images {
    pthread_mutex_t lock;
    struct work_pool *pool;
    struct image *first;
};

static struct image *find(struct images *images, const char *sha256)
{
    struct image *image = images->first;
    while (image && strcmp(image->sha256, sha256) != 0)
        image = image->next;
    return image;
}

static struct image *get(struct images *images, const char *sha256, int format)
{
    struct image *image = find(images, sha256);
    if (image)
        return image;
    image = xcalloc(1, sizeof *image);
    text_copy(image->sha256, sizeof image->sha256, sha256);
    image->format = format;
    image->state = IMAGE_FAILED;
    image->next = images->first;
    images->first = image;
    return image;
}

/* ---- fetching ---- */

struct fetching {
    struct agent *agent;
    struct hv_upload *upload;
    struct sha256_stream *hash;
    int64_t received, size;
};

static int on_bytes(void *ctx, const void *data, size_t len, struct err *err)
{
    struct fetching *f = ctx;
    f->received += (int64_t)len;
    if (f->received > f->size)
        return err_set(err, ERR_CHECKSUM, "the image is longer than the %lld bytes announced",
                       (long long)f->size);
    sha256_update(f->hash, data, len);
    return hv_upload_write(f->upload, data, len, err);
}

static int download(struct agent *agent, const struct image *image, struct fetching *f,
                    struct err *err)
{
    auto_buf struct buf token = {0}, path = {0};
    auto_answer struct http_answer answer = {0};
    struct http_client *client = NULL;
    buf_puts(&path, "/v1/images/");
    http_encode(&path, image->id);
    buf_puts(&path, "/content");
    struct http_call call = {.method = "GET",
                             .path = path.data,
                             .timeout_ms = -1,
                             .cancel = &agent->cancel,
                             .sink = on_bytes,
                             .sink_ctx = f};
    if (agent_token(agent, &token, err) || agent_client(agent, token.data, &client, err))
        return -1;
    int r = http_client_call(client, &call, &answer, err);
    if (r == 0)
        r = http_answer_err(&answer, err);
    http_client_free(client);
    if (r == 0 && f->received != f->size)
        return err_set(err, ERR_CHECKSUM, "the image has %lld bytes and not the %lld announced",
                       (long long)f->received, (long long)f->size);
    return r;
}

static int compare(const uint8_t hash[SHA256_BYTES], const char *wanted, const char *where,
                   struct err *err)
{
    char text[SHA256_TEXT_MAX];
    sha256_text(hash, text);
    if (strcmp(text, wanted) == 0)
        return 0;
    return err_set(err, ERR_CHECKSUM, "the image's SHA-256 %s is %s and not %s", where, text,
                   wanted);
}

/* What the disk gives back is what counts, not what went into the page cache: its pages
 * are dropped before they are read (the upload has synced them). */
static int verify(struct agent *agent, const char *name, const char *wanted, struct err *err)
{
    autofree char *path = xasprintf("%s/%s", agent->settings.pool_path, name);
    autofree char *data = xmalloc(READ_BYTES);
    uint8_t digest[SHA256_BYTES];
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "cannot open the cached image %s", name);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    struct sha256_stream *hash = sha256_new();
    ssize_t n = 0;
    while (!agent->stopping && (n = read(fd, data, READ_BYTES)) > 0)
        sha256_update(hash, data, (size_t)n);
    sha256_finish(hash, digest);
    if (agent->stopping)
        return err_set(err, ERR_UNAVAILABLE, "the agent is stopping");
    return n < 0 ? err_errno(err, "cannot read the cached image %s", name)
                 : compare(digest, wanted, "on this host's disk", err);
}

static int fill(struct agent *agent, struct hv *hv, const struct image *image, const char *name,
                struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    struct fetching f = {.agent = agent, .size = image->size};
    if (hv_upload_begin(hv, name, image->size, "0444", &f.upload, err))
        return -1;
    f.hash = sha256_new();
    int r = download(agent, image, &f, err);
    sha256_finish(f.hash, digest);
    if (r == 0)
        r = compare(digest, image->sha256, "as downloaded", err);
    if (r) {
        hv_upload_abort(f.upload);
        return -1;
    }
    return hv_upload_end(f.upload, err);
}

static int fetch(struct agent *agent, struct hv *hv, const struct image *image, struct err *err)
{
    char name[VOLUME_MAX], mark[VOLUME_MAX + 4];
    auto_err struct err ignored = {0};
    int64_t began = clock_boottime_ms();
    volume_image(image->sha256, image->format, name);
    snprintf(mark, sizeof mark, "%s.ok", name);
    if (hv_connect(hv, err))
        return -1;
    if (fill(agent, hv, image, name, err) || verify(agent, name, image->sha256, err)) {
        if (err->code == ERR_CHECKSUM)
            hv_host_ops.volume_remove(hv, name, &ignored);
        return -1;
    }
    if (hv_volume_touch(hv, mark, err))
        return -1;
    log_info("image.cached", "sha256=%s bytes=%lld ms=%lld", image->sha256, (long long)image->size,
             (long long)(clock_boottime_ms() - began));
    return 0;
}

/* ---- removing ---- */

struct user_search {
    char name[VOLUME_MAX];
    const char *sha256;
    const char *used; /* why */
};

static void search_user(void *ctx, struct instance *instance)
{
    struct user_search *search = ctx;
    const struct desired *desired = instance->desired;
    if (desired && desired->value.image.sha256 &&
        strcmp(desired->value.image.sha256, search->sha256) == 0 && !desired->value.deleted)
        search->used = "desired";
    if (strcmp(instance->base, search->name) == 0)
        search->used = "its disk stands on it";
    /* Nobody knows what they stand on. */
    if (instance->seen && instance->observed.quarantined && !instance->observed.name[0])
        search->used = "volumes without a domain";
}

static bool is_used(struct agent *agent, const struct image *image)
{
    struct user_search search = {.sha256 = image->sha256};
    volume_image(image->sha256, image->format, search.name);
    pthread_mutex_lock(&agent->lock);
    registry_each(agent, search_user, &search);
    pthread_mutex_unlock(&agent->lock);
    if (search.used)
        log_debug("image.in_use", "sha256=%s why=\"%s\"", image->sha256, search.used);
    return search.used != NULL;
}

/* The mark first: what is left of a broken-off removal is then an unfinished image. */
static int remove_image(struct hv *hv, const char *name, struct err *err)
{
    char mark[VOLUME_MAX + 4];
    snprintf(mark, sizeof mark, "%s.ok", name);
    return hv_host_ops.volume_remove(hv, mark, err) || hv_host_ops.volume_remove(hv, name, err) ? -1
                                                                                                : 0;
}

static void set_state(struct images *images, struct image *image, enum image_state state)
{
    pthread_mutex_lock(&images->lock);
    image->state = state;
    pthread_mutex_unlock(&images->lock);
}

static void drop(struct agent *agent, struct hv *hv, struct image *image)
{
    auto_err struct err err = {0};
    char name[VOLUME_MAX];
    /* First out of use, then the question: so no one begins to use it in between. */
    set_state(agent->images, image, IMAGE_FAILED);
    if (is_used(agent, image)) {
        set_state(agent->images, image, IMAGE_READY);
        return;
    }
    volume_image(image->sha256, image->format, name);
    if (remove_image(hv, name, &err))
        log_warn("image.remove", "sha256=%s error=\"%s\"", image->sha256, err.msg);
    else
        log_info("image.removed", "sha256=%s", image->sha256);
}

/* ---- the pool's work ---- */

static void wake_waiting(void *ctx, struct instance *instance)
{
    struct agent *agent = ctx;
    if (instance->desired && !instance->desired->value.deleted &&
        (!instance->seen || !instance->observed.converged))
        work_wake(agent->workers, &instance->work);
}

static void note_failure(struct image *image, struct err *err)
{
    image->state = IMAGE_FAILED;
    image->failed_at = clock_boottime_ms();
    image->failures++;
    err_move(&image->failure, err);
}

static void note_success(struct image *image)
{
    image->state = IMAGE_READY;
    image->failures = 0;
    err_clear(&image->failure);
}

static bool failure_stands(const struct image *image)
{
    int64_t ms = STAND_MS;
    for (int i = 1; i < image->failures && ms < STAND_MOST_MS; i++)
        ms *= 2;
    return image->failure.code != ERR_NONE &&
           clock_boottime_ms() < image->failed_at + (ms < STAND_MOST_MS ? ms : STAND_MOST_MS);
}

static void run(void *ctx, void *hv, struct worker *worker, struct work_item *item)
{
    struct agent *agent = ctx;
    struct images *images = agent->images;
    struct image *image = (struct image *)item;
    auto_err struct err err = {0};
    pthread_mutex_lock(&images->lock);
    bool wanted = image->wanted, unwanted = image->unwanted;
    image->wanted = image->unwanted = false;
    pthread_mutex_unlock(&images->lock);
    if (unwanted && !wanted)
        drop(agent, hv, image);
    if (!wanted)
        return;
    int r = fetch(agent, hv, image, &err);
    if (work_written_off(worker))
        return;
    if (r)
        log_warn("image.failed", "sha256=%s error=\"%s\"", image->sha256, err.msg);
    pthread_mutex_lock(&images->lock);
    if (r)
        note_failure(image, &err);
    else
        note_success(image);
    pthread_mutex_unlock(&images->lock);
    pthread_mutex_lock(&agent->lock);
    registry_each(agent, wake_waiting, agent);
    pthread_mutex_unlock(&agent->lock);
}

static void on_stuck(void *ctx, struct work_item *item, const char *call, int64_t ms)
{
    struct agent *agent = ctx;
    struct image *image = (struct image *)item;
    auto_err struct err err = {0};
    log_warn("image.hung", "sha256=%s call=%s ms=%lld", image->sha256, call, (long long)ms);
    pthread_mutex_lock(&agent->images->lock);
    err_set(&err, ERR_HOST_TIMEOUT, "libvirt's call %s did not come back in time", call);
    note_failure(image, &err);
    pthread_mutex_unlock(&agent->images->lock);
}

int images_new(struct agent *agent, struct err *err)
{
    static const struct image_cache cache = {.ready = images_ready, .want = images_want};
    agent->image_cache = &cache;
    agent->images = xcalloc(1, sizeof *agent->images);
    pthread_mutex_init(&agent->images->lock, NULL);
    struct work_settings settings = {.workers = FETCHERS,
                                     .written_off_max = FETCHERS,
                                     .deadline_ms = agent->settings.call_deadline,
                                     .idle_ms = IDLE_MS,
                                     .ctx = agent,
                                     .open = instance_open,
                                     .close = instance_close,
                                     .run = run,
                                     .stuck = on_stuck};
    return work_new(&settings, &agent->images->pool, err);
}

bool images_stop(struct agent *agent, int64_t ms)
{
    struct images *images = agent->images;
    if (!images)
        return true;
    if (!work_stop(images->pool, ms))
        return false;
    work_free(images->pool);
    for (struct image *image = images->first, *next; image; image = next) {
        next = image->next;
        err_clear(&image->failure);
        free(image);
    }
    pthread_mutex_destroy(&images->lock);
    free(images);
    agent->images = NULL;
    return true;
}

/* ---- what is there ---- */

static void collect(void *ctx, const char *name)
{
    struct strings *names = ctx;
    if (strncmp(name, "image-", 6) == 0)
        strings_add(names, name);
}

static bool contains(const struct strings *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0)
            return true;
    }
    return false;
}

/* "image-<sha256>.<format>" in parts. */
static bool parse_name(const char *name, char sha256[SHA256_TEXT_MAX], int *ret_format)
{
    uint8_t hash[SHA256_BYTES];
    const char *text = name + strlen("image-");
    const char *dot = strchr(text, '.');
    if (!dot || dot - text != SHA256_TEXT_MAX - 1)
        return false;
    snprintf(sha256, SHA256_TEXT_MAX, "%.*s", (int)(dot - text), text);
    *ret_format = name_index(format_names, dot + 1);
    return *ret_format >= 0 && sha256_parse(sha256, hash) == 0;
}

/* One that a fetcher works on just now is not unfinished. */
static bool is_busy(struct images *images, const char *sha256)
{
    pthread_mutex_lock(&images->lock);
    const struct image *image = find(images, sha256);
    bool busy = image && image->state == IMAGE_COMING;
    pthread_mutex_unlock(&images->lock);
    return busy;
}

static int load_one(struct agent *agent, struct hv *hv, const struct strings *names,
                    const char *name, struct err *err)
{
    struct images *images = agent->images;
    char sha256[SHA256_TEXT_MAX], mark[VOLUME_MAX + 4];
    int format;
    if (!parse_name(name, sha256, &format)) {
        /* A mark without its image. */
        size_t len = strlen(name);
        autofree char *image = xstrndup(name, len > 3 ? len - 3 : 0);
        bool orphan = len > 3 && strcmp(name + len - 3, ".ok") == 0 && !contains(names, image);
        return orphan ? hv_host_ops.volume_remove(hv, name, err) : 0;
    }
    snprintf(mark, sizeof mark, "%s.ok", name);
    if (is_busy(images, sha256))
        return 0;
    if (!contains(names, mark)) {
        log_info("image.unfinished", "volume=%s", name);
        return hv_host_ops.volume_remove(hv, name, err);
    }
    pthread_mutex_lock(&images->lock);
    get(images, sha256, format)->state = IMAGE_READY;
    pthread_mutex_unlock(&images->lock);
    return 0;
}

int images_load(struct agent *agent, struct hv *hv, struct err *err)
{
    struct strings names = {0};
    int r = hv_volumes(hv, collect, &names, err);
    for (size_t i = 0; r == 0 && i < names.count; i++)
        r = load_one(agent, hv, &names, names.items[i], err);
    strings_release(&names);
    return r;
}

bool images_ready(struct agent *agent, const char *sha256)
{
    pthread_mutex_lock(&agent->images->lock);
    const struct image *image = find(agent->images, sha256);
    bool ready = image && image->state == IMAGE_READY;
    pthread_mutex_unlock(&agent->images->lock);
    return ready;
}

enum image_state images_want(struct agent *agent, const struct desired_image *wanted,
                             struct err *err)
{
    struct images *images = agent->images;
    uint8_t hash[SHA256_BYTES];
    if (!wanted->sha256 || !wanted->id || sha256_parse(wanted->sha256, hash)) {
        err_set(err, ERR_INVALID, "the controller named no image by id and SHA-256");
        return IMAGE_FAILED;
    }
    pthread_mutex_lock(&images->lock);
    struct image *image = get(images, wanted->sha256, wanted->format);
    enum image_state state = image->state;
    if (state != IMAGE_READY && image->failure.code != ERR_NONE)
        err_set(err, image->failure.code, "%s", image->failure.msg);
    if (state == IMAGE_FAILED && !failure_stands(image)) {
        state = image->state = IMAGE_COMING;
        image->wanted = true;
        image->format = wanted->format;
        image->size = wanted->size_bytes;
        text_copy(image->id, sizeof image->id, wanted->id);
        work_wake(images->pool, &image->work);
    }
    pthread_mutex_unlock(&images->lock);
    return state;
}

void images_sweep(struct agent *agent)
{
    struct images *images = agent->images;
    pthread_mutex_lock(&images->lock);
    for (struct image *image = images->first; image; image = image->next) {
        if (image->state != IMAGE_READY || !image->condemned)
            continue;
        image->unwanted = true;
        work_wake(images->pool, &image->work);
    }
    pthread_mutex_unlock(&images->lock);
}

void images_gone(struct agent *agent, const struct strings *sha256)
{
    struct images *images = agent->images;
    pthread_mutex_lock(&images->lock);
    for (struct image *image = images->first; image; image = image->next)
        image->condemned = contains(sha256, image->sha256);
    pthread_mutex_unlock(&images->lock);
    images_sweep(agent);
}
