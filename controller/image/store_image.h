/* Rows of images. */
#ifndef MINICLOUD_CONTROLLER_IMAGE_STORE_IMAGE_H
#define MINICLOUD_CONTROLLER_IMAGE_STORE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/db/store.h"

struct db;
struct err;

/* MISSING: it was ready, but its file is not there. */
enum image_state { IMAGE_AWAITING_UPLOAD, IMAGE_READY, IMAGE_MISSING };
extern const char *const image_state_names[];

/* A row; texts borrowed or, after store_image_get(), from `owned`. */
struct image {
    int64_t key, project_key;
    const char *id, *project, *name;
    bool public;
    int format; /* enum image_format */
    int state;  /* enum image_state */
    int64_t size_bytes, virtual_bytes;
    const char *sha256, *expected_sha256;
    const char *labels;
    int64_t revision, created_ms, deleted_ms, file_gone_ms, file_missing_ms;
    char *owned;
};

void image_release(struct image *image);
#define auto_image __attribute__((cleanup(image_release)))

typedef void image_each(void *ctx, const struct image *image);

/* The caller releases. ERR_NOT_FOUND when there is none. */
int store_image_get(struct db *db, int64_t key, struct image *ret_image, struct err *err);
/* By UUID. 1: found, 0: none, -1. */
int store_image_find(struct db *db, const char *id, struct image *ret_image, struct err *err);
/* Whether one of this UUID was deleted so long ago that only its usage is kept. 1, 0, -1. */
int store_image_is_past(struct db *db, const char *id, struct err *err);

/* Zero or NULL: any. Own ones and public ones of others. */
struct image_filter {
    int64_t project_key;
    const char *name;
    int state;          /* enum image_state + 1 */
    const char *labels; /* JSON object: all of these, null for any value */
};
int store_image_list(struct db *db, const struct image_filter *filter, struct window *window,
                     image_each *each, void *ctx, struct err *err);
/* SHA-256 of every file that is kept, each once. */
typedef void image_hash_each(void *ctx, const char *sha256);
int store_image_hashes(struct db *db, image_hash_each *each, void *ctx, struct err *err);
/* The same of files that were removed since every image that had them was deleted: the newest
 * so many. */
int store_image_hashes_gone(struct db *db, int64_t limit, image_hash_each *each, void *ctx,
                            struct err *err);
/* Rows whose file must be there. */
int store_image_files(struct db *db, image_each *each, void *ctx, struct err *err);
/* Deleted ones that no live instance uses and whose file is not marked gone. */
int store_image_unused(struct db *db, image_each *each, void *ctx, struct err *err);
/* Whether an instance that is not gone uses it on this node: 1, 0, -1. */
int store_image_on_node(struct db *db, int64_t image_key, int64_t node_key, struct err *err);

int store_image_insert(struct db *db, struct image *image, struct err *err);
int store_image_update(struct db *db, const struct image *image, struct err *err);
int store_image_set_file_gone(struct db *db, int64_t key, int64_t now_ms, struct err *err);

#endif
