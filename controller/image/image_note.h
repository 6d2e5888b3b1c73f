/* What is written beside an image's file, so that an image whose row is lost can be taken back:
 * what the row said when the content came. */
#ifndef MINICLOUD_CONTROLLER_IMAGE_IMAGE_NOTE_H
#define MINICLOUD_CONTROLLER_IMAGE_IMAGE_NOTE_H

struct app;
struct err;
struct image;
struct json;

/* Owned by the caller. */
char *image_note_path(const struct app *app, const char *id);
/* Durably; of `image` its names, format, size and sum are used. */
int image_note_write(const struct app *app, const struct image *image, struct err *err);
/* NULL: there is none that can be read. Owned by the caller. */
struct json *image_note_read(const struct app *app, const char *id);

#endif
