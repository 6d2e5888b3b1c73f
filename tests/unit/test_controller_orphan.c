/* Image files and rows that have lost each other: nothing is deleted by being unknown, all is
 * told, and all can be put together again. */
#include <fcntl.h>

#include "controller/image/store_image.h"
#include "controller/tx/readers.h"
#include "tests/unit/controller_tenants.h"

static void run(char *const argv[])
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

/* The database alone, as it is now, and later in place of the newer one. */
static void copy_database(struct world *world, bool back)
{
    autofree char *data = xasprintf("%s/data/", world->dir);
    autofree char *copy = xasprintf("%s/copy/", world->dir);
    world_close(world);
    mkdir(copy, 0700);
    static const char *const names[] = {"minicloud.db", "minicloud.db-wal", "minicloud.db-shm"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        autofree char *from = xasprintf("%s%s", back ? copy : data, names[i]);
        autofree char *to = xasprintf("%s%s", back ? data : copy, names[i]);
        unlink(to);
        if (access(from, F_OK) == 0)
            run((char *[]){(char[]){"cp"}, (char[]){"-a"}, from, to, NULL});
    }
    world_open(world);
}

static char *image_id(struct world *world, const char *name)
{
    autofree char *path = xasprintf("/v1/images/%s", name);
    struct answer auto_answer_json image = world_call(world, 200, "GET", path, NULL);
    return xstrdup(answer_str(&image, "id"));
}

static char *file_of(struct world *world, const char *name)
{
    return xasprintf("%s/%s", world->app->image_dir, name);
}

static bool is_there(struct world *world, const char *name)
{
    autofree char *path = file_of(world, name);
    return access(path, F_OK) == 0;
}

