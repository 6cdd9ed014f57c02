/* Ctrl-C within kernels: pending signal handlers run between samples.
 *
 * They run in the main thread only. An exception they raise stays set until the kernel has returned.
 */
#ifndef CBACKPROP_SIGNALS_H
#define CBACKPROP_SIGNALS_H

#include "subnormal.h"
#include <Python.h>

typedef struct {
    ptrdiff_t interval, remaining; /* samples between two polls, and to the next one */
    volatile int stop;             /* set by a poll, or by another thread */
    unsigned int control;          /* whether Python code computes with subnormal numbers */
} SignalPoll;

/* samples of the smallest network take some 10 ms: a chain of operations each, whatever its size */
#define MAX_INTERVAL 100000

static inline void poll_init(SignalPoll *poll, ptrdiff_t samples)
{
    poll->interval = poll->remaining = samples > MAX_INTERVAL ? MAX_INTERVAL : samples > 0 ? samples : 1;
    poll->stop = 0;
}

/* for calls within which no signal handler may run */
static inline void poll_never(SignalPoll *poll) { poll->interval = poll->remaining = PTRDIFF_MAX; }

/* around the work of a kernel that polls */
static inline void enter_kernel(SignalPoll *poll) { poll->control = flush_subnormals(); }
static inline void leave_kernel(const SignalPoll *poll) { restore_subnormals(poll->control); }

/* whether to stop; `samples` have been taken since the last call */
static inline int should_stop(SignalPoll *poll, ptrdiff_t samples)
{
    poll->remaining -= samples;
    if (poll->remaining <= 0) {
        PyGILState_STATE state = PyGILState_Ensure();
        leave_kernel(poll);
        if (PyErr_CheckSignals() != 0)
            poll->stop = 1;
        enter_kernel(poll);
        PyGILState_Release(state);
        poll->remaining = poll->interval;
    }
    return poll->stop;
}

/* -1 if an exception is set */
static inline int check_error(void) { return PyErr_Occurred() != NULL ? -1 : 0; }

#endif
