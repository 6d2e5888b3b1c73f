/* Makes the NoCloud seed; see seed.h. The only code that includes <archive.h>. */
#include "node-agent/instance/seed.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/stat.h>

#include "api/base/base64.h"
#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/node_protocol.h"

/* A JSON string is a YAML double-quoted scalar. */
static void put_quoted(struct buf *out, const char *text)
{
    struct json_writer w = JSON_WRITER(out);
    json_put_str(&w, NULL, text);
}

static void put_meta_data(const struct desired_instance *instance, struct buf *out)
{
    buf_puts(out, "instance-id: ");
    put_quoted(out, instance->id);
    buf_puts(out, "\nlocal-hostname: ");
    put_quoted(out, instance->hostname ? instance->hostname : instance->name);
    buf_putc(out, '\n');
    if (instance->keys.count > 0)
        buf_puts(out, "public-keys:\n");
    for (size_t i = 0; i < instance->keys.count; i++) {
        buf_puts(out, "  - ");
        put_quoted(out, instance->keys.items[i]);
        buf_putc(out, '\n');
    }
}

/* DHCP, whose only entry for this MAC is the address that the controller chose: what
 * else the network has to say (gateway, DNS) may change later without a new seed. */
static void put_network_config(const struct desired_instance *instance, struct buf *out)
{
    const struct desired_interface *interfaces = instance->interfaces.items;
    buf_puts(out, "version: 2\n");
    if (instance->interfaces.count > 0)
        buf_puts(out, "ethernets:\n");
    for (size_t i = 0; i < instance->interfaces.count; i++) {
        buf_printf(out, "  net%zu:\n    match:\n      macaddress: ", i);
        put_quoted(out, interfaces[i].mac);
        buf_puts(out, "\n    dhcp4: true\n    dhcp6: false\n");
    }
}

void seed_digest(const struct desired_instance *instance, char out[SHA256_TEXT_MAX])
{
    auto_buf struct buf text = {0};
    uint8_t hash[SHA256_BYTES];
    put_meta_data(instance, &text);
    buf_putc(&text, '\0');
    put_network_config(instance, &text);
    buf_putc(&text, '\0');
    buf_puts(&text, instance->user_data ? instance->user_data : "");
    sha256(text.data, text.len, hash);
    sha256_text(hash, out);
}

static la_ssize_t append(struct archive *archive, void *ctx, const void *data, size_t len)
{
    (void)archive;
    buf_add(ctx, data, len);
    return (la_ssize_t)len;
}

static int put_file(struct archive *archive, const char *name, const struct buf *content)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)content->len);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0444);
    archive_entry_set_mtime(entry, 0, 0);
    int r = archive_write_header(archive, entry);
    if (r == ARCHIVE_OK && content->len > 0 &&
        archive_write_data(archive, content->data, content->len) != (la_ssize_t)content->len)
        r = ARCHIVE_FATAL;
    archive_entry_free(entry);
    return r;
}

struct seed_files {
    struct buf meta_data, user_data, network_config, vendor_data;
};

static int write_iso(struct archive *archive, const struct seed_files *files, struct buf *out)
{
    archive_write_set_bytes_per_block(archive, 0);
    if (archive_write_set_format_iso9660(archive) != ARCHIVE_OK ||
        archive_write_set_options(archive, "volume-id=cidata,rockridge=useful,joliet,!pad") !=
            ARCHIVE_OK ||
        archive_write_open(archive, out, NULL, append, NULL) != ARCHIVE_OK)
        return -1;
    if (put_file(archive, "meta-data", &files->meta_data) != ARCHIVE_OK ||
        put_file(archive, "user-data", &files->user_data) != ARCHIVE_OK ||
        put_file(archive, "network-config", &files->network_config) != ARCHIVE_OK ||
        put_file(archive, "vendor-data", &files->vendor_data) != ARCHIVE_OK)
        return -1;
    return archive_write_close(archive) == ARCHIVE_OK ? 0 : -1;
}

static void files_release(struct seed_files *files)
{
    buf_release(&files->meta_data);
    buf_release(&files->user_data);
    buf_release(&files->network_config);
    buf_release(&files->vendor_data);
}

/* libarchive writes the primary volume id in capitals; what guests look for is in small
 * letters. */
static int name_volume(struct buf *iso)
{
    enum { VOLUME_ID = 16 * 2048 + 40 };
    static const char name[] = "cidata";
    if (iso->len < VOLUME_ID + sizeof name)
        return -1;
    memcpy(iso->data + VOLUME_ID, name, sizeof name - 1);
    return 0;
}

int seed_make(const struct desired_instance *instance, struct buf *out, struct err *err)
{
    __attribute__((cleanup(files_release))) struct seed_files files = {0};
    if (instance->user_data &&
        base64_decode("user_data", instance->user_data, &files.user_data, err))
        return -1;
    put_meta_data(instance, &files.meta_data);
    put_network_config(instance, &files.network_config);
    struct archive *archive = archive_write_new();
    int r = write_iso(archive, &files, out) || name_volume(out) ? -1 : 0;
    if (r)
        err_set(err, ERR_INTERNAL, "the seed could not be written: %s",
                archive_error_string(archive) ? archive_error_string(archive) : "unknown");
    archive_write_free(archive);
    return r;
}
