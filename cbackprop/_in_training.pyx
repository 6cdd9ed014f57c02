"""Which weights are in training. What two threads made of the same memory would be the work of neither.

Only who updates weights is looked at: reading them, in any thread, is allowed. Compiled so that nothing, neither
another thread nor a signal, comes between a look at the list and an entry in it, nor between the work and what has to
follow it. Python looks at signals between its instructions, so no `with` or `finally` of its own is sure to be reached.
"""
cimport numpy as cnp
from cpython.pythread cimport PyThread_get_thread_ident

import os

cnp.import_array()

in_training = []


cdef class InTraining:
    """Keeps other threads from training weights that share memory with w or v, for the length of a call.

    The pair may be velocities, too. The thread itself may go on to train them, as a callback of `fit` may.
    """

    def __cinit__(self, cnp.ndarray w not None, cnp.ndarray v not None):
        self.w, self.v = w, v

    def during(self, work, *arguments):
        """What ``work(*arguments)`` returns. RuntimeError if another thread trains these weights."""
        self.begin()
        try:
            return work(*arguments)
        finally:
            self.end()

    cdef int begin(self) except -1:
        refuse_another_thread(self.w, self.v)
        self.thread = PyThread_get_thread_ident()
        in_training.append(self)
        return 0

    cdef int end(self) except -1:
        in_training.remove(self)
        return 0


cdef int refuse_another_thread(cnp.ndarray w, cnp.ndarray v) except -1:
    cdef InTraining other
    cdef unsigned long thread = PyThread_get_thread_ident()
    for other in in_training:
        if other.thread != thread and (overlap(w, other.w) or overlap(w, other.v) or overlap(v, other.w)
                                       or overlap(v, other.v)):
            raise RuntimeError("another thread is training these weights, or others in the same memory: "
                               "wait for it, or train a copy")
    return 0


def whatever_ends(work, at_end):
    """What ``work()`` returns, after ``at_end(error)`` with what it raised, or None.

    `at_end` may be called twice: Ctrl-C amid it ends it only after it had another chance.
    """
    try:
        result = work()
    except BaseException as error:
        with_another_chance(at_end, error)
        raise
    with_another_chance(at_end, None)
    return result


cdef int with_another_chance(at_end, error) except -1:
    try:
        at_end(error)
    except Exception:
        raise
    except BaseException:
        at_end(error)
        raise
    return 0


def forget_other_threads():
    """In the child of a fork, where only the thread that forked lives on."""
    cdef InTraining each
    cdef unsigned long thread = PyThread_get_thread_ident()
    in_training[:] = [each for each in in_training if each.thread == thread]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_other_threads)
