/* Rows as an agent needs them. */
#include "controller/node/store_desired.h"

#include <stdlib.h>
#include <string.h>

#include "api/base/base64.h"
#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "api/node_protocol.h"
#include "controller/db/db.h"
#include "controller/instance/store_instance.h"

/* Wire structs own their texts when decoded and borrow them when encoded, so their members
 * are not const. */
static char *lend(const char *text)
{
    union {
        const char *in;
        char *out;
    } lent = {.in = text};
    return lent.out;
}

/* What belongs to one row while `each` looks at it. */
struct extra {
    struct desired_interface interfaces[INSTANCE_INTERFACES_MAX];
    char *interface_texts[INSTANCE_INTERFACES_MAX];
    size_t interface_count;
    struct strings keys;
    struct buf user_data; /* base64 */
};

static void extra_release(struct extra *extra)
{
    for (size_t i = 0; i < extra->interface_count; i++)
        free(extra->interface_texts[i]);
    strings_release(&extra->keys);
    buf_release(&extra->user_data);
}

static int read_interfaces(struct db *db, int64_t instance_key, struct extra *extra,
                           struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT n.id, f.mac, f.address FROM interface f CROSS JOIN network n"
                    " ON n.key = f.network_key WHERE f.instance_key = ? ORDER BY f.position");
    stmt_bind(stmt, "i", instance_key);
    int rc = 0;
    while (extra->interface_count < INSTANCE_INTERFACES_MAX && (rc = stmt_step(stmt, err)) == 1) {
        const char *network = stmt_text(stmt, 0), *mac = stmt_text(stmt, 1),
                   *address = stmt_text(stmt, 2);
        const char **const fields[] = {&network, &mac, &address};
        extra->interface_texts[extra->interface_count] = texts_keep(fields, ARRAY_SIZE(fields));
        extra->interfaces[extra->interface_count++] = (struct desired_interface){
            .network = lend(network), .mac = lend(mac), .address = lend(address)};
    }
    return rc < 0 ? -1 : 0;
}

static int read_seed(struct db *db, int64_t instance_key, struct extra *extra, struct err *err)
{
    struct stmt auto_stmt *stmt =
        db_stmt(db, "SELECT key_lines, user_data FROM instance_seed WHERE instance_key = ?");
    stmt_bind(stmt, "i", instance_key);
    int rc = stmt_step(stmt, err);
    if (rc <= 0)
        return rc;
    const char *lines = stmt_text(stmt, 0);
    struct json auto_json *root = NULL;
    if (json_parse(lines, strlen(lines), &root, err) != 0)
        return -1;
    for (struct json *item = json_first(root); item; item = json_next(item))
        strings_add(&extra->keys, json_str(item));
    size_t len;
    const void *data = stmt_blob(stmt, 1, &len);
    if (data)
        base64_encode(data, len, &extra->user_data);
    return 0;
}

static void read_row(struct stmt *stmt, struct desired_instance *row)
{
    *row = (struct desired_instance){
        .id = lend(stmt_text(stmt, 1)),
        .name = lend(stmt_text(stmt, 2)),
        .generation = stmt_i64(stmt, 3),
        .deleted = !stmt_null(stmt, 4),
        .adopt = stmt_i64(stmt, 5) != 0,
        .power = (int)stmt_i64(stmt, 6),
        .run = stmt_i64(stmt, 7),
        .force = stmt_i64(stmt, 8) != 0,
        .stop_timeout_ms = stmt_i64(stmt, 9),
        .vcpus = stmt_i64(stmt, 10),
        .memory_mib = stmt_i64(stmt, 11),
        .disk_gib = stmt_i64(stmt, 12),
        .disk_number = stmt_i64(stmt, 13),
        .uid = stmt_i64(stmt, 14),
        .image = {.id = lend(stmt_text(stmt, 15)),
                  .format = (int)stmt_i64(stmt, 16),
                  .size_bytes = stmt_i64(stmt, 17),
                  .virtual_bytes = stmt_i64(stmt, 18),
                  .sha256 = lend(stmt_text(stmt, 19))},
        .hostname = lend(stmt_text(stmt, 20)),
    };
}

static int read_extra(struct db *db, struct stmt *stmt, struct desired_instance *row,
                      struct extra *extra, struct err *err)
{
    int64_t key = stmt_i64(stmt, 0);
    /* A tombstone needs neither seed nor keys. */
    if (read_interfaces(db, key, extra, err) != 0 ||
        (!row->deleted && read_seed(db, key, extra, err) != 0))
        return -1;
    row->interfaces =
        (struct wire_list){.items = extra->interfaces, .count = extra->interface_count};
    row->keys = extra->keys;
    row->user_data = extra->user_data.data;
    return 0;
}

int store_desired(struct db *db, int64_t node_key, int64_t after, desired_each *each, void *ctx,
                  struct err *err)
{
    struct stmt auto_stmt *stmt = db_stmt(
        db, "SELECT i.key, i.id, i.name, i.generation, i.deleted_ms, i.adopt, i.power, i.run,"
            " i.stop_force, i.stop_timeout_ms, i.vcpus, i.memory_mib, i.disk_gib, i.disk_number,"
            " i.uid, m.id, m.format, m.size_bytes, m.virtual_bytes, m.sha256, i.hostname"
            " FROM instance i CROSS JOIN image m ON m.key = i.image_key WHERE i.node_key = ?"
            " AND i.desired_revision > ? AND i.gone_ms IS NULL ORDER BY i.desired_revision");
    stmt_bind(stmt, "ii", node_key, after);
    int count = 0, rc;
    while ((rc = stmt_step(stmt, err)) == 1) {
        struct desired_instance row;
        struct extra extra = {0};
        read_row(stmt, &row);
        rc = read_extra(db, stmt, &row, &extra, err);
        if (rc == 0)
            each(ctx, &row);
        extra_release(&extra);
        if (rc != 0)
            return -1;
        count++;
    }
    return rc < 0 ? -1 : count;
}
