/* POST /v1/instances/{instance}/start, stop, reboot, resize, rebuild. */
#include "api/base/limits.h"
#include "api/json/wire_table.h"
#include "controller/due/reconcile.h"
#include "controller/image/store_image.h"
#include "controller/instance/handle_instance.h"
#include "controller/noun/store_noun.h"
#include "controller/request/handlers.h"
#include "controller/tx/writer.h"
#include "controller/world.h"

/* ---- start ---- */

struct nothing {
    char unused;
};
static const struct wire_struct nothing_wire = {.name = "nothing", .size = sizeof(struct nothing)};

static int start(struct tx *tx, struct request *r, struct err *err)
{
    struct instance auto_instance instance = {0};
    struct operation_ref operation;
    struct wish wish = instance_wish(r, 0);
    if (instance_target(tx, r, &instance, err) != 0 ||
        instance_start(tx, &instance, &wish, &operation, err) != 0)
        return -1;
    return instance_accepted(tx, r, &instance, &operation, &wish, err);
}

void handle_instance_start(struct request *r)
{
    if (request_decode(r, &nothing_wire) == 0)
        request_write(r, start);
}

/* ---- stop and reboot ---- */

struct stop_input {
    bool force;
    int64_t timeout_s;
    uint64_t present;
};

#define STRUCT stop_input
static const struct wire_field stop_input_fields[] = {
    W_BOOL(force), W_I64(timeout_s, .min = 1, .max = LIMIT_STOP_TIMEOUT_SECONDS)};
static const struct wire_struct stop_input_wire = WIRE_STRUCT_PRESENT(stop_input);
#undef STRUCT
enum { HAS_TIMEOUT = 1 << 1 };

static struct stop_how how_of(const struct stop_input *in)
{
    int64_t seconds = in->present & HAS_TIMEOUT ? in->timeout_s : STOP_TIMEOUT_DEFAULT_SECONDS;
    return (struct stop_how){.force = in->force, .timeout_ms = seconds * 1000};
}

typedef int stopper(struct tx *tx, struct instance *instance, const struct stop_how *how,
                    const struct wish *wish, struct operation_ref *ret_operation, struct err *err);

static int stop_by(struct tx *tx, struct request *r, stopper *stop_it, struct err *err)
{
    struct instance auto_instance instance = {0};
    struct operation_ref operation;
    struct stop_how how = how_of(r->input);
    struct wish wish = instance_wish(r, how.force ? 0 : how.timeout_ms);
    if (instance_target(tx, r, &instance, err) != 0 ||
        stop_it(tx, &instance, &how, &wish, &operation, err) != 0)
        return -1;
    return instance_accepted(tx, r, &instance, &operation, &wish, err);
}

static int stop(struct tx *tx, struct request *r, struct err *err)
{
    return stop_by(tx, r, instance_stop, err);
}

static int reboot(struct tx *tx, struct request *r, struct err *err)
{
    return stop_by(tx, r, instance_reboot, err);
}

void handle_instance_stop(struct request *r)
{
    if (request_decode(r, &stop_input_wire) == 0)
        request_write(r, stop);
}

void handle_instance_reboot(struct request *r)
{
    if (request_decode(r, &stop_input_wire) == 0)
        request_write(r, reboot);
}

/* ---- resize ---- */

struct resize_input {
    char *flavor;
    int64_t vcpus, memory_mib, disk_gib;
    uint64_t present;
};

#define STRUCT resize_input
static const struct wire_field resize_input_fields[] = {
    W_STR(flavor, LIMIT_NAME, .min = 1), W_I64(vcpus, .min = 1, .max = LIMIT_VCPUS),
    W_I64(memory_mib, .min = LIMIT_MEMORY_MIB_MIN, .max = LIMIT_MEMORY_MIB),
    W_I64(disk_gib, .min = 1, .max = LIMIT_DISK_GIB)};
