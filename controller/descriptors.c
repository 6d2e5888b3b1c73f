/* How many descriptors there may be, and whose they are; see descriptors.h. */
#include "controller/descriptors.h"

#include <sys/resource.h>

#include "api/base/limits.h"
#include "api/base/log.h"

enum {
    OF_READER = 2,     /* the database and its log */
    OF_CONNECTION = 2, /* itself, and a file that it sends or brings */
};

static uint64_t own(size_t readers)
{
    return (uint64_t)readers * OF_READER + LIMIT_RESERVED_FILES;
}

unsigned descriptors_share(uint64_t limit, size_t readers)
{
    uint64_t left = limit > own(readers) ? limit - own(readers) : 0;
    uint64_t connections = left / OF_CONNECTION;
    if (connections < LIMIT_CONNECTIONS_LEAST)
        return LIMIT_CONNECTIONS_LEAST;
    return connections > LIMIT_CONNECTIONS ? LIMIT_CONNECTIONS : (unsigned)connections;
}

unsigned descriptors_raise(size_t readers)
{
    uint64_t wanted = own(readers) + (uint64_t)LIMIT_CONNECTIONS * OF_CONNECTION;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return LIMIT_CONNECTIONS;
    if (limit.rlim_cur < wanted) {
        struct rlimit more = limit;
        more.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
    }
    unsigned share = descriptors_share(limit.rlim_cur, readers);
    if (limit.rlim_cur < wanted)
        log_warn("descriptors",
                 "limit=%llu wanted=%llu connections=%u reason=\"RLIMIT_NOFILE cannot be raised so"
                 " far: raise LimitNOFILE= of the service or ulimit -Hn\"",
                 (unsigned long long)limit.rlim_cur, (unsigned long long)wanted, share);
    return share;
}
