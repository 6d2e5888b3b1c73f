/* POST /v1/instances. */
#include <stdlib.h>
#include <string.h>

#include "api/base/base64.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/json/validate.h"
#include "api/json/wire_table.h"
#include "controller/due/reconcile.h"
#include "controller/image/store_image.h"
#include "controller/instance/handle_instance.h"
#include "controller/noun/store_noun.h"
#include "controller/request/handlers.h"
#include "controller/tx/writer.h"
#include "controller/world.h"

enum { ENCODING_TEXT, ENCODING_BASE64 };
static const char *const encoding_names[] = {"text", "base64", NULL};

struct instance_input {
    char *name, *hostname, *image, *flavor;
    int64_t vcpus, memory_mib, disk_gib;
    struct strings keys;
    char *user_data;
    int user_data_encoding, power;
    struct labels labels;
    uint64_t present;
    /* Made of the above before the writer is asked. */
    struct buf user_bytes, labels_json;
};

enum {
    USER_DATA_BASE64 = (LIMIT_USER_DATA + 2) / 3 * 4,
    /* Bits of `present`, in the order of the table below. */
    HAS_VCPUS = 1 << 4,
    HAS_MEMORY = 1 << 5,
    HAS_DISK = 1 << 6,
    HAS_SIZES = HAS_VCPUS | HAS_MEMORY | HAS_DISK,
    HAS_POWER = 1 << 10,
};

#define STRUCT instance_input
static const struct wire_field instance_input_fields[] = {
    W_STR_REQ(name, LIMIT_NAME, .check = validate_name),
    W_STR(hostname, LIMIT_HOSTNAME, .min = 1, .check = validate_hostname),
    W_STR_REQ(image, LIMIT_NAME),
    W_STR(flavor, LIMIT_NAME, .min = 1),
    W_I64(vcpus, .min = 1, .max = LIMIT_VCPUS),
    W_I64(memory_mib, .min = LIMIT_MEMORY_MIB_MIN, .max = LIMIT_MEMORY_MIB),
    W_I64(disk_gib, .min = 1, .max = LIMIT_DISK_GIB),
    W_STRS(keys, .max = LIMIT_KEYS_PER_INSTANCE),
    W_STR(user_data, USER_DATA_BASE64),
    W_ENUM(user_data_encoding, encoding_names),
    W_ENUM(power, power_names),
    W_LABELS(labels),
};
static const struct wire_struct instance_input_wire = WIRE_STRUCT_PRESENT(instance_input);
#undef STRUCT

static void input_free(void *input)
{
    struct instance_input *in = input;
    wire_release(&instance_input_wire, in);
    buf_release(&in->user_bytes);
    buf_release(&in->labels_json);
    free(in);
}

/* ---- before the writer ---- */

static int check_sizes_given(const struct instance_input *in, struct err *err)
{
    uint64_t sizes = in->present & HAS_SIZES;
    if (in->flavor && sizes)
        return err_field(err, "/flavor",
                         "flavor: give either a flavor or vcpus, memory_mib and disk_gib");
    if (!in->flavor && sizes != HAS_SIZES)
        return err_field(err,
                         !(sizes & HAS_VCPUS)    ? "/vcpus"
                         : !(sizes & HAS_MEMORY) ? "/memory_mib"
                                                 : "/disk_gib",
                         "without a flavor, vcpus, memory_mib and disk_gib are all needed");
    return 0;
}

static int prepare(struct instance_input *in, struct err *err)
{
    if (check_sizes_given(in, err) != 0)
        return -1;
    labels_print(&in->labels, &in->labels_json);
    if (!(in->present & HAS_POWER))
        in->power = POWER_RUNNING;
    if (!in->user_data)
        return 0;
    if (in->user_data_encoding == ENCODING_BASE64) {
        if (base64_decode("/user_data", in->user_data, &in->user_bytes, err) != 0)
            return -1;
    } else {
        buf_puts(&in->user_bytes, in->user_data);
    }
    if (in->user_bytes.len > LIMIT_USER_DATA)
        return err_field(err, "/user_data", "user_data has at most %d bytes; this has %zu",
                         LIMIT_USER_DATA, in->user_bytes.len);
    return 0;
}

/* ---- on the writer ---- */

struct resolved {
    int64_t project_key, flavor_key;
    struct noun_row project;
    struct flavor flavor;
    struct image image;
    struct buf key_names, key_lines;
};

static void resolved_release(struct resolved *resolved)
{
    image_release(&resolved->image);
    buf_release(&resolved->key_names);
    buf_release(&resolved->key_lines);
}

