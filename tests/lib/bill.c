/* Reading usage; see bill.h. */
#include "tests/lib/bill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/clock.h"
#include "api/base/mem.h"
#include "tests/lib/cloud.h"

enum { MEASURED_MS = 60 * 1000, SEALED_MS = 240 * 1000, CELLS = 32 };

#define ALL_TIME "start=2030-01-01T00:00:00Z"

static int64_t time_of(const char *text)
{
    int64_t ms = 0;
    if (!text || clock_parse(text, &ms) != 0)
        cloud_fail("not a time: %s", text ? text : "null");
    return ms;
}

static int64_t number_of(const struct json *row, const char *name)
{
    const struct json *node = json_get(row, name);
    const char *text = json_str(node);
    int64_t value = 0;
    if (text)
        return strtoll(text, NULL, 10);
    return node && json_i64(node, &value) ? value : 0;
}

static bool is_true(const struct json *row, const char *name)
{
    bool value = false;
    return json_bool(json_get(row, name), &value) && value;
}

/* ---- segments ---- */

static struct bill_row row_of(const struct json *from)
{
    struct bill_row row = {.start_ms = time_of(json_str(json_get(from, "start"))),
                           .end_ms = time_of(json_str(json_get(from, "end"))),
                           .open = is_true(from, "open"),
                           .verified = is_true(from, "verified"),
                           .reversal = is_true(from, "reversal"),
                           .run = number_of(from, "run"),
                           .vcpus = number_of(from, "vcpus"),
                           .memory_mib = number_of(from, "memory_mib"),
                           .disk_gib = number_of(from, "disk_gib"),
                           .cpu_ns = number_of(from, "cpu_ns"),
                           .ingress_bytes = number_of(from, "ingress_bytes"),
                           .egress_bytes = number_of(from, "egress_bytes")};
    snprintf(row.kind, sizeof(row.kind), "%s", json_str(json_get(from, "kind")));
    return row;
}

void bill_read(struct cloud *cloud, const char *id, struct bill *ret_bill)
{
    autofree char *path = xasprintf("/v1/instances/%s/usage?" ALL_TIME, id);
    struct answer auto_answer_json said = cloud_call(cloud, "GET", path, NULL);
    if (said.status != 200 || answer_str(&said, "next"))
        cloud_fail("%s: %d %s", path, said.status, said.text);
    ret_bill->count = 0;
    for (struct json *row = json_first(answer_at(&said, "segments")); row; row = json_next(row)) {
        if (ret_bill->count == BILL_ROWS)
            cloud_fail("too many segments: %s", said.text);
        ret_bill->rows[ret_bill->count++] = row_of(row);
    }
}

size_t bill_rows(const struct bill *bill, const char *kind, const struct bill_row *ret[BILL_ROWS])
{
    size_t count = 0;
    for (size_t i = 0; i < bill->count; i++) {
        if (strcmp(bill->rows[i].kind, kind) == 0)
            ret[count++] = &bill->rows[i];
    }
    return count;
}

/* ---- waiting ---- */

/* No event tells how far usage is measured: it moves with every report. */
static void await(struct cloud *cloud, const char *member, int64_t until_ms, int timeout_ms)
{
    int64_t deadline = clock_boottime_ms() + timeout_ms;
    for (;;) {
        struct answer auto_answer_json said = cloud_call(cloud, "GET", "/v1/usage?limit=1", NULL);
        const char *text = answer_str(&said, member);
        if (text && time_of(text) >= until_ms)
            return;
        if (clock_boottime_ms() > deadline)
            cloud_fail("%s stays behind: %s", member, said.text);
        usleep(20 * 1000);
    }
}

void bill_await_measured(struct cloud *cloud, int64_t until_ms)
{
    await(cloud, "measured_until", until_ms, MEASURED_MS);
}

void bill_await_sealed(struct cloud *cloud, int64_t until_ms)
{
    await(cloud, "sealed_until", until_ms, SEALED_MS);
}

/* ---- sums ---- */

const char *const bill_meters[BILL_METERS] = {
    "running", "running_vcpu",    "running_memory",   "allocated", "allocated_vcpu", "root_disk",
    "cpu",     "network_ingress", "allocated_memory", "gap",       "network_egress"};

