/* FOCUS 1.2 (focus.finops.org): one charge as a row of CSV. All mandatory columns, and those
 * conditional ones that apply to a cloud with one provider, one currency, no discounts and no
 * commitments. The bill is the whole cloud's, a project is a sub-account. Pure. */
#ifndef MINICLOUD_CONTROLLER_USAGE_FOCUS_H
#define MINICLOUD_CONTROLLER_USAGE_FOCUS_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/ledger/price/rate.h"
#include "controller/ledger/segment/segment.h"

struct csv;

/* What one resource used of one meter at one price within one UTC hour. Names are NULL where
 * there is none. */
struct focus_charge {
    int64_t start_ms; /* on the hour */
    int meter;        /* not METER_GAP: what is not proved is no charge */
    bool correction;
    quantity used, unverified, nanos;
    const struct price *price; /* NULL: this usage is not priced */
    const char *currency;
    const char *project_id, *project_name;
    int resource;
    const char *resource_id, *resource_name, *flavor_name;
    const char *tags; /* JSON */
};

void focus_head(struct csv *csv);
void focus_row(struct csv *csv, const struct focus_charge *charge);

#endif
