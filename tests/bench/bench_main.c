/* `make bench` runs all, `make bench ONLY=name` one. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/bench.h"

static const struct {
    const char *name;
    void (*run)(void);
} benches[] = {
    {"healthz", bench_healthz},
    {"read_one", bench_read_one},
    {"create_64", bench_create_64},
    {"create_1", bench_create_1},
    {"create_64_hosts", bench_create_64_hosts},
    {"list_1000", bench_list_1000},
    {"create_to_running", bench_create_to_running},
    {"creates_parallel", bench_creates_parallel},
    {"wake_1000", bench_wake_1000},
    {"mixed", bench_mixed},
    {"at_rest", bench_at_rest},
    {"usage_month_all", bench_usage_month_all},
    {"usage_month_hourly", bench_usage_month_hourly},
    {"empty_project", bench_empty_project},
    {"long_life", bench_long_life},
};

double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    double left, right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return (left > right) - (left < right);
}

double median(const double *values, int count)
{
    double sorted[BENCH_PAIRS_MAX];
    if (count == 0)
        return NAN;
    memcpy(sorted, values, (size_t)count * sizeof(*values));
    qsort(sorted, (size_t)count, sizeof(*sorted), compare);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

void pairs_add(struct pairs *pairs, double ours, double limit)
{
    if (pairs->count == BENCH_PAIRS_MAX)
        cloud_fail("more than %d pairs", BENCH_PAIRS_MAX);
    pairs->ours[pairs->count] = ours;
    pairs->limit[pairs->count++] = limit;
}

void pairs_print(const struct pairs *pairs, const char *name, const char *unit, const char *aim)
{
    double ratios[BENCH_PAIRS_MAX];
    for (int i = 0; i < pairs->count; i++)
        ratios[i] = pairs->ours[i] / pairs->limit[i];
    printf("%-18s %12.1f %12.1f %8.3f   %s; aim %s; %d pairs\n", name,
           median(pairs->ours, pairs->count), median(pairs->limit, pairs->count),
           median(ratios, pairs->count), unit, aim, pairs->count);
    fflush(stdout);
}

void figure_print(const char *name, const char *aim, const char *format, ...)
{
    va_list args;
    printf("%-18s ", name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("   aim %s\n", aim);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *only = getenv("ONLY");
    int ran = 0;
    if (argc > 1 && strcmp(argv[1], "--inside-host") == 0)
        return bench_inside_host(argc, argv);
    printf("%-18s %12s %12s %8s\n", "name", "ours", "limit", "ratio");
    for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
        if (only && only[0] && strcmp(only, benches[i].name) != 0)
            continue;
        benches[i].run();
        ran++;
    }
    if (ran == 0) {
        fprintf(stderr, "no bench is called \"%s\"\n", only);
        return 2;
    }
    return 0;
}
