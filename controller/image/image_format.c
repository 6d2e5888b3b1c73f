/* Headers of raw and qcow2 images. The layout is that of QEMU's docs/interop/qcow2.txt:
 * all numbers big-endian. What a header points at must lie inside the file; what would make
 * QEMU open another file, or what we do not know, is refused. */
#include "controller/image/image_format.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "api/base/err.h"
#include "api/base/limits.h"
#include "api/types.h"

enum {
    HEADER_V2 = 72,
    HEADER_V3_MIN = 104,
    CLUSTER_BITS_MIN = 9,
    CLUSTER_BITS_MAX = 21,
    CLUSTER_BITS_EXTENDED_L2 = 14,
    L1_ENTRIES_MAX = 32 * 1024 * 1024 / 8, /* QEMU's own bound */
    SNAPSHOTS_MAX = 65536,
};

enum {
    INCOMPATIBLE_DIRTY = 1 << 0,
    INCOMPATIBLE_CORRUPT = 1 << 1,
    INCOMPATIBLE_DATA_FILE = 1 << 2,
    INCOMPATIBLE_COMPRESSION = 1 << 3,
    INCOMPATIBLE_EXTENDED_L2 = 1 << 4,
    INCOMPATIBLE_KNOWN = (1 << 5) - 1,
};

static const uint8_t magic[4] = {'Q', 'F', 'I', 0xfb};

struct qcow2 {
    const uint8_t *head;
    size_t len;
    int64_t file_bytes;
    uint32_t version, cluster_bits, header_bytes;
    uint64_t incompatible;
    int64_t virtual_bytes;
};

static uint64_t number(const struct qcow2 *image, size_t at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | image->head[at + i];
    return value;
}

static int bad(struct err *err, const char *what)
{
    return err_set(err, ERR_BAD_IMAGE, "the image was refused: %s", what);
}

static int check_version(struct qcow2 *image, struct err *err)
{
    if (image->len < HEADER_V2 || memcmp(image->head, magic, sizeof(magic)) != 0)
        return bad(err, "declared qcow2, but it does not begin with a qcow2 header");
    image->version = (uint32_t)number(image, 4, 4);
    if (image->version != 2 && image->version != 3)
        return bad(err, "its qcow2 version is neither 2 nor 3");
    image->header_bytes = HEADER_V2;
    if (image->version == 2)
        return 0;
    if (image->len < HEADER_V3_MIN)
        return bad(err, "it is shorter than a qcow2 version 3 header");
    image->header_bytes = (uint32_t)number(image, 100, 4);
    image->incompatible = number(image, 72, 8);
    return 0;
}

static int check_features(const struct qcow2 *image, struct err *err)
{
    uint64_t bits = image->incompatible;
    if (number(image, 8, 8) != 0 || number(image, 16, 4) != 0)
        return bad(err, "it has a backing file: flatten it first (qemu-img convert)");
    if (bits & INCOMPATIBLE_DATA_FILE)
        return bad(err, "its data is in an external file: convert it first (qemu-img convert)");
    if (bits & (INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT))
        return bad(err, "it is marked dirty or corrupt: repair it first (qemu-img check -r all)");
    if (bits & ~(uint64_t)INCOMPATIBLE_KNOWN)
        return err_set(err, ERR_BAD_IMAGE,
                       "the image was refused: it needs incompatible features that are not known "
                       "here (bits 0x%" PRIx64 ")",
                       bits & ~(uint64_t)INCOMPATIBLE_KNOWN);
    if (number(image, 32, 4) != 0)
        return bad(err, "it is encrypted");
    return 0;
}

/* Byte 104 says how clusters are compressed when the feature bit is set: 1 is zstd. */
static int check_compression(const struct qcow2 *image, struct err *err)
{
    bool has_field =
        image->version == 3 && image->header_bytes > HEADER_V3_MIN && image->len > HEADER_V3_MIN;
    uint64_t type = has_field ? number(image, 104, 1) : 0;
    bool flagged = image->incompatible & INCOMPATIBLE_COMPRESSION;
    if (type > 1 || flagged != (type == 1))
        return bad(err, "its compression type is not known, or contradicts its feature bits");
    return 0;
}

