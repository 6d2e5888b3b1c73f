/* One bell for the whole process: a look too many costs nothing. */
#include "tests/lib/bell.h"

#include <pthread.h>
#include <time.h>

#include "api/base/clock.h"

enum { PATIENCE_MS = 60000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rung = PTHREAD_COND_INITIALIZER;
static uint64_t rings;

void bell_ring(void)
{
    pthread_mutex_lock(&lock);
    rings++;
    pthread_cond_broadcast(&rung);
    pthread_mutex_unlock(&lock);
}

uint64_t bell_rings(void)
{
    pthread_mutex_lock(&lock);
    uint64_t now = rings;
    pthread_mutex_unlock(&lock);
    return now;
}

int64_t bell_patience(void)
{
    return clock_boottime_ms() + PATIENCE_MS;
}

bool bell_wait(uint64_t seen, int64_t until_ms)
{
    int64_t left = until_ms - clock_boottime_ms();
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += left > 0 ? left / 1000 + 1 : 0;
    pthread_mutex_lock(&lock);
    int failed = 0;
    while (rings == seen && failed == 0)
        failed = pthread_cond_timedwait(&rung, &lock, &at);
    bool more = rings != seen;
    pthread_mutex_unlock(&lock);
    return more && left > 0;
}
