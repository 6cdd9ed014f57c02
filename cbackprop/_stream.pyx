"""The step in which a model of a stream learns: all its parts together, or none.

Python runs signal handlers between its own instructions. The functions here are compiled, and call Python code only
before anything has changed or while they take changes back, so that no handler sees, or leaves, a part of a step.
"""


cdef class Stream:
    """What a model has learned from a stream: replaced as a whole, after all that can fail.

    Attributes
    ----------
    growing : Growing or None
        Networks, their mixture and scalers; None before the first sample.
    version : int
        How many calls have learned.
    """

    cdef readonly object growing
    cdef readonly Py_ssize_t version
    cdef bint learning

    def __init__(self, growing=None):
        self.growing = growing

    def __reduce__(self):
        return type(self), (self.growing,)

    def learn_one(self, Py_ssize_t version, growing, row, t, missing, double sample_weight):
        """Let `growing` learn from one sample and take the place of what has learned so far.

        Parameters
        ----------
        version : int
            The version for which `growing` and the row were made. If another call has learned since, in a signal
            handler or another thread, this one does nothing.
        growing : Growing
            What has learned so far, or what has grown from it.
        row : ndarray of shape (D,), or pair of ndarray
            The inputs, or the indices and the values of those that are not 0.
        t : int, float or ndarray of shape (K,)
            The targets. Those that are missing are NaN.
        missing : ndarray of bool, shape (K,), or None
            Which are missing.
        sample_weight : float
            A factor of the learning rate.

        Returns
        -------
        bool
            Whether it has learned.
        """
        cdef bint grown = growing is not self.growing
        if version != self.version:
            return False
        self.begin()
        try:
            if grown:
                exchange(growing.added)
            try:
                learn(growing, row, t, missing, sample_weight)
            except BaseException:
                if grown:
                    exchange(growing.added)
                raise
            if grown:
                growing.added = []
                self.growing = growing
            self.version += 1
        finally:
            self.learning = False
        return True

    def learn_many(self, Py_ssize_t version, learn, list arrays, list scalers):
        """Call ``learn()``, whose result takes the place of what has learned so far.

        Parameters
        ----------
        version : int
            As for `learn_one`.
        learn : callable
            It may be interrupted: whatever it changes in `arrays` and `scalers` is taken back then.
        arrays : list of (ndarray, index, ndarray)
            Arrays that it changes, where, and copies of what is there now.
        scalers : list of (scaler, object)
            Scalers that it changes, and what they have saved.

        Returns
        -------
        bool
            Whether it has learned.
        """
        if version != self.version:
            return False
        self.begin()
        try:
            try:
                growing = learn()
            except BaseException:
                for array, where, before in arrays:
                    array[where] = before
                for scaler, saved in scalers:
                    scaler.restore(saved)
                raise
            self.growing = growing
            self.version += 1
        finally:
            self.learning = False
        return True

    cdef int begin(self) except -1:
        if self.learning:
            raise RuntimeError("this model is learning, in another thread or below this signal handler")
        self.learning = True
        return 0


cdef int learn(growing, row, t, missing, double sample_weight) except -1:
    cdef list updated = []
    try:
        if growing.inputs is not None:
            row = growing.inputs.learn(row)
            updated.append(growing.inputs)
        if growing.targets is not None:
            t = growing.targets.learn(t)
            updated.append(growing.targets)
        if missing is not None:
            t[missing] = 0
        indices, x = row if type(row) is tuple else (None, row)
        growing.one_sample.learn_present(x, indices, t, missing, sample_weight)
    except BaseException:
        for scaler in updated:
            scaler.undo()
        raise
    return 0


# Swap the contents of pairs of arrays, by a third one of their shape: the initial weights of added inputs are put
# where they belong, which may be where the bias was before, or are taken back
cdef int exchange(list added) except -1:
    for weights, initial, free in added:
        free[...] = weights
        weights[...] = initial
        initial[...] = free
    return 0
