/* Ctrl-C within the kernels: Python's handlers are asked to run now and then, at a point where nothing is half done.
 *
 * They run in the main thread only. What they raise stays set until the kernels have returned.
 */
#ifndef CBACKPROP_SIGNALS_H
#define CBACKPROP_SIGNALS_H

#include <Python.h>

typedef struct {
    ptrdiff_t every, left; /* samples between two looks, and to the next one */
    volatile int stop;     /* set by a look, or by another thread */
} patience;

static inline void look_every(patience *p, ptrdiff_t samples)
{
    p->every = p->left = samples > 0 ? samples : 1;
    p->stop = 0;
}

/* whether to stop, after so many more samples */
static inline int stopped(patience *p, ptrdiff_t samples)
{
    p->left -= samples;
    if (p->left <= 0) {
        PyGILState_STATE state = PyGILState_Ensure();
        if (PyErr_CheckSignals() != 0)
            p->stop = 1;
        PyGILState_Release(state);
        p->left = p->every;
    }
    return p->stop;
}

/* -1 if an error waits to be raised */
static inline int error_waits(void) { return PyErr_Occurred() != NULL ? -1 : 0; }

#endif
