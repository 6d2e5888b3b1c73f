/* What was used, from when to when: the rows of the ledger.
 *
 * A segment says that one resource was in one state, with one set of amounts, for one
 * half-open stretch of UTC [start_ms, end_ms). Segments of one kind and resource never
 * overlap, reversals apart, and none crosses the end of a UTC month. What is sold is a meter: an
 * amount of a segment times its length, or (counted) an amount spread evenly over it.
 * Everything is an integer. Pure. */
#ifndef MINICLOUD_CONTROLLER_LEDGER_SEGMENT_SEGMENT_H
#define MINICLOUD_CONTROLLER_LEDGER_SEGMENT_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

enum resource { RESOURCE_INSTANCE, RESOURCE_IMAGE };
extern const char *const resource_names[]; /* "instance","image",NULL */

enum segment_kind {
    SEGMENT_RUNNING,   /* amounts: 1, vcpus, memory_mib */
    SEGMENT_ALLOCATED, /* the same while it is kept and stopped */
    SEGMENT_ROOT_DISK, /* gib */
    SEGMENT_IMAGE,     /* bytes */
    SEGMENT_COUNTED,   /* cpu_ns, ingress_bytes, egress_bytes: spread over the segment */
    SEGMENT_GAP,       /* 1: it was there before, and nothing proves that it still was */
};
extern const char *const segment_names[];

enum { SEGMENT_AMOUNTS = 3 };

struct segment {
    int64_t key;            /* of its row; 0: none */
    int64_t ordinal;        /* its place in the chain; 0: it is open, or has no row */
    int64_t seal_key;       /* that wrote it */
    int64_t close_seal_key; /* that closed it; 0: none has */
    int kind;               /* enum segment_kind */
    int sign;               /* 1; -1: takes back the row `reverses` */
    int64_t reverses;       /* 0: none */
    bool correction;        /* speaks of time that was sealed before */
    int64_t
        corrects_until_ms; /* up to here; what it says of later time is no correction. 0: none */
    int resource;          /* enum resource */
    int64_t resource_key, project_key;
    int64_t node_key;   /* 0: the controller's own machine */
    int64_t flavor_key; /* 0: explicit sizes */
    int64_t run;        /* running, counted: which */
    int64_t start_ms, end_ms;
    int64_t
        origin_ms; /* its start before it was cut at the ends of months: billing counts from it */
    bool open;     /* goes on: end_ms is as far as it is proved */
    bool verified; /* its end was proved, or it is open */
    int64_t amounts[SEGMENT_AMOUNTS];
};

enum meter {
    METER_RUNNING,
    METER_RUNNING_VCPU,
    METER_RUNNING_MEMORY,
    METER_ALLOCATED,
    METER_ALLOCATED_VCPU,
    METER_ALLOCATED_MEMORY,
    METER_ROOT_DISK,
    METER_IMAGE,
    METER_CPU,
    METER_INGRESS,
    METER_EGRESS,
    METER_GAP,
    METER_COUNT
};

/* 128 bits: a terabyte kept for a year is 3e22 byte-milliseconds. */
typedef __int128 quantity;

struct meter_def {
    const char *name;   /* "running_vcpu" */
    const char *unit;   /* of quantities: "vcpu_ms" */
    const char *priced; /* what a price is for: "vcpu-hour" */
    int kind, amount;   /* which amount of which segments */
    bool counted;
    /* Quantity in one priced unit: 3,600,000 ms in an hour, 1e9 bytes in a GB. */
    int64_t priced_unit_hi, priced_unit_lo; /* their product */
};
extern const struct meter_def meters[METER_COUNT];
int meter_find(const char *name); /* -1: there is none */

/* What was used of an amount from the segment's start until t (clipped to the segment); without
 * the sign. Differences of two of these add up exactly, however a range is cut. */
quantity segment_until(const struct segment *segment, int meter, int64_t t_ms);
/* The same within [from, to), with the sign. */
quantity segment_within(const struct segment *segment, int meter, int64_t from_ms, int64_t to_ms);

/* From when on its end makes it unproved, its own end if it does not: an end that nobody proved
 * could be another one, but what lies in earlier hours was vouched for when these were sealed. */
int64_t segment_unproved_from(const struct segment *segment);

enum { HOUR_MS = 3600 * 1000 };
/* The calendar in UTC. */
int64_t hour_floor(int64_t wall_ms);
int64_t day_floor(int64_t wall_ms);
int64_t month_floor(int64_t wall_ms);
int64_t month_next(int64_t wall_ms); /* the first of the next month */

#endif
