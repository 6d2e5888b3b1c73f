/* Start, stop, reboot. `start` allots a run; a domain starts at most once per run. */
#include <inttypes.h>

#include "api/base/err.h"
#include "controller/instance/instance.h"
#include "controller/instance/operation_rules.h"
#include "controller/instance/store_instance.h"
#include "controller/placement/store_node.h"
#include "controller/tx/writer.h"

/* A restored database knows less than the host: until the host's facts are taken over,
 * nothing but delete and rebuild is safe. */
static int refuse_adopt(const struct instance *instance, struct err *err)
{
    if (instance->deleted_ms)
        return err_set(err, ERR_CONFLICT, "instance %s is being deleted", instance->name);
    if (!instance->adopt)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   instance->observed_state == STATE_ERROR
                       ? "instance %s: %s: rebuild or delete it"
                       : "instance %s waits for its host to report after the database was "
                         "restored: try again soon%s",
                   instance->name,
                   instance->observed_state == STATE_ERROR ? instance->observed_reason : "");
}

int instance_refuse_twin(struct tx *tx, const struct instance *instance, struct err *err)
{
    char twin[256];
    int rc = store_quarantine_twin(tx->db, instance->key, twin, sizeof(twin), err);
    if (rc <= 0)
        return rc;
    return err_set(err, ERR_CONFLICT,
                   "instance %s cannot be started: quarantined %s; remove that domain from its "
                   "host first",
                   instance->name, twin);
}

/* Whether host and wish already agree, so that there is nothing to wait for. */
static bool settled(const struct instance *instance, enum instance_state state)
{
    return instance->observed_generation >= instance->generation && !instance->node_silent &&
           instance->observed_state == (int)state;
}

static int change_power(struct tx *tx, struct instance *instance, const char *what, struct err *err)
{
    instance->generation++;
    instance_event(tx, instance, what, true);
    return store_instance_set_power(tx->db, instance, err);
}

int instance_start(struct tx *tx, struct instance *instance, const struct wish *wish,
                   struct operation_ref *ret_operation, struct err *err)
{
    if (refuse_adopt(instance, err) != 0)
        return -1;
    bool on = instance->power == POWER_RUNNING;
    if (on && settled(instance, STATE_RUNNING))
        return operation_open_done(tx, instance, "start", wish, ret_operation, err);
    if (instance_refuse_twin(tx, instance, err) != 0)
        return -1;
    bool retry = instance->observed_state == STATE_ERROR;
    if (on && !instance_run_ended(instance) && !retry)
        return operation_open(tx, instance, "start", wish, ret_operation, err);
    /* A run that never began is not spent: after an error it is tried again. */
    if (!on || instance_run_ended(instance))
        instance->run++;
    instance->power = POWER_RUNNING;
    instance->stop_force = false;
    if (change_power(tx, instance, "start", err) != 0)
        return -1;
    return operation_open(tx, instance, "start", wish, ret_operation, err);
}

int instance_stop(struct tx *tx, struct instance *instance, const struct stop_how *how,
                  const struct wish *wish, struct operation_ref *ret_operation, struct err *err)
{
    if (refuse_adopt(instance, err) != 0)
        return -1;
    bool off = instance->power == POWER_STOPPED;
    if (off && settled(instance, STATE_STOPPED))
        return operation_open_done(tx, instance, "stop", wish, ret_operation, err);
    bool same = off && instance->stop_force == how->force &&
                instance->stop_timeout_ms == how->timeout_ms &&
                instance->observed_state != STATE_ERROR;
    if (same)
        return operation_open(tx, instance, "stop", wish, ret_operation, err);
    instance->power = POWER_STOPPED;
    instance->stop_force = how->force;
    instance->stop_timeout_ms = how->timeout_ms;
    if (change_power(tx, instance, "stop", err) != 0)
        return -1;
    return operation_open(tx, instance, "stop", wish, ret_operation, err);
}

int instance_reboot(struct tx *tx, struct instance *instance, const struct stop_how *how,
                    const struct wish *wish, struct operation_ref *ret_operation, struct err *err)
{
    if (refuse_adopt(instance, err) != 0)
        return -1;
    if (instance->power != POWER_RUNNING || instance_run_ended(instance))
        return err_set(err, ERR_CONFLICT, "instance %s is not running: start it instead",
                       instance->name);
    instance->run++;
    instance->stop_force = how->force;
    instance->stop_timeout_ms = how->timeout_ms;
    if (change_power(tx, instance, "reboot", err) != 0)
        return -1;
    return operation_open(tx, instance, "reboot", wish, ret_operation, err);
}
