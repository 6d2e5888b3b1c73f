/* Images: rows and the rules about them. The bytes are image_upload.c's. */
#ifndef MINICLOUD_CONTROLLER_IMAGE_IMAGE_H
#define MINICLOUD_CONTROLLER_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/base/id.h"

struct app;
struct err;
struct image;
struct json_writer;
struct tx;

void image_put(struct json_writer *w, const char *key, const struct image *image);

struct image_new {
    const char *id; /* NULL: a new one */
    int64_t project_key;
    const char *name;
    bool public;
    int format;
    const char *sha256; /* expected; NULL: none */
    const char *labels;
};
int image_create(struct tx *tx, const struct image_new *wanted, int64_t *ret_key, struct err *err);

/* NULL and -1: stays. */
struct image_patch {
    const char *name, *labels;
    int public;
};
int image_update(struct tx *tx, struct image *image, const struct image_patch *patch,
                 struct err *err);
/* The name is free at once; the file stays while an instance uses it. */
int image_delete(struct tx *tx, struct image *image, struct err *err);

/* Whether the file of a ready image is there, as somebody has looked; no news, no change. No
 * evidence: that is for who knows whether our line of time has begun (usage_life.c). */
int image_note_file(struct tx *tx, struct image *image, bool there, struct err *err);

/* What an upload proved of the file that is already in its place. A missing one is whole again
 * by the same bytes only. */
struct image_content {
    int64_t size_bytes, virtual_bytes;
    char sha256[SHA256_TEXT_MAX];
};
int image_set_ready(struct tx *tx, struct image *image, const struct image_content *content,
                    struct err *err);
/* ERR_CONFLICT, saying what to do, while there are no bytes to use. */
int image_has_content(const struct image *image, struct err *err);
/* Whether its file may be used for a disk of so many GiB. `field` is named in the refusal. */
int image_usable(const struct image *image, int64_t disk_gib, const char *field, struct err *err);

/* Marks the files of deleted images that no instance uses as gone, then unlinks them. Any
 * thread but the writer's; cheap when there is nothing. */
int image_reap(struct app *app, struct err *err);

#endif