static int resolve_sizes(struct tx *tx, struct request *r, struct resolved *resolved,
                         struct err *err)
{
    const struct instance_input *in = r->input;
    if (!in->flavor) {
        resolved->flavor.vcpus = in->vcpus;
        resolved->flavor.memory_mib = in->memory_mib;
        resolved->flavor.disk_gib = in->disk_gib;
        return 0;
    }
    if (access_row(tx->db, &r->caller, ACCESS_SEE, ACCESS_FLAVOR, resolved->project_key, in->flavor,
                   &resolved->flavor_key, err) != 0)
        return -1;
    return flavor_read(tx->db, resolved->flavor_key, &resolved->flavor, err);
}

/* Names and lines are copied: a key that is deleted later changes no instance. */
static int resolve_keys(struct tx *tx, struct request *r, struct resolved *resolved,
                        struct err *err)
{
    const struct instance_input *in = r->input;
    struct json_writer names = JSON_WRITER(&resolved->key_names);
    struct json_writer lines = JSON_WRITER(&resolved->key_lines);
    json_open(&names, NULL, '[');
    json_open(&lines, NULL, '[');
    for (size_t i = 0; i < in->keys.count; i++) {
        int64_t key;
        autofree char *name = NULL, *line = NULL;
        if (access_row(tx->db, &r->caller, ACCESS_SEE, ACCESS_KEY, resolved->project_key,
                       in->keys.items[i], &key, err) != 0 ||
            key_line(tx->db, key, &name, &line, err) != 0)
            return -1;
        json_put_str(&names, NULL, name);
        json_put_str(&lines, NULL, line);
    }
    json_close(&names, ']');
    json_close(&lines, ']');
    return 0;
}

static int resolve(struct tx *tx, struct request *r, struct resolved *resolved, struct err *err)
{
    static const char *const only_project[] = {"project", NULL};
    const struct instance_input *in = r->input;
    if (request_only(r, only_project, err) != 0 ||
        request_project(r, tx->db, &resolved->project_key, err) != 0 ||
        noun_row(tx->db, ACCESS_PROJECT, resolved->project_key, &resolved->project, err) != 0 ||
        instance_find_image(tx, r, resolved->project_key, in->image, &resolved->image, err) != 0 ||
        resolve_sizes(tx, r, resolved, err) != 0)
        return -1;
    return resolve_keys(tx, r, resolved, err);
}

static struct instance_new wanted_of(const struct instance_input *in,
                                     const struct resolved *resolved)
{
    return (struct instance_new){
        .project_key = resolved->project_key,
        .project = resolved->project.name,
        .name = in->name,
        .hostname = in->hostname ? in->hostname : in->name,
        .labels = in->labels_json.data,
        .flavor_key = resolved->flavor_key,
        .flavor = resolved->flavor_key ? resolved->flavor.name : NULL,
        .sizes = {resolved->flavor.vcpus, resolved->flavor.memory_mib, resolved->flavor.disk_gib},
        .image = &resolved->image,
        .key_names = resolved->key_names.data,
        .key_lines = resolved->key_lines.data,
        .user_data = in->user_data ? in->user_bytes.data : NULL,
        .user_data_len = in->user_bytes.len,
        .power = (enum power)in->power,
    };
}

/* Everything shown is known already: nothing is read again. */
static int answer(struct tx *tx, struct request *r, const struct instance_made *made,
                  const struct wish *wish, struct err *err)
{
    struct json_writer w = request_json(r, 202);
    json_open(&w, NULL, '{');
    instance_put(&w, "instance", &made->instance, &made->address, 1);
    if (operation_put(tx->db, made->operation.key, &w, "operation", err) != 0)
        return -1;
    json_close(&w, '}');
    r->location = xasprintf("/v1/instances/%s", made->id);
    reconcile_in_after(r->app->reconcile, tx, DUE_OPERATIONS, made->operation.key,
                       wish->timeout_ms);
    return 0;
}

static int create(struct tx *tx, struct request *r, struct err *err)
{
    struct resolved resolved = {0};
    struct instance_made made;
    struct wish wish = instance_wish(r, 0);
    int rc = resolve(tx, r, &resolved, err);
    if (rc == 0) {
        struct instance_new wanted = wanted_of(r->input, &resolved);
        rc = instance_create(tx, &wanted, &wish, &made, err);
    }
    if (rc == 0)
        rc = answer(tx, r, &made, &wish, err);
    resolved_release(&resolved);
    return rc;
}

void handle_instance_create(struct request *r)
{
    struct err auto_err err = {0};
    if (request_decode(r, &instance_input_wire) != 0)
        return;
    r->input_type = NULL;
    r->input_release = input_free;
    if (prepare(r->input, &err) == 0)
        request_write(r, create);
    else
        request_fail(r, &err);
}
