cimport numpy as cnp

cdef list held_locks  # instances of TrainingLock; usually empty
cdef long fork_count


cdef class TrainingLock:
    cdef cnp.ndarray w, v
    cdef tuple w_file, v_file  # where they are mapped from, or None
    cdef unsigned long thread
    cdef int check(self) except -1
    cdef int begin(self) except -1
    cdef int end(self) except -1