static int64_t *meter_of(struct bill_sums *sums, const char *name)
{
    for (size_t i = 0; i < BILL_METERS; i++) {
        if (strcmp(bill_meters[i], name) == 0)
            return &sums->meters[i];
    }
    cloud_fail("no meter %s", name);
}

static void add_time(struct bill_sums *sums, const struct bill_row *row, int64_t length)
{
    autofree char *vcpu = xasprintf("%s_vcpu", row->kind);
    autofree char *memory = xasprintf("%s_memory", row->kind);
    *meter_of(sums, row->kind) += length;
    *meter_of(sums, vcpu) += length * row->vcpus;
    *meter_of(sums, memory) += length * row->memory_mib;
}

void bill_add(const struct bill *bill, struct bill_sums *sums)
{
    for (size_t i = 0; i < bill->count; i++) {
        const struct bill_row *row = &bill->rows[i];
        int sign = row->reversal ? -1 : 1;
        int64_t length = sign * (row->end_ms - row->start_ms);
        sums->rows++;
        if (strcmp(row->kind, "gap") == 0)
            *meter_of(sums, "gap") += length;
        else if (strcmp(row->kind, "root_disk") == 0)
            *meter_of(sums, "root_disk") += length * row->disk_gib;
        else if (strcmp(row->kind, "counted") != 0)
            add_time(sums, row, length);
        *meter_of(sums, "cpu") += sign * row->cpu_ns;
        *meter_of(sums, "network_ingress") += sign * row->ingress_bytes;
        *meter_of(sums, "network_egress") += sign * row->egress_bytes;
    }
}

void bill_query(struct cloud *cloud, const char *query, struct bill_sums *ret_sums)
{
    autofree char *path = xasprintf("/v1/usage?" ALL_TIME "&limit=10000%s", query);
    struct answer auto_answer_json said = cloud_call(cloud, "GET", path, NULL);
    if (said.status != 200 || answer_str(&said, "next"))
        cloud_fail("%s: %d %s", path, said.status, said.text);
    memset(ret_sums, 0, sizeof(*ret_sums));
    for (struct json *row = json_first(answer_at(&said, "usage")); row; row = json_next(row)) {
        const char *meter = json_str(json_get(row, "meter"));
        ret_sums->rows++;
        ret_sums->nanos += number_of(row, "cost_nanos");
        if (strcmp(meter, "image") != 0)
            *meter_of(ret_sums, meter) += number_of(row, "quantity");
    }
}

/* Names in these tests hold neither commas nor quotes. */
static size_t cut(char *line, const char *cells[CELLS])
{
    size_t count = 0;
    for (char *cell; count < CELLS && (cell = strsep(&line, ","));)
        cells[count++] = cell;
    return count;
}

static size_t column(const char *const heads[CELLS], size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(heads[i], name) == 0)
            return i;
    }
    cloud_fail("no column %s", name);
}

void bill_export(struct cloud *cloud, const char *query, struct bill_sums *ret_sums)
{
    autofree char *path = xasprintf("/v1/usage/export?format=csv&" ALL_TIME "%s", query);
    struct answer auto_answer_json said = cloud_call(cloud, "GET", path, NULL);
    const char *heads[CELLS], *cells[CELLS];
    char *rest = said.text;
    if (said.status != 200)
        cloud_fail("%s: %d %s", path, said.status, said.text);
    memset(ret_sums, 0, sizeof(*ret_sums));
    size_t count = cut(strsep(&rest, "\r"), heads);
    size_t meter = column(heads, count, "meter"), quantity = column(heads, count, "quantity"),
           cost = column(heads, count, "cost_nanos");
    for (char *line; (line = strsep(&rest, "\r")) && line[1];) {
        if (cut(line + 1, cells) != count)
            cloud_fail("%s: a row has other columns than the head: %s", path, line);
        ret_sums->rows++;
        ret_sums->nanos += strtoll(cells[cost], NULL, 10);
        if (strcmp(cells[meter], "image") != 0)
            *meter_of(ret_sums, cells[meter]) += strtoll(cells[quantity], NULL, 10);
    }
}
