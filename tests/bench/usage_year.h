/* A year of a ledger: what the usage benches ask about. */
#ifndef MINICLOUD_TESTS_USAGE_YEAR_H
#define MINICLOUD_TESTS_USAGE_YEAR_H

#include <stdint.h>

enum {
    YEAR_INSTANCES = 10000,
    YEAR_PROJECTS = 50,
    YEAR_NODES = 100,
    YEAR_SEGMENTS = 1000 * 1000,
    YEAR_REVERSED = 1000,  /* of these; their reversals come on top */
    YEAR_FIRST_KEY = 1000, /* of projects, nodes and instances alike */
};
/* 2025, UTC. The month that is asked about is June. */
#define YEAR_START_MS 1735689600000LL
#define YEAR_JUNE_MS 1748736000000LL
#define YEAR_JULY_MS 1751328000000LL
enum { YEAR_HOUR_MS = 3600 * 1000, YEAR_JUNE_HOURS = 30 * 24 };
/* As the ledger writes them. */
enum { KIND_RUNNING, KIND_ALLOCATED, KIND_ROOT_DISK };

/* Fills the database that a controller has made, and that none has open: instances that ran
 * and stopped by turns and their disks, as sealed rows, and the seals of all hours. */
void usage_year_fill(const char *db_path);

/* The amounts of each kind of segment, times milliseconds: what both sides must agree on. */
enum { YEAR_METERS = 7 };
extern const char *const year_meters[YEAR_METERS]; /* as the API calls them */
struct year_sums {
    int64_t of[YEAR_METERS];
};

/* ---- limit_usage.c: the same by hand, on the same file, all of it in memory ---- */

struct limit_usage;
struct limit_usage *limit_usage_open(const char *db_path);
void limit_usage_close(struct limit_usage *limit);
/* June by project and by project and instance, each by whichever statement is the fastest here
 * (tried once). Sums by place: project i, instance i. Seconds. */
double limit_usage_month(struct limit_usage *limit, struct year_sums *ret_projects,
                         struct year_sums *ret_instances);
const char *limit_usage_best(const struct limit_usage *limit, int question);
/* June of one project by hour: rows by bare SQLite, a difference array for each meter, and the
 * rows of the answer printed as JSON. `ret_hours` has YEAR_JUNE_HOURS places. Seconds. */
double limit_usage_hourly(struct limit_usage *limit, int project, struct year_sums *ret_hours,
                          int64_t *ret_bytes);

#endif
