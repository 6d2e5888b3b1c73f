/* Images: uploads whole or not at all, and files that live as long as they are needed. */
#include <dirent.h>
#include <poll.h>
#include <sys/inotify.h>

#include "tests/lib/raw_http.h"
#include "tests/unit/controller_world.h"

/* Writes `bytes` of a pattern; returns the path, owned by the caller, and its SHA-256. */
static char *pattern_file(struct world *world, const char *name, size_t bytes,
                          char sum[SHA256_TEXT_MAX])
{
    char *path = xasprintf("%s/%s", world->dir, name);
    char *data = xmalloc(bytes);
    uint8_t hash[SHA256_BYTES];
    for (size_t i = 0; i < bytes; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    sha256(data, bytes, hash);
    sha256_text(hash, sum);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, bytes, out), bytes);
    fclose(out);
    free(data);
    return path;
}

/* Without the notes beside them. */
static int image_files(struct world *world)
{
    int count = 0;
    DIR *folder = opendir(world->app->image_dir);
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.' && !strstr(entry->d_name, ".json");
    closedir(folder);
    return count;
}

/* Waits, by what the kernel tells of the folder, until there are so many. */
static void await_files(struct world *world, int wanted)
{
    enum { PATIENCE_MS = 60000 };
    char events[4096];
    autoclose int fd = inotify_init1(IN_CLOEXEC);
    struct pollfd changed = {.fd = fd, .events = POLLIN};
    int rc = inotify_add_watch(fd, world->app->image_dir,
                               IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO);
    assert_true(rc >= 0);
    while (image_files(world) != wanted) {
        if (poll(&changed, 1, PATIENCE_MS) != 1 || read(fd, events, sizeof(events)) <= 0)
            fail_msg("there are %d image files, not %d", image_files(world), wanted);
    }
}

static void create(struct world *world, const char *name, const char *format, const char *sum)
{
    struct answer auto_answer_json made =
        sum ? world_call(world, 201, "POST", "/v1/images",
                         "{\"name\":\"%s\",\"format\":\"%s\",\"sha256\":\"%s\"}", name, format, sum)
            : world_call(world, 201, "POST", "/v1/images", "{\"name\":\"%s\",\"format\":\"%s\"}",
                         name, format);
    world_is(&made, "state", "awaiting_upload");
}

struct sunk {
    struct sha256_stream *hash;
    int64_t bytes;
};

static int sink(void *ctx, const void *data, size_t len, struct err *err)
{
    struct sunk *sunk = ctx;
    (void)err;
    sha256_update(sunk->hash, data, len);
    sunk->bytes += (int64_t)len;
    return 0;
}

static void test_image__comes_back_as_it_was_sent_whatever_its_size(void **state)
{
    struct world *world = *state;
    static const size_t sizes[] = {1, 511, 512, 262143, 262144, 1048576, 1048577, 9000001};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        char sum[SHA256_TEXT_MAX], name[16], back[SHA256_TEXT_MAX];
        uint8_t hash[SHA256_BYTES];
        snprintf(name, sizeof(name), "image%zu", i);
        autofree char *file = pattern_file(world, name, sizes[i], sum);
        autofree char *content = xasprintf("/v1/images/%s/content", name);
        create(world, name, "raw", sum);
        struct answer auto_answer_json sent = cloud_upload(&world->cloud, content, file);
        assert_int_equal(sent.status, 200);
        world_is(&sent, "sha256", sum);
        struct sunk sunk = {.hash = sha256_new()};
        struct http_call call = {.method = "GET", .path = content, .sink = sink, .sink_ctx = &sunk};
        struct http_answer auto_answer got = {0};
        struct err auto_err err = {0};
        assert_int_equal(http_client_call(world->cloud.client, &call, &got, &err), 0);
        sha256_finish(sunk.hash, hash);
        sha256_text(hash, back);
        assert_string_equal(back, sum);
        assert_int_equal(sunk.bytes, sizes[i]);
        assert_string_equal(got.etag, sum);
    }
    assert_int_equal(image_files(world), ARRAY_SIZE(sizes));
}

