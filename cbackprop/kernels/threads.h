/* A team of threads for one training run, and a barrier between its steps.
 *
 * They are started by Python's C API, without a thread state, and run only kernels, which cannot fail: no tracer, signal
 * handler or library that patches Python's threads can keep one of them from a barrier. Only the calling thread, the
 * first of the team, may call into Python.
 *
 * The barrier spins, since the work between two barriers takes microseconds, then yields the processor, so that more
 * threads than processors make progress, too.
 */
#ifndef CBACKPROP_THREADS_H
#define CBACKPROP_THREADS_H

#include "subnormal.h"
#include <pythread.h>
#include <stdlib.h>

#if defined(_MSC_VER)
#include <windows.h>
typedef volatile LONG shared_count;
#define SHARED_ADD(count) InterlockedIncrement(count)
#define SHARED_SET(count, to) InterlockedExchange(count, to)
#define SHARED_GET(count) InterlockedOr(count, 0)
#define YIELD_CPU() SwitchToThread()
static inline long process_id(void) { return 0; } /* Windows has no fork */
#else
#include <sched.h>
#include <unistd.h>
typedef long shared_count;
#define SHARED_ADD(count) __atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL)
#define SHARED_SET(count, to) __atomic_store_n(count, to, __ATOMIC_RELEASE)
#define SHARED_GET(count) __atomic_load_n(count, __ATOMIC_ACQUIRE)
#define YIELD_CPU() sched_yield()
static inline long process_id(void) { return (long)getpid(); }
#endif

#if defined(__x86_64__) && defined(__GNUC__)
#define SPIN() __builtin_ia32_pause()
#elif defined(__aarch64__) && defined(__GNUC__)
#define SPIN() __asm__ volatile("yield")
#else
#define SPIN()
#endif

typedef struct {
    shared_count threads; /* 0 until it is known how many could be started */
    shared_count arrived;
    shared_count round;
    shared_count finished; /* threads of a team besides the first */
} Barrier;

static void wait_while(shared_count *count, long value)
{
    long spins = 0;
    while (SHARED_GET(count) == value)
        if (++spins < 100)
            SPIN();
        else
            YIELD_CPU();
}

static void barrier_wait(Barrier *barrier)
{
    long round;
    if (barrier->threads == 1)
        return;
    round = SHARED_GET(&barrier->round);
    if (SHARED_ADD(&barrier->arrived) == barrier->threads) {
        SHARED_SET(&barrier->arrived, 0);
        SHARED_SET(&barrier->round, round + 1);
        return;
    }
    wait_while(&barrier->round, round);
}

typedef struct {
    Barrier *barrier;
    void (*work)(void *data, ptrdiff_t thread);
    void *data;
    ptrdiff_t thread;
} Member;

static void member_main(void *argument)
{
    Member *self = (Member *)argument;
    wait_while(&self->barrier->threads, 0);
    flush_subnormals(); /* for the life of this thread, which never calls into Python */
    self->work(self->data, self->thread);
    SHARED_ADD(&self->barrier->finished); /* from now on the first thread may free everything */
}

/* Calls work(data, thread) in up to `threads` threads, as many as could be started, the caller being thread 0. In the
 * child of a fork from within the work, only the caller exists. */
static void run_team(Barrier *barrier, ptrdiff_t threads, void (*work)(void *data, ptrdiff_t thread), void *data)
{
    Member *others = threads > 1 ? (Member *)malloc((threads - 1) * sizeof(Member)) : NULL;
    ptrdiff_t started = 0;
    long finished;
    barrier->arrived = barrier->finished = 0;
    barrier->threads = 0;
    for (; others != NULL && started < threads - 1; started++) {
        Member *other = others + started;
        other->barrier = barrier, other->work = work, other->data = data, other->thread = started + 1;
        if (PyThread_start_new_thread(member_main, other) == PYTHREAD_INVALID_THREAD_ID)
            break;
    }
    SHARED_SET(&barrier->threads, (long)(started + 1));
    work(data, 0);
    if (barrier->threads > 1)
        while ((finished = SHARED_GET(&barrier->finished)) < started)
            wait_while(&barrier->finished, finished);
    barrier->threads = 1;
    free(others);
}
#endif
