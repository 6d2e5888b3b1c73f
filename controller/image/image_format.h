/* Our own reader of image headers: no image is usable before it has passed. Pure. */
#ifndef MINICLOUD_CONTROLLER_IMAGE_IMAGE_FORMAT_H
#define MINICLOUD_CONTROLLER_IMAGE_IMAGE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

struct err;

/* Bytes of the file's beginning that are wanted (or all, when it is shorter). */
enum { IMAGE_HEAD_BYTES = 512 };

/* `format`: enum image_format. Refusals are ERR_BAD_IMAGE and say what and why. */
int image_format_check(int format, const uint8_t *head, size_t head_len, int64_t file_bytes,
                       int64_t *ret_virtual_bytes, struct err *err);

#endif
