"""Locks on weights in training, since concurrent training would corrupt shared weights.

Only training is locked: any thread may read weights at any time. The module is compiled, so that no other thread and no
signal handler runs between the check of the list of locks and the new entry, nor between a function and its cleanup.
Python runs signal handlers between its instructions, and one that raises may skip a `with` or `finally` of Python.
"""
cimport numpy as cnp
from cpython.pythread cimport PyThread_get_thread_ident

from ._memory cimport share

import os
import sys

from ._validation import file_range

cnp.import_array()

# On free-threaded Python, importing this module enables the GIL, unless that is forbidden. Without it, two threads
# could both find the weights unlocked before either has taken the lock.
if not getattr(sys, "_is_gil_enabled", lambda: True)():
    raise ImportError("cbackprop needs the GIL, on which its locks rely: run Python without PYTHON_GIL=0 and -X gil=0")

held_locks = []
# Incremented by each fork: threads that ran before it do not exist in the child
fork_count = 1


cdef class TrainingLock:
    """Reentrant lock that excludes other threads from training arrays that share memory, or a file, with w or v.

    The pair may also be state arrays, such as a velocity. It is reentrant because a callback of `fit` may train, too.
    """

    def __cinit__(self, cnp.ndarray w not None, cnp.ndarray v not None):
        self.w, self.v = w, v
        self.w_file, self.v_file = file_range(w), file_range(v)

    def run(self, function, *arguments):
        """Call ``function(*arguments)`` under the lock. Raise RuntimeError if another thread is training the arrays."""
        self.begin()
        try:
            return function(*arguments)
        finally:
            self.end()

    cdef int check(self) except -1:
        """Raise RuntimeError if another thread is training the arrays."""
        cdef TrainingLock other
        cdef unsigned long thread = PyThread_get_thread_ident()
        for other in held_locks:
            if other.thread != thread and (overlap(self.w, self.w_file, other.w, other.w_file)
                                           or overlap(self.w, self.w_file, other.v, other.v_file)
                                           or overlap(self.v, self.v_file, other.w, other.w_file)
                                           or overlap(self.v, self.v_file, other.v, other.v_file)):
                raise RuntimeError("another thread is training these weights, or others in the same memory or file: "
                                   "wait for it, or train a copy")
        return 0

    cdef int begin(self) except -1:
        self.check()
        self.thread = PyThread_get_thread_ident()
        held_locks.append(self)
        return 0

    cdef int end(self) except -1:
        held_locks.remove(self)
        return 0


# Like validation's `overlap`, for arrays of known files: no Python code may run here
cdef bint overlap(cnp.ndarray a, tuple a_file, cnp.ndarray b, tuple b_file) except -1:
    if share(a, b):
        return True
    if a_file is None or b_file is None:
        return False
    return a_file[0] == b_file[0] and a_file[1] < b_file[2] and b_file[1] < a_file[2]


def run_finally(function, cleanup):
    """Call ``function()``, then ``cleanup(error)`` with the exception that it raised, or None; return its result.

    If Ctrl-C interrupts `cleanup`, it is called once more before KeyboardInterrupt propagates.
    """
    try:
        result = function()
    except BaseException as error:
        run_cleanup(cleanup, error)
        raise
    run_cleanup(cleanup, None)
    return result


def call_all(list calls, list results):
    """Call compiled functions with their arguments and append the results; no signal handler runs in between."""
    for function, *arguments in calls:
        results.append(function(*arguments))


cdef int run_cleanup(cleanup, error) except -1:
    try:
        cleanup(error)
    except Exception:
        raise
    except BaseException:
        cleanup(error)
        raise
    return 0


def learn_and_record(dict attributes, learn, *sample):
    """Call ``learn(*sample)``, and set the attributes of scikit-learn's estimators to those after this one sample."""
    attributes["loss_"] = learn(*sample)
    attributes["n_iter_"] = 1
    attributes["t_"] += 1


def forget_other_threads():
    """Release the locks of other threads in the child of a fork, where only the forking thread exists."""
    global fork_count
    cdef TrainingLock each
    cdef unsigned long thread = PyThread_get_thread_ident()
    held_locks[:] = [each for each in held_locks if each.thread == thread]
    fork_count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_other_threads)