static void test_image__a_wrong_sum_or_header_leaves_nothing(void **state)
{
    struct world *world = *state;
    char sum[SHA256_TEXT_MAX];
    autofree char *file = pattern_file(world, "file", 3000000, sum);
    create(world, "one", "raw", "0000000000000000000000000000000000000000000000000000000000000000");
    struct answer auto_answer_json wrong =
        cloud_upload(&world->cloud, "/v1/images/one/content", file);
    assert_int_equal(wrong.status, 422);
    world_is(&wrong, "code", "checksum_mismatch");
    create(world, "two", "qcow2", NULL);
    struct answer auto_answer_json bad =
        cloud_upload(&world->cloud, "/v1/images/two/content", file);
    assert_int_equal(bad.status, 422);
    world_is(&bad, "code", "bad_image");
    world_see(world, "/v1/images/one", "state", "awaiting_upload");
    await_files(world, 0);
}

static void test_image__a_second_upload_is_refused(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    autofree char *file = xasprintf("%s/tiny.raw", world->dir);
    struct answer auto_answer_json again =
        cloud_upload(&world->cloud, "/v1/images/tiny/content", file);
    assert_int_equal(again.status, 409);
    assert_int_equal(image_files(world), 1);
}

static void test_image__a_half_upload_is_never_usable_and_goes_away(void **state)
{
    struct world *world = *state;
    create(world, "half", "raw", NULL);
    char sum[SHA256_TEXT_MAX];
    autofree char *file = pattern_file(world, "file", 3000000, sum);
    struct err auto_err err = {0};
    struct buf auto_buf half = {0};
    assert_int_equal(file_read(file, 3000000, &half, &err), 0);
    autofree char *socket = xasprintf("%s/data/api.sock", world->dir);
    autofree char *head = xasprintf("PUT /v1/images/half/content HTTP/1.1\r\nHost: x\r\n"
                                    "Authorization: Bearer %s\r\nContent-Length: 4000000\r\n\r\n",
                                    world->cloud.token);
    struct raw raw = raw_open_unix(socket);
    assert_true(raw_puts(&raw, head) && raw_send(&raw, half.data, half.len));
    await_files(world, 1);
    raw_close(&raw); /* before the rest */
    await_files(world, 0);
    world_see(world, "/v1/images/half", "state", "awaiting_upload");
    struct answer auto_answer_json sent =
        cloud_upload(&world->cloud, "/v1/images/half/content", file);
    assert_int_equal(sent.status, 200);
}

static void test_image__its_file_stays_while_an_instance_uses_it(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    autofree char *id = world_create(world, "one");
    autofree char *path = world_instance(id);
    world_settle(host);

    world_did(world, 204, "DELETE", "/v1/images/tiny", NULL);
    world_did(world, 404, "GET", "/v1/images/tiny", NULL);
    /* Whoever removes the file of another one, deleted later, has looked at both. */
    world_image(world, "other");
    world_did(world, 204, "DELETE", "/v1/images/other", NULL);
    await_files(world, 1);
    assert_int_equal(world_number(world, "SELECT count(*) FROM image WHERE file_gone_ms > 0"), 1);
    autofree char *rebuild = world_act(world, id, "rebuild", "{}");
    world_settle(host);
    world_see(world, rebuild, "state", "done");
    world_image(world, "tiny"); /* the name is free */
    world_did(world, 202, "DELETE", path, NULL);
    world_settle(host);
    await_files(world, 1);
    assert_int_equal(world_number(world, "SELECT count(*) FROM image WHERE file_gone_ms > 0"), 2);
    sim_free(host);
}

static void test_image__a_deleted_one_serves_nothing_new(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    struct sim_agent *host = world_host(world, "h1", 8192);
    free(world_create(world, "one"));
    struct answer auto_answer_json image = world_call(world, 200, "GET", "/v1/images/tiny", NULL);

    world_did(world, 204, "DELETE", "/v1/images/tiny", NULL);
    world_did(world, 404, "POST", "/v1/instances",
              "{\"name\":\"two\",\"image\":\"%s\",\"flavor\":\"tiny\"}", answer_str(&image, "id"));
    sim_free(host);
}