static int check_sizes(struct qcow2 *image, struct err *err)
{
    image->cluster_bits = (uint32_t)number(image, 20, 4);
    if (image->cluster_bits < CLUSTER_BITS_MIN || image->cluster_bits > CLUSTER_BITS_MAX)
        return bad(err, "its cluster size is not from 512 bytes to 2 MiB");
    if (image->incompatible & INCOMPATIBLE_EXTENDED_L2 &&
        image->cluster_bits < CLUSTER_BITS_EXTENDED_L2)
        return bad(err, "its clusters are too small for extended L2 entries");
    uint64_t cluster = 1ULL << image->cluster_bits;
    if (image->version == 3 && (image->header_bytes < HEADER_V3_MIN ||
                                image->header_bytes % 8 != 0 || image->header_bytes > cluster))
        return bad(err, "its header length is out of bounds");
    uint64_t size = number(image, 24, 8);
    if (size == 0 || size > (uint64_t)LIMIT_IMAGE_BYTES || size % 512 != 0)
        return bad(err, "its virtual size is 0, not a multiple of 512, or over 16 TiB");
    image->virtual_bytes = (int64_t)size;
    return 0;
}

/* A table of `bytes` at `at` lies behind the header, inside the file, on a cluster's start. */
static bool table_inside(const struct qcow2 *image, uint64_t at, uint64_t bytes)
{
    uint64_t cluster = 1ULL << image->cluster_bits, file = (uint64_t)image->file_bytes;
    return at >= cluster && at % cluster == 0 && at <= file && bytes <= file - at;
}

static int check_tables(const struct qcow2 *image, struct err *err)
{
    uint64_t cluster = 1ULL << image->cluster_bits;
    uint64_t entry = image->incompatible & INCOMPATIBLE_EXTENDED_L2 ? 16 : 8;
    uint64_t per_l1 = cluster / entry * cluster;
    uint64_t needed = ((uint64_t)image->virtual_bytes + per_l1 - 1) / per_l1;
    uint64_t l1_entries = number(image, 36, 4), l1_at = number(image, 40, 8);
    if (l1_entries < needed || l1_entries > L1_ENTRIES_MAX)
        return bad(err, "its L1 table does not fit its virtual size");
    if (!table_inside(image, l1_at, l1_entries * 8))
        return bad(err, "its L1 table is not inside the file");
    uint64_t refcount_at = number(image, 48, 8), refcount_clusters = number(image, 56, 4);
    /* The last cluster of a file may be cut short, but the table must begin in it. */
    if (refcount_clusters == 0 || refcount_clusters > 8 * 1024 * 1024 / cluster + 1 ||
        !table_inside(image, refcount_at, (refcount_clusters - 1) * cluster + 8))
        return bad(err, "its refcount table is not inside the file");
    uint64_t snapshots = number(image, 60, 4);
    if (snapshots > SNAPSHOTS_MAX ||
        (snapshots && !table_inside(image, number(image, 64, 8), snapshots * 40)))
        return bad(err, "its snapshot table is not inside the file");
    if (image->version == 3 && number(image, 96, 4) > 6)
        return bad(err, "its refcounts are wider than 64 bits");
    return 0;
}

static int check_qcow2(const uint8_t *head, size_t head_len, int64_t file_bytes,
                       int64_t *ret_virtual_bytes, struct err *err)
{
    struct qcow2 image = {.head = head, .len = head_len, .file_bytes = file_bytes};
    if (check_version(&image, err) != 0 || check_features(&image, err) != 0 ||
        check_sizes(&image, err) != 0 || check_compression(&image, err) != 0 ||
        check_tables(&image, err) != 0)
        return -1;
    *ret_virtual_bytes = image.virtual_bytes;
    return 0;
}

/* A qcow2 file declared raw would be taken for what it is by whoever probes it. */
static int check_raw(const uint8_t *head, size_t head_len, int64_t file_bytes,
                     int64_t *ret_virtual_bytes, struct err *err)
{
    if (file_bytes <= 0)
        return bad(err, "it is empty");
    if (head_len >= sizeof(magic) && memcmp(head, magic, sizeof(magic)) == 0)
        return bad(err, "declared raw, but it is a qcow2 image: create it with format qcow2");
    *ret_virtual_bytes = (file_bytes + 511) / 512 * 512;
    return 0;
}

int image_format_check(int format, const uint8_t *head, size_t head_len, int64_t file_bytes,
                       int64_t *ret_virtual_bytes, struct err *err)
{
    if (format == FORMAT_RAW)
        return check_raw(head, head_len, file_bytes, ret_virtual_bytes, err);
    return check_qcow2(head, head_len, file_bytes, ret_virtual_bytes, err);
}
