"""The step in which a model of a stream learns: all its parts together, or none.

Python runs signal handlers between its own instructions. The functions here are compiled, and call Python code only
before anything has changed or while they take changes back, so that no handler sees, or leaves, a part of a step.
"""
from ._training_lock cimport fork_count


cdef class Stream:
    """What a model has learned from a stream: replaced as a whole, after all that can fail.

    Attributes
    ----------
    growing : Growing or None
        Networks, their mixture and scalers, and how many names they have learned; None before the first sample.
    features, outputs : dict
        Indices of the names. During a call that learns, they hold more names than it has learned.
    labels : list
        The names of the outputs by index.
    version : int
        How many calls have learned.
    """

    cdef readonly object growing
    cdef readonly dict features, outputs
    cdef readonly list labels
    cdef readonly Py_ssize_t version
    cdef long learning    # fork_count during a call that learns

    def __init__(self, growing=None, features=(), outputs=()):
        self.growing, self.features, self.outputs, self.labels = growing, {}, {}, []
        self.add(features, outputs)

    @property
    def names(self):
        """How many features and outputs have been learned."""
        return (0, 0) if self.growing is None else self.growing.names

    def __reduce__(self):
        n_features, n_outputs = self.names
        return type(self), (self.growing, list(self.features)[:n_features], self.labels[:n_outputs])

    def learn(self, Py_ssize_t version, names, growing, sample=None, sample_weight=1, saved=()):
        """Let `growing` learn from a sample, or call it, and put what has learned in place of what has so far.

        Parameters
        ----------
        version : int
            The version for which the other arguments were made. If another call has learned since, in a signal handler
            or another thread, this one does nothing.
        names : pair of sequence
            Names of features and outputs that have been added.
        growing : Growing or callable
            What has learned so far, or what has grown from it; without a sample, a function that learns and returns
            this. It may be interrupted: what it changes is taken back then.
        sample : tuple, optional
            The inputs: an array, or the indices and the values of those that are not 0; the targets, as for
            `OneSampleOfAll.learn_present`, NaN where they are missing; which are missing, or None.
        sample_weight : float
            A factor of the learning rate.
        saved : list of (ndarray, index, ndarray)
            Arrays that a function changes, where, and copies of what is there now.

        Returns
        -------
        bool
            Whether it has learned.
        """
        cdef list before = list(saved)
        if self.learning == fork_count:
            raise RuntimeError("this model is learning, in another thread or below this signal handler")
        if version != self.version:
            return False
        self.learning = fork_count
        try:
            self.add(names[0], names[1])
            if sample is None:
                growing = growing()
            else:
                learn_sample(growing, sample, sample_weight, before)
            growing.added = []
            self.growing = growing
            self.version += 1
        except BaseException:
            for array, where, values in before:
                array[where] = values
            raise
        finally:
            self.forget()
            self.learning = 0
        return True

    # Names whose methods run Python code may raise here
    cdef int add(self, features, outputs) except -1:
        for name in features:
            self.features[name] = len(self.features)
        for name in outputs:
            self.outputs[name] = len(self.outputs)
            self.labels.append(name)
        return 0

    # Forget names that have not been learned
    cdef int forget(self) except -1:
        n_features, n_outputs = self.names
        while len(self.features) > n_features:
            self.features.popitem()
        while len(self.outputs) > n_outputs:
            self.outputs.popitem()
        del self.labels[n_outputs:]
        return 0


# Learn from a sample, and note what changes
cdef int learn_sample(growing, sample, sample_weight, list before) except -1:
    row, t, missing = sample
    for place, initial in growing.added:
        before.append((place, ..., place.copy()))
        place[...] = initial
    if growing.inputs is not None:
        before += growing.inputs.saved(row[0] if type(row) is tuple else None)
        row = growing.inputs.learn(row)
    if growing.targets is not None:
        before += growing.targets.saved(None)
        t = growing.targets.learn(t)
    if missing is not None:
        t[missing] = 0
    indices, x = row if type(row) is tuple else (None, row)
    growing.one_sample.learn_present(x, indices, t, missing, sample_weight)
    return 0
