/* Reads that take long: on a pool, where equal ones are answered together. */
#include "api/base/err.h"
#include "api/base/limits.h"
#include "controller/request/flights.h"
#include "controller/request/request.h"
#include "controller/world.h"

void request_pool(struct request *r, request_read *read)
{
    r->read = read;
    flights_take(r->app->flights, r->app->reads, r);
}

void request_ledger(struct request *r, request_read *read)
{
    r->read = read;
    flights_take(r->app->flights, r->app->ledger_reads, r);
}

void request_refuse_read(struct request *r, bool of_lane)
{
    auto_err struct err err = {0};
    if (of_lane)
        err_set(&err, ERR_TOO_MANY_REQUESTS,
                "%d long reads of this project or token wait already; ask again when they are"
                " answered",
                LIMIT_LANE_READS);
    else
        err_set(&err, ERR_UNAVAILABLE, "too many long reads wait; try again");
    request_fail(r, &err);
}