static void test_image__a_start_removes_what_never_was_whole_and_nothing_else(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    static const char *const parts[] = {"01890000-0000-7000-8000-000000000000.part-1234abcd",
                                        "01890000-0000-7000-8000-000000000000.json.tmp"};
    static const char *const others[] = {"01890000-0000-7000-8000-000000000000.part-1234",
                                         "01890000-0000-7000-8000-000000000000.part-1234abcdx",
                                         "01890000-0000-7000-8000-000000000000", "junk",
                                         "junk.part-1234abcd"};
    autofree char *folder = xasprintf("%s/lost+found", world->app->image_dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < ARRAY_SIZE(parts) + ARRAY_SIZE(others); i++) {
        autofree char *path =
            xasprintf("%s/%s", world->app->image_dir,
                      i < ARRAY_SIZE(parts) ? parts[i] : others[i - ARRAY_SIZE(parts)]);
        fclose(fopen(path, "w"));
    }
    world_restart(world);
    for (size_t i = 0; i < ARRAY_SIZE(parts) + ARRAY_SIZE(others); i++) {
        bool stays = i >= ARRAY_SIZE(parts);
        const char *name = stays ? others[i - ARRAY_SIZE(parts)] : parts[i];
        autofree char *path = xasprintf("%s/%s", world->app->image_dir, name);
        if ((access(path, F_OK) == 0) != stays)
            fail_msg("%s %s", name, stays ? "is gone" : "stayed");
    }
    world_see(world, "/v1/images/tiny", "state", "ready");
}

/* The row says that it is deleted, but the power went before the file did. */
static void test_image__a_start_removes_the_file_of_a_row_that_says_deleted(void **state)
{
    struct world *world = *state;
    world_image(world, "tiny");
    world_number(world, "UPDATE image SET deleted_ms = 1, file_gone_ms = 1");
    assert_int_equal(image_files(world), 1);
    world_restart(world);
    assert_int_equal(image_files(world), 0);
}

static void test_image__a_disk_smaller_than_it_is_refused_by_name(void **state)
{
    struct world *world = *state;
    autofree char *file = xasprintf("%s/big", world->dir);
    FILE *out = fopen(file, "w");
    assert_int_equal(ftruncate(fileno(out), (1LL << 30) + 512), 0);
    fclose(out);
    create(world, "big", "raw", NULL);
    struct answer auto_answer_json sent =
        cloud_upload(&world->cloud, "/v1/images/big/content", file);
    assert_int_equal(sent.status, 200);
    struct sim_agent *host = world_host(world, "h1", 8192);
    struct answer auto_answer_json refused =
        world_call(world, 400, "POST", "/v1/instances",
                   "{\"name\":\"a\",\"image\":\"big\",\"flavor\":\"tiny\"}");
    world_is(&refused, "field", "/disk_gib");
    assert_non_null(strstr(answer_str(&refused, "detail"), "at least 2 GiB"));
    create(world, "empty", "raw", NULL);
    struct answer auto_answer_json early =
        world_call(world, 409, "POST", "/v1/instances",
                   "{\"name\":\"a\",\"image\":\"empty\",\"flavor\":\"tiny\"}");
    assert_non_null(strstr(answer_str(&early, "detail"), "upload it first"));
    sim_free(host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_image__comes_back_as_it_was_sent_whatever_its_size),
        TEST(test_image__a_wrong_sum_or_header_leaves_nothing),
        TEST(test_image__a_second_upload_is_refused),
        TEST(test_image__a_half_upload_is_never_usable_and_goes_away),
        TEST(test_image__its_file_stays_while_an_instance_uses_it),
        TEST(test_image__a_deleted_one_serves_nothing_new),
        TEST(test_image__a_start_removes_what_never_was_whole_and_nothing_else),
        TEST(test_image__a_start_removes_the_file_of_a_row_that_says_deleted),
        TEST(test_image__a_disk_smaller_than_it_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
