/* A meeting point for the threads of one training run: none passes before all have come.
 *
 * Waiting spins, since the work between two meetings takes microseconds, and gives the processor away if that
 * takes long, so that more threads than processors still get on.
 */
#ifndef CBACKPROP_BARRIER_H
#define CBACKPROP_BARRIER_H

#if defined(_MSC_VER)
#include <windows.h>
typedef volatile LONG shared_count;
#define SHARED_ADD(count) InterlockedIncrement(count)
#define SHARED_SET(count, to) InterlockedExchange(count, to)
#define SHARED_GET(count) InterlockedOr(count, 0)
#define GIVE_WAY() SwitchToThread()
#else
#include <sched.h>
typedef long shared_count;
#define SHARED_ADD(count) __atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL)
#define SHARED_SET(count, to) __atomic_store_n(count, to, __ATOMIC_RELEASE)
#define SHARED_GET(count) __atomic_load_n(count, __ATOMIC_ACQUIRE)
#define GIVE_WAY() sched_yield()
#endif

#if defined(__x86_64__) && defined(__GNUC__)
#define SPIN() __builtin_ia32_pause()
#else
#define SPIN()
#endif

typedef struct {
    long threads;
    shared_count arrived;
    shared_count round;
} meeting;

static void meet(meeting *m)
{
    long round, spins = 0;
    if (m->threads == 1)
        return;
    round = SHARED_GET(&m->round);
    if (SHARED_ADD(&m->arrived) == m->threads) {
        SHARED_SET(&m->arrived, 0);
        SHARED_SET(&m->round, round + 1);
        return;
    }
    while (SHARED_GET(&m->round) == round)
        if (++spins < 100)
            SPIN();
        else
            GIVE_WAY();
}
#endif
