/* Waiting on what other threads bring about: whoever changes something rings, whoever waits
 * looks again at each ring. The patience ends a test that would hang and decides nothing else. */
#ifndef MINICLOUD_TESTS_BELL_H
#define MINICLOUD_TESTS_BELL_H

#include <stdbool.h>
#include <stdint.h>

void bell_ring(void);
/* How often it has rung: taken before looking, so that no ring is missed. */
uint64_t bell_rings(void);
/* When patience ends that begins now. */
int64_t bell_patience(void);
/* Waits until it has rung more than `seen` times; false: patience was over first. */
bool bell_wait(uint64_t seen, int64_t until_ms);

/* For cmocka tests. The condition takes what locks it needs. */
#define bell_await(condition)                                                   \
    do {                                                                        \
        int64_t until_ = bell_patience();                                       \
        for (uint64_t seen_ = bell_rings(); !(condition); seen_ = bell_rings()) \
            if (!bell_wait(seen_, until_))                                      \
                fail_msg("%s never came", #condition);                          \
    } while (0)

#endif
