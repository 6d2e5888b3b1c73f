/* Meters, and arithmetic on segments. Pure. */
#include "controller/ledger/segment/segment.h"

#include <string.h>
#include <time.h>

const char *const resource_names[] = {"instance", "image", NULL};
const char *const segment_names[] = {"running", "allocated", "root_disk", "image",
                                     "counted", "gap",       NULL};

/* clang-format off */
const struct meter_def meters[METER_COUNT] = {
    [METER_RUNNING] = {"running", "ms", "hour", SEGMENT_RUNNING, 0, false, HOUR_MS, 1},
    [METER_RUNNING_VCPU] = {"running_vcpu", "vcpu_ms", "vcpu-hour", SEGMENT_RUNNING, 1, false, HOUR_MS, 1},
    [METER_RUNNING_MEMORY] = {"running_memory", "mib_ms", "GiB-hour", SEGMENT_RUNNING, 2, false, HOUR_MS, 1024},
    [METER_ALLOCATED] = {"allocated", "ms", "hour", SEGMENT_ALLOCATED, 0, false, HOUR_MS, 1},
    [METER_ALLOCATED_VCPU] = {"allocated_vcpu", "vcpu_ms", "vcpu-hour", SEGMENT_ALLOCATED, 1, false, HOUR_MS, 1},
    [METER_ALLOCATED_MEMORY] = {"allocated_memory", "mib_ms", "GiB-hour", SEGMENT_ALLOCATED, 2, false, HOUR_MS, 1024},
    [METER_ROOT_DISK] = {"root_disk", "gib_ms", "GiB-hour", SEGMENT_ROOT_DISK, 0, false, HOUR_MS, 1},
    [METER_IMAGE] = {"image", "byte_ms", "GB-hour", SEGMENT_IMAGE, 0, false, HOUR_MS, 1000000000},
    [METER_CPU] = {"cpu", "ns", "CPU-hour", SEGMENT_COUNTED, 0, true, HOUR_MS, 1000000},
    [METER_INGRESS] = {"network_ingress", "bytes", "GB", SEGMENT_COUNTED, 1, true, 1000000000, 1},
    [METER_EGRESS] = {"network_egress", "bytes", "GB", SEGMENT_COUNTED, 2, true, 1000000000, 1},
    [METER_GAP] = {"gap", "ms", "hour", SEGMENT_GAP, 0, false, HOUR_MS, 1},
};
/* clang-format on */

int meter_find(const char *name)
{
    for (int i = 0; name && i < METER_COUNT; i++) {
        if (strcmp(meters[i].name, name) == 0)
            return i;
    }
    return -1;
}

quantity segment_until(const struct segment *segment, int meter, int64_t t_ms)
{
    const struct meter_def *def = &meters[meter];
    int64_t amount = segment->amounts[def->amount];
    if (def->kind != segment->kind || t_ms <= segment->start_ms ||
        segment->end_ms <= segment->start_ms)
        return 0;
    int64_t end = t_ms < segment->end_ms ? t_ms : segment->end_ms;
    quantity passed = end - segment->start_ms;
    if (!def->counted)
        return passed * amount;
    return passed * amount / (segment->end_ms - segment->start_ms);
}

quantity segment_within(const struct segment *segment, int meter, int64_t from_ms, int64_t to_ms)
{
    quantity used = to_ms <= from_ms ? 0
                                     : segment_until(segment, meter, to_ms) -
                                           segment_until(segment, meter, from_ms);
    return segment->sign < 0 ? -used : used;
}

static int64_t floor_to(int64_t wall_ms, int64_t unit_ms)
{
    int64_t rest = wall_ms % unit_ms;
    return wall_ms - (rest < 0 ? rest + unit_ms : rest);
}

int64_t hour_floor(int64_t wall_ms)
{
    return floor_to(wall_ms, HOUR_MS);
}

int64_t day_floor(int64_t wall_ms)
{
    return floor_to(wall_ms, 24 * (int64_t)HOUR_MS);
}

static int64_t month_at(int64_t wall_ms, int add)
{
    time_t seconds = (time_t)(floor_to(wall_ms, 1000) / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    tm.tm_mon += add;
    tm.tm_mday = 1;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    return (int64_t)timegm(&tm) * 1000;
}

int64_t month_floor(int64_t wall_ms)
{
    return month_at(wall_ms, 0);
}

int64_t month_next(int64_t wall_ms)
{
    return month_at(wall_ms, 1);
}

int64_t segment_unproved_from(const struct segment *segment)
{
    int64_t hour = hour_floor(segment->end_ms);
    if (segment->verified)
        return segment->end_ms;
    return hour > segment->start_ms ? hour : segment->start_ms;
}