static void put_file(struct world *world, const char *name, const char *text)
{
    autofree char *path = file_of(world, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static struct answer upload(struct world *world, const char *image, const char *text)
{
    autofree char *file = xasprintf("%s/upload", world->dir);
    autofree char *path = xasprintf("/v1/images/%s/content", image);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    return cloud_upload(&world->cloud, path, file);
}

static void announce(struct world *world, const char *name)
{
    world_did(world, 201, "POST", "/v1/images", "{\"name\":\"%s\",\"format\":\"raw\"}", name);
}

static void add_image(struct world *world, const char *name, const char *text)
{
    announce(world, name);
    struct answer auto_answer_json sent = upload(world, name, text);
    if (sent.status != 200)
        fail_msg("%s", sent.text);
}

static void orphans_are(struct world *world, size_t count)
{
    struct answer auto_answer_json list = world_call(world, 200, "GET", "/v1/orphans", NULL);
    if (json_count(answer_at(&list, "orphans")) != count)
        fail_msg("not %zu orphans: %s", count, list.text);
}

static void metric_is(struct world *world, const char *line)
{
    struct answer auto_answer_json all = world_call(world, 200, "GET", "/metrics", NULL);
    if (!strstr(all.text, line))
        fail_msg("there is no %s in %s", line, all.text);
}

static void ledger_holds(struct world *world)
{
    struct answer auto_answer_json verified =
        world_call(world, 200, "POST", "/v1/usage/verify", "{}");
    world_did(world, 200, "GET", "/v1/usage/now", NULL);
    bool ok = false;
    assert_true(json_bool(answer_at(&verified, "verified"), &ok));
    assert_true(ok);
}

/* ---- a row that is lost ---- */

static void test_orphan__an_older_copy_of_the_database_deletes_no_newer_image(void **state)
{
    struct world *world = *state;
    add_image(world, "old", "old bytes");
    copy_database(world, false);
    add_image(world, "new", "new bytes");
    autofree char *id = image_id(world, "new"), *old = image_id(world, "old");
    copy_database(world, true);

    assert_true(is_there(world, id));
    assert_true(is_there(world, old));
    struct answer auto_answer_json list = world_call(world, 200, "GET", "/v1/orphans", NULL);
    world_is(&list, "orphans.0.file", id);
    world_is(&list, "orphans.0.size_bytes", "9");
    world_is(&list, "orphans.0.name", "new");
    world_is(&list, "orphans.0.project", "default");
    world_is(&list, "orphans.0.format", "raw");
    world_is(&list, "orphans.0.reason", "there is no such image");
    assert_int_equal(json_count(answer_at(&list, "orphans")), 1);
    metric_is(world, "\nminicloud_image_orphans 1\n");
    metric_is(world, "\nminicloud_image_orphan_bytes 9\n");
}

static void test_orphan__a_file_becomes_its_image_again(void **state)
{
    struct world *world = *state;
    copy_database(world, false);
    add_image(world, "new", "new bytes");
    autofree char *id = image_id(world, "new");
    copy_database(world, true);

    autofree char *path = xasprintf("/v1/orphans/%s/import", id);
    struct answer auto_answer_json taken =
        cloud_call_as(&world->cloud, NULL, "key", "POST", path, "{}");
    assert_int_equal(taken.status, 201);
    world_is(&taken, "id", id);
    world_is(&taken, "name", "new");
    world_is(&taken, "state", "ready");
    orphans_are(world, 0);
    metric_is(world, "\nminicloud_image_orphans 0\n");
    /* Once more with the same key: the answer that was kept, though it is no orphan now. */
    struct answer auto_answer_json again =
        cloud_call_as(&world->cloud, NULL, "key", "POST", path, "{}");
    assert_int_equal(again.status, 201);
    assert_string_equal(again.text, taken.text);
    world_did(world, 404, "POST", path, "{}");
    world_restart(world);
    world_see(world, "/v1/images/new", "state", "ready");
    assert_int_equal(
        world_number(world, "SELECT count(*) FROM audit WHERE action = 'orphan.import'"), 1);
    struct sim_agent *host = world_host(world, "h1", 8192);
    world_did(world, 202, "POST", "/v1/instances",
              "{\"name\":\"one\",\"image\":\"new\",\"flavor\":\"tiny\"}");
    sim_free(host);
    ledger_holds(world);
}

static void test_orphan__what_is_not_known_of_a_file_is_asked_for(void **state)
{
    struct world *world = *state;
    static const char id[] = "01890000-0000-7000-8000-000000000000";
    put_file(world, id, "bytes");
    autofree char *path = xasprintf("/v1/orphans/%s/import", id);
    struct answer auto_answer_json bare = world_call(world, 400, "POST", path, "{}");
    world_is(&bare, "field", "/format");
    struct answer auto_answer_json half =
        world_call(world, 400, "POST", path, "{\"format\":\"raw\"}");
    world_is(&half, "field", "/name");
    struct answer auto_answer_json wrong =
        world_call(world, 422, "POST", path, "{\"format\":\"qcow2\",\"name\":\"a\"}");
    world_is(&wrong, "code", "bad_image");
    world_did(world, 404, "POST", "/v1/orphans/01890000-0000-7000-8000-000000000001/import",
              "{\"format\":\"raw\",\"name\":\"a\"}");
    tenant_project(world, "acme");
    path = (free(path), xasprintf("/v1/orphans/%s/import?project=acme", id));
    struct answer auto_answer_json taken =
        world_call(world, 201, "POST", path, "{\"format\":\"raw\",\"name\":\"a\"}");
    world_is(&taken, "project", "acme");
    world_is(&taken, "id", id);
}

static void test_orphan__a_damaged_file_is_not_taken_back(void **state)
{
    struct world *world = *state;
    copy_database(world, false);
    add_image(world, "new", "new bytes");
    autofree char *id = image_id(world, "new");
    copy_database(world, true);
    put_file(world, id, "bad bytes");
    autofree char *path = xasprintf("/v1/orphans/%s/import", id);
    struct answer auto_answer_json refused = world_call(world, 422, "POST", path, "{}");
    world_is(&refused, "code", "checksum_mismatch");
    assert_true(is_there(world, id));
    orphans_are(world, 1);
}

/* ---- a row that awaits what was uploaded already ---- */

static char *uploaded_after_the_copy(struct world *world, const char *text)
{
    announce(world, "new");
    copy_database(world, false);
    struct answer auto_answer_json sent = upload(world, "new", text);
    assert_int_equal(sent.status, 200);
    copy_database(world, true);
    world_see(world, "/v1/images/new", "state", "awaiting_upload");
    return image_id(world, "new");
}

static void test_orphan__the_same_upload_again_finds_its_file(void **state)
{
    struct world *world = *state;
    autofree char *id = uploaded_after_the_copy(world, "the bytes");
    struct answer auto_answer_json list = world_call(world, 200, "GET", "/v1/orphans", NULL);
    world_is(&list, "orphans.0.reason", "the image awaits its upload");
    struct answer auto_answer_json other = upload(world, "new", "not the same");
    assert_int_equal(other.status, 409);
    assert_non_null(strstr(answer_str(&other, "detail"), "image list --orphaned"));
    assert_true(is_there(world, id));
    struct answer auto_answer_json same = upload(world, "new", "the bytes");
    assert_int_equal(same.status, 200);
    world_is(&same, "state", "ready");
    orphans_are(world, 0);
}

static void test_orphan__an_announced_image_takes_its_file_by_import(void **state)
{
    struct world *world = *state;
    autofree char *id = uploaded_after_the_copy(world, "the bytes");
    autofree char *path = xasprintf("/v1/orphans/%s/import", id);
    struct answer auto_answer_json wrong =
        world_call(world, 400, "POST", path, "{\"format\":\"qcow2\"}");
    world_is(&wrong, "field", "/format");
    struct answer auto_answer_json taken = world_call(world, 201, "POST", path, "{}");
    world_is(&taken, "name", "new");
    world_is(&taken, "state", "ready");
}

static void test_orphan__deleting_the_announced_image_removes_its_file(void **state)
{
    struct world *world = *state;
    autofree char *id = uploaded_after_the_copy(world, "the bytes");
    world_did(world, 204, "DELETE", "/v1/images/new", NULL);
    world_until(world, !is_there(world, id));
    orphans_are(world, 0);
}

/* ---- by an operator's word ---- */

static void test_orphan__goes_by_an_operators_word_only(void **state)
{
    struct world *world = *state;
    add_image(world, "kept", "kept bytes");
    tenant_project(world, "acme");
    autofree char *dev = tenant_token(world, "acme", "dev", "admin");
    autofree char *kept = image_id(world, "kept");
    static const char id[] = "01890000-0000-7000-8000-000000000000";
    put_file(world, id, "bytes");
    put_file(world, "01890000-0000-7000-8000-000000000000.json", "{}");
    put_file(world, "a b%", "bytes");
    put_file(world, "\xff", "bytes");
    orphans_are(world, 2);
    autofree char *path = xasprintf("/v1/orphans/%s", id);
    autofree char *other = xasprintf("/v1/orphans/%s", kept);
    assert_int_equal(tenant_status(world, dev, "GET", "/v1/orphans", NULL), 403);
    assert_int_equal(tenant_status(world, dev, "DELETE", path, NULL), 403);
    world_did(world, 404, "DELETE", other, NULL);
    world_did(world, 404, "DELETE", "/v1/orphans/nothing", NULL);
    world_did(world, 404, "DELETE", "/v1/orphans/01890000-0000-7000-8000-000000000000.json", NULL);
    world_did(world, 204, "DELETE", path, NULL);
    assert_false(is_there(world, id));
    assert_false(is_there(world, "01890000-0000-7000-8000-000000000000.json"));
    world_did(world, 204, "DELETE", "/v1/orphans/a%20b%25", NULL);
    assert_true(is_there(world, kept));
    orphans_are(world, 0);
    assert_int_equal(world_number(world, "SELECT count(*) FROM audit WHERE action ="
                                         " 'orphan.delete' AND actor = 'token:admin'"),
                     2);
}

static void test_orphan__lists_come_in_pages(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 5; i++) {
        char name[8];
        snprintf(name, sizeof(name), "junk%d", i);
        put_file(world, name, "x");
    }
    struct answer auto_answer_json first =
        world_call(world, 200, "GET", "/v1/orphans?limit=3", NULL);
    world_is(&first, "orphans.2.file", "junk2");
    assert_null(answer_at(&first, "orphans.3"));
    autofree char *next = xasprintf("/v1/orphans?limit=3&cursor=%s", answer_str(&first, "next"));
    struct answer auto_answer_json rest = world_call(world, 200, "GET", next, NULL);
    world_is(&rest, "orphans.1.file", "junk4");
    assert_null(answer_at(&rest, "orphans.2"));
    assert_null(answer_str(&rest, "next"));
}

/* ---- a file that is lost ---- */

static void lost_says(struct world *world, const char *method, const char *path, const char *body)
{
    struct answer auto_answer_json refused =
        world_call(world, 409, method, path, body ? "%s" : NULL, body);
    if (!strstr(answer_str(&refused, "detail"), "has lost its file"))
        fail_msg("%s", refused.text);
}

static void test_orphan__an_image_whose_file_is_gone_says_so(void **state)
{
    struct world *world = *state;
    add_image(world, "tiny", "the bytes");
    copy_database(world, false);
    autofree char *id = image_id(world, "tiny");
    world_did(world, 204, "DELETE", "/v1/images/tiny", NULL);
    world_until(world, !is_there(world, id));
    copy_database(world, true);

    world_see(world, "/v1/images/tiny", "state", "missing");
    world_see(world, "/v1/images?state=missing", "images.0.name", "tiny");
    metric_is(world, "\nminicloud_images_missing 1\n");
    struct sim_agent *host = world_host(world, "h1", 8192);
    lost_says(world, "POST", "/v1/instances",
              "{\"name\":\"one\",\"image\":\"tiny\",\"flavor\":\"tiny\"}");
    lost_says(world, "GET", "/v1/images/tiny/content", NULL);
    struct answer auto_answer_json other = upload(world, "tiny", "others");
    assert_int_equal(other.status, 422);
    world_is(&other, "code", "checksum_mismatch");
    struct answer auto_answer_json same = upload(world, "tiny", "the bytes");
    assert_int_equal(same.status, 200);
    world_see(world, "/v1/images/tiny", "state", "ready");
    world_did(world, 202, "POST", "/v1/instances",
              "{\"name\":\"one\",\"image\":\"tiny\",\"flavor\":\"tiny\"}");
    sim_free(host);
    ledger_holds(world);
}

static int64_t words(struct world *world, int kind)
{
    autofree char *sql =
        xasprintf("SELECT count(*) FROM observation WHERE kind = %d AND resource_id <> ''", kind);
    return world_number(world, sql);
}

static void test_orphan__a_file_that_comes_back_is_found_and_paid_for_again(void **state)
{
    struct world *world = *state;
    enum { ALLOCATED = 2, GONE = 3 };
    add_image(world, "tiny", "the bytes");
    autofree char *id = image_id(world, "tiny");
    autofree char *path = file_of(world, id), *away = xasprintf("%s/away", world->dir);
    assert_int_equal(words(world, ALLOCATED), 1);
    assert_int_equal(rename(path, away), 0);
    world_restart(world);
    world_see(world, "/v1/images/tiny", "state", "missing");
    assert_int_equal(words(world, GONE), 1);
    world_restart(world);
    assert_int_equal(words(world, GONE), 1);
    assert_int_equal(rename(away, path), 0);
    world_restart(world);
    world_see(world, "/v1/images/tiny", "state", "ready");
    assert_int_equal(words(world, ALLOCATED), 2);
    world_restart(world);
    assert_int_equal(words(world, ALLOCATED), 2);
    ledger_holds(world);
}

static void test_orphan__a_file_lost_while_we_run_is_noticed_by_who_wants_it(void **state)
{
    struct world *world = *state;
    add_image(world, "tiny", "the bytes");
    autofree char *id = image_id(world, "tiny"), *path = file_of(world, id);
    assert_int_equal(unlink(path), 0);
    lost_says(world, "GET", "/v1/images/tiny/content", NULL);
    world_await(world, "/v1/images/tiny", "state", "missing");
    world_did(world, 204, "DELETE", "/v1/images/tiny", NULL);
    ledger_holds(world);
}

/* ---- what agents may drop from their caches ---- */

static void add_line(void *ctx, const char *sha256)
{
    buf_printf(ctx, "%s\n", sha256);
}

static void told_gone(struct world *world, const char *const *texts)
{
    struct buf auto_buf wanted = {0}, told = {0};
    struct err auto_err err = {0};
    for (size_t i = 0; texts[i]; i++) {
        uint8_t hash[SHA256_BYTES];
        char text[SHA256_TEXT_MAX];
        sha256(texts[i], strlen(texts[i]), hash);
        sha256_text(hash, text);
        add_line(&wanted, text);
    }
    assert_int_equal(store_image_hashes_gone(app_reader(world->app), 10, add_line, &told, &err), 0);
    assert_string_equal(told.data ? told.data : "", wanted.data ? wanted.data : "");
}

static void delete_image(struct world *world, const char *name)
{
    autofree char *path = xasprintf("/v1/images/%s", name), *id = image_id(world, name);
    world_did(world, 204, "DELETE", path, NULL);
    world_until(world, !is_there(world, id));
}

static void test_orphan__agents_are_told_what_was_deleted_and_not_what_is_unknown(void **state)
{
    struct world *world = *state;
    add_image(world, "a", "same");
    add_image(world, "b", "same");
    add_image(world, "c", "other");
    told_gone(world, (const char *[]){NULL});
    delete_image(world, "a");
    told_gone(world, (const char *[]){NULL}); /* b has the same bytes */
    delete_image(world, "b");
    told_gone(world, (const char *[]){"same", NULL});
    copy_database(world, false);
    add_image(world, "new", "new");
    delete_image(world, "c");
    copy_database(world, true);
    told_gone(world, (const char *[]){"same", NULL});
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_orphan__##name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_older_copy_of_the_database_deletes_no_newer_image),
        TEST(a_file_becomes_its_image_again),
        TEST(what_is_not_known_of_a_file_is_asked_for),
        TEST(a_damaged_file_is_not_taken_back),
        TEST(the_same_upload_again_finds_its_file),
        TEST(an_announced_image_takes_its_file_by_import),
        TEST(deleting_the_announced_image_removes_its_file),
        TEST(goes_by_an_operators_word_only),
        TEST(lists_come_in_pages),
        TEST(an_image_whose_file_is_gone_says_so),
        TEST(a_file_that_comes_back_is_found_and_paid_for_again),
        TEST(a_file_lost_while_we_run_is_noticed_by_who_wants_it),
        TEST(agents_are_told_what_was_deleted_and_not_what_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
