/* The files of images: images/<id> when ready with images/<id>.json beside it, which says what
 * the row said; images/<id>.part-<random> while it comes. Only what our own row calls deleted,
 * and what never was whole, is removed: a file that no row knows is an orphan. */
#ifndef MINICLOUD_CONTROLLER_IMAGE_IMAGE_FILES_H
#define MINICLOUD_CONTROLLER_IMAGE_IMAGE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "api/base/id.h"
struct app;
struct err;

struct db;
struct image;

/* Owned by the caller. */
char *image_path(const struct app *app, const char *id);
char *image_part_path(const struct app *app, const char *id);
/* Whether the name is one of a file on its way: our own, and never told of as an image. */
bool image_is_part(const char *name);
/* The file and what is beside it. A missing one is no error. */
int image_unlink(const struct app *app, const char *id, struct err *err);

/* One at a time fills, takes back or removes the file of one id. false: somebody is at it. */
bool image_claim(const struct app *app, const char *id);
void image_unclaim(const struct app *app, const char *id);

/* The bytes as they are on the disk now, for a pool thread: this may take long. */
int image_sum(const struct app *app, const char *path, char sum[SHA256_TEXT_MAX], struct err *err);
/* An image's file was looked for and is not there: its row is to say so. Any thread. */
void image_file_lost(struct app *app, int64_t key);

/* ---- orphans ---- */

struct orphan {
    const char *file; /* the name in images/ */
    bool has_id;      /* the name is an id, so that it may be an image again */
    bool past;        /* but one of that id was deleted, and bills speak of it */
    int64_t bytes, modified_ms;
    const struct image *row; /* an image that awaits its upload; NULL: there is none */
};

/* 1: that file is there and is an orphan, with `row` (owned) and `orphan` filled as far as there
 * is something; 0: no; -1. */
int orphan_find(const struct app *app, struct db *db, const char *file, struct image *ret_row,
                struct orphan *ret_orphan, struct err *err);
/* All, sorted by name. Their number and bytes are kept in the app. */
typedef void orphan_each(void *ctx, const struct orphan *orphan);
int orphans_list(struct app *app, struct db *db, orphan_each *each, void *ctx, struct err *err);

/* At start, before requests: removes what a half upload left behind. */
int image_start(struct app *app, struct err *err);

#endif