static const struct wire_struct resize_input_wire = WIRE_STRUCT_PRESENT(resize_input);
#undef STRUCT

/* Sizes that are not named stay; with explicit ones it is no flavor any more. */
static int resize_sizes(struct tx *tx, struct request *r, const struct instance *instance,
                        struct flavor *ret_flavor, int64_t *ret_flavor_key, struct err *err)
{
    const struct resize_input *in = r->input;
    *ret_flavor_key = 0;
    ret_flavor->vcpus = in->vcpus ? in->vcpus : instance->sizes.vcpus;
    ret_flavor->memory_mib = in->memory_mib ? in->memory_mib : instance->sizes.memory_mib;
    ret_flavor->disk_gib = in->disk_gib ? in->disk_gib : instance->sizes.disk_gib;
    if (!in->flavor)
        return 0;
    if (access_row(tx->db, &r->caller, ACCESS_SEE, ACCESS_FLAVOR, instance->project_key, in->flavor,
                   ret_flavor_key, err) != 0)
        return -1;
    return flavor_read(tx->db, *ret_flavor_key, ret_flavor, err);
}

static int resize(struct tx *tx, struct request *r, struct err *err)
{
    struct instance auto_instance instance = {0};
    struct operation_ref operation;
    struct wish wish = instance_wish(r, 0);
    struct flavor flavor = {0};
    int64_t flavor_key;
    if (instance_target(tx, r, &instance, err) != 0 ||
        resize_sizes(tx, r, &instance, &flavor, &flavor_key, err) != 0)
        return -1;
    struct sizes sizes = {flavor.vcpus, flavor.memory_mib, flavor.disk_gib};
    if (instance_resize(tx, &instance, &sizes, flavor_key, flavor_key ? flavor.name : NULL, &wish,
                        &operation, err) != 0)
        return -1;
    return instance_accepted(tx, r, &instance, &operation, &wish, err);
}

void handle_instance_resize(struct request *r)
{
    struct err auto_err err = {0};
    if (request_decode(r, &resize_input_wire) != 0)
        return;
    const struct resize_input *in = r->input;
    bool sizes = in->vcpus || in->memory_mib || in->disk_gib;
    if ((in->flavor != NULL) != sizes) {
        request_write(r, resize);
        return;
    }
    err_field(&err, "/flavor", "give either a flavor or some of vcpus, memory_mib and disk_gib");
    request_fail(r, &err);
}

/* ---- rebuild ---- */

struct rebuild_input {
    char *image;
};

#define STRUCT rebuild_input
static const struct wire_field rebuild_input_fields[] = {W_STR(image, LIMIT_NAME, .min = 1)};
static const struct wire_struct rebuild_input_wire = WIRE_STRUCT(rebuild_input);
#undef STRUCT

static void look_for_files(void *ctx)
{
    reconcile_now(ctx, DUE_FILES);
}

static int rebuild(struct tx *tx, struct request *r, struct err *err)
{
    const struct rebuild_input *in = r->input;
    struct instance auto_instance instance = {0};
    struct image auto_image image = {0};
    struct operation_ref operation;
    struct wish wish = instance_wish(r, 0);
    if (instance_target(tx, r, &instance, err) != 0)
        return -1;
    /* Its own image serves again even when it was deleted meanwhile. */
    int rc = in->image ? instance_find_image(tx, r, instance.project_key, in->image, &image, err)
                       : store_image_get(tx->db, instance.image_key, &image, err);
    if (rc != 0 || instance_rebuild(tx, &instance, &image, &wish, &operation, err) != 0)
        return -1;
    tx_after_commit(tx, look_for_files, r->app->reconcile, NULL);
    return instance_accepted(tx, r, &instance, &operation, &wish, err);
}

void handle_instance_rebuild(struct request *r)
{
    if (request_decode(r, &rebuild_input_wire) == 0)
        request_write(r, rebuild);
}
