/* images/<id>.json. */
#include "controller/image/image_note.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/types.h"
#include "controller/image/store_image.h"
#include "controller/world.h"

enum { NOTE_BYTES = 8192 }; /* a few names and a sum */

char *image_note_path(const struct app *app, const char *id)
{
    return xasprintf("%s/%s.json", app->image_dir, id);
}

int image_note_write(const struct app *app, const struct image *image, struct err *err)
{
    auto_buf struct buf text = {0};
    struct json_writer w = JSON_WRITER(&text);
    char bytes[24];
    autofree char *path = image_note_path(app, image->id);
    snprintf(bytes, sizeof(bytes), "%" PRId64, image->size_bytes);
    json_open(&w, NULL, '{');
    json_put_str(&w, "id", image->id);
    json_put_str(&w, "name", image->name);
    json_put_str(&w, "project", image->project);
    json_put_str(&w, "format", format_names[image->format]);
    json_put_str(&w, "size_bytes", bytes);
    json_put_str(&w, "sha256", image->sha256);
    json_close(&w, '}');
    buf_putc(&text, '\n');
    return file_write("image_note", path, text.data, text.len, 0600, err);
}

struct json *image_note_read(const struct app *app, const char *id)
{
    auto_buf struct buf text = {0};
    auto_err struct err ignored = {0};
    struct json *note = NULL;
    autofree char *path = image_note_path(app, id);
    if (file_read(path, NOTE_BYTES, &text, &ignored) != 0 || !text.data ||
        json_parse(text.data, text.len, &note, &ignored) != 0)
        return NULL;
    return note;
}
