/* An upload on its way to a file: bytes come on the connection's thread into one buffer
 * while a pool thread writes and hashes the other. Never more than two buffers in memory;
 * when both are full the connection sleeps. How many there are at once their shares bound. Nothing
 * of it is usable before its hash and header were checked, the file synced and renamed, and the row
 * committed. */
#ifndef MINICLOUD_CONTROLLER_IMAGE_IMAGE_UPLOAD_H
#define MINICLOUD_CONTROLLER_IMAGE_IMAGE_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct http_request;
struct image;
struct request;
struct upload;

/* Takes a share and opens the part file. ERR_CONFLICT while another upload of the same image
 * runs; once one was refused, the next may come. The upload
 * belongs to the request (r->input) and ends with it. `sha256` NULL: as the row says. */
int upload_begin(struct request *r, const struct image *image, const char *sha256, struct err *err);
/* http_sink. */
long upload_sink(void *ctx, struct http_request *req, const char *data, size_t len);
/* All bytes have come: suspends, finishes on the pool, commits, answers. */
void upload_end(struct request *r);

#endif
