/* Rules about images. */
#include "controller/image/image.h"

#include <inttypes.h>
#include <string.h>

#include "api/base/err.h"
#include "api/json/json.h"
#include "api/types.h"
#include "controller/db/db.h"
#include "controller/image/store_image.h"
#include "controller/ledger/evidence/evidence.h"
#include "controller/tx/writer.h"

#define GIB (1024LL * 1024 * 1024)

static void put_bytes(struct json_writer *w, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    json_put_str(w, key, value ? text : NULL);
}

void image_put(struct json_writer *w, const char *key, const struct image *image)
{
    json_open(w, key, '{');
    json_put_str(w, "id", image->id);
    json_put_str(w, "name", image->name);
    json_put_str(w, "project", image->project);
    json_put_bool(w, "public", image->public);
    json_put_str(w, "format", format_names[image->format]);
    json_put_str(w, "state", image_state_names[image->state]);
    put_bytes(w, "size_bytes", image->size_bytes);
    put_bytes(w, "virtual_bytes", image->virtual_bytes);
    json_put_str(w, "sha256", image->sha256 ? image->sha256 : image->expected_sha256);
    json_put_key(w, "labels");
    json_put_raw(w, NULL, image->labels, strlen(image->labels));
    json_put_time(w, "created_at", image->created_ms);
    json_put_time(w, "deleted_at", image->deleted_ms);
    json_close(w, '}');
}

static void event(struct tx *tx, struct image *image, const char *what)
{
    image->revision = tx_event(tx, &(struct event_row){.project_key = image->project_key,
                                                       .kind = "image",
                                                       .id = image->id,
                                                       .name = image->name,
                                                       .what = what});
}

int image_create(struct tx *tx, const struct image_new *wanted, int64_t *ret_key, struct err *err)
{
    char id[ID_TEXT_MAX];
    if (!wanted->id)
        id_new(id);
    struct image image = {
        .project_key = wanted->project_key,
        .id = wanted->id ? wanted->id : id,
        .name = wanted->name,
        .public = wanted->public,
        .format = wanted->format,
        .expected_sha256 = wanted->sha256,
        .labels = wanted->labels,
        .created_ms = tx->now_ms,
    };
    event(tx, &image, "created");
    if (store_image_insert(tx->db, &image, err) != 0)
        return -1;
    *ret_key = image.key;
    return 0;
}

int image_update(struct tx *tx, struct image *image, const struct image_patch *patch,
                 struct err *err)
{
    if (patch->name)
        image->name = patch->name;
    if (patch->labels)
        image->labels = patch->labels;
    if (patch->public >= 0)
        image->public = patch->public != 0;
    event(tx, image, "updated");
    return store_image_update(tx->db, image, err);
}

int image_delete(struct tx *tx, struct image *image, struct err *err)
{
    image->deleted_ms = tx->now_ms;
    event(tx, image, "deleted");
    if (image->state == IMAGE_READY && evidence_image(tx, image->id, OBS_GONE, 0, err) != 0)
        return -1;
    return store_image_update(tx->db, image, err);
}

int image_note_file(struct tx *tx, struct image *image, bool there, struct err *err)
{
    if (there == (image->file_missing_ms == 0))
        return 0;
    image->file_missing_ms = there ? 0 : tx->now_ms;
    event(tx, image, there ? "file_found" : "file_missing");
    return store_image_update(tx->db, image, err);
}

/* A missing one was uploaded before, so that its sizes and its sum are known. */
static int check_again(const struct image *image, const struct image_content *content,
                       struct err *err)
{
    if (strcmp(image->sha256, content->sha256) == 0)
        return 0;
    return err_set(err, ERR_CHECKSUM,
                   "image %s is known to have SHA-256 %s, but this content has %s", image->name,
                   image->sha256, content->sha256);
}

int image_set_ready(struct tx *tx, struct image *image, const struct image_content *content,
                    struct err *err)
{
    if (image->deleted_ms)
        return err_set(err, ERR_NOT_FOUND, "the image was deleted during its upload");
    if (image->state == IMAGE_READY)
        return err_set(err, ERR_CONFLICT, "image %s has its content already", image->name);
    if (image->state == IMAGE_MISSING && check_again(image, content, err) != 0)
        return -1;
    image->state = IMAGE_READY;
    image->file_missing_ms = 0;
    image->size_bytes = content->size_bytes;
    image->virtual_bytes = content->virtual_bytes;
    image->sha256 = content->sha256;
    event(tx, image, "ready");
    if (evidence_image(tx, image->id, OBS_ALLOCATED, image->size_bytes, err) != 0)
        return -1;
    return store_image_update(tx->db, image, err);
}

int image_has_content(const struct image *image, struct err *err)
{
    if (image->state == IMAGE_AWAITING_UPLOAD)
        return err_set(err, ERR_CONFLICT,
                       "image %s has no content yet: upload it first (PUT /v1/images/%s/content)",
                       image->name, image->id);
    if (image->state == IMAGE_MISSING)
        return err_set(err, ERR_CONFLICT,
                       "image %s has lost its file, images/%s, on the controller: upload the same "
                       "content again (PUT /v1/images/%s/content), or delete the image",
                       image->name, image->id, image->id);
    return 0;
}

int image_usable(const struct image *image, int64_t disk_gib, const char *field, struct err *err)
{
    if (image_has_content(image, err) != 0)
        return -1;
    if (image->virtual_bytes <= disk_gib * GIB)
        return 0;
    return err_field(err, field,
                     "disk_gib is %" PRId64 ", but image %s needs a disk of at least %" PRId64
                     " GiB (its virtual size is %" PRId64 " bytes)",
                     disk_gib, image->name, (int64_t)((image->virtual_bytes + GIB - 1) / GIB),
                     image->virtual_bytes);
}
