# What Python calls: the base class of engines. Engines release the GIL. What would make them leave their memory is
# asserted.
cdef extern from *:
    """
    #if defined(_MSC_VER)
    #define COMPILER "MSVC"
    #elif defined(__clang__)
    #define COMPILER "Clang " __clang_version__
    #elif defined(__GNUC__)
    #define COMPILER "GCC " __VERSION__
    #else
    #define COMPILER "unknown"
    #endif
    """
    const char *compiler_name "COMPILER"

cdef extern from "signals.h":
    ctypedef struct SignalPoll:
        bint stop
    void poll_init(SignalPoll *poll, Py_ssize_t samples) noexcept nogil
    void poll_never(SignalPoll *poll) noexcept nogil
    bint should_stop(SignalPoll *poll, Py_ssize_t samples) noexcept nogil
    void enter_kernel(SignalPoll *poll) noexcept nogil
    void leave_kernel(const SignalPoll *poll) noexcept nogil
    unsigned int flush_subnormals() noexcept nogil
    void restore_subnormals(unsigned int control) noexcept nogil
    void set_control(unsigned int control) noexcept nogil
    int check_error() except -1

cdef enum:
    MAX_THREADS = 1 << 20    # times panels, still a number
    MAX_BLOCK = 128          # samples, a multiple of every TILE_SAMPLES
    POLL_OPS = 100_000_000   # operations from one poll to the next

DTYPE = np.dtype(np.float32 if sizeof(real) == 4 else np.float64)
COMPILER = compiler_name.decode()
LANES_IN_REGISTER = LANES


# Polls for signals every 1-20 ms; h of a unit and the output of a k, with its error, take as long as some 8 products
cdef inline void set_interval(SignalPoll *poll, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K,
                              Py_ssize_t operations) noexcept nogil:
    poll_init(poll, operations // (6 * (M * (D + 9) + K * (M + 9))))


cdef class Engine:
    """Weights in the form that kernels work on, and how to learn with them."""

    cdef readonly Py_ssize_t D, M, K
    cdef readonly tuple states               # names of what is learned besides the weights
    cdef readonly bint in_place              # it works on the user's arrays, if these suit it, else on copies
    cdef readonly tuple supports             # of "epochs", "forward" with `loss`, "gradient", "sparse", "threads"
    cdef LearningRule rule
    cdef Functions functions
    cdef Py_ssize_t block                    # samples that the blocked engine, non-zeros that the sparse one takes
    cdef list arrays                         # what it works on: w, v, and the velocity or accumulators
    cdef list own                            # memory for copies of them
    cdef Rows[4] rows                        # where they are
    cdef tuple g                             # where a gradient goes
    cdef bint loaded, writeable
    cdef void *memory                        # of its kernels
    cdef real *backup                        # of the user's arrays, which a call that fails restores
    cdef Py_ssize_t backup_size
    cdef SignalPoll poll

    def __cinit__(self, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Py_ssize_t batch_size=1, *, Py_ssize_t block=8,
                  real momentum=0, real l2=0, bint adaptive=False, hidden="sigmoid", output="softmax"):
        cdef double padded_weights
        assert min(D, M, K, batch_size, block) >= 1 and not (adaptive and momentum != 0)
        # more bytes than an address can count, for the weights in every lane and what comes with them
        padded_weights = LANES * (D + <double> K + 2 * MAX_BLOCK) * (M + <double> MAX_BLOCK)
        if 32 * sizeof(real) * padded_weights > <double> PY_SSIZE_T_MAX:
            raise MemoryError(f"no memory for a network of {D} inputs, {M} hidden units and {K} outputs")
        self.D, self.M, self.K, self.block = D, M, K, block
        self.functions = Functions(HIDDEN_FUNCTIONS[hidden], OUTPUTS[output])
        self.rule.batch_size, self.rule.momentum, self.rule.l2 = batch_size, momentum, l2
        self.rule.adaptive = adaptive
        self.states = ("velocity",) if momentum != 0 else ("accumulators",) if adaptive else ()
        self.supports = ()
        set_interval(&self.poll, D, M, K, POLL_OPS)

    def __dealloc__(self):
        free(self.backup)
        free(self.memory)

    # Zeros for an arena of so many bytes
    cdef char *allocate(self, Py_ssize_t size) except NULL:
        self.memory = calloc(size + 64, 1)
        if self.memory == NULL:
            raise MemoryError(f"no memory for a network of {self.D} inputs, {self.M} hidden units and {self.K} outputs")
        return <char *> self.memory + (64 - <uintptr_t> self.memory % 64)

    # What each engine implements

    # Whether it can work on such arrays
    cdef bint suits(self, const Rows *rows) noexcept:
        return False

    # Zeros on which it can: w and v, or what has their shapes
    cdef tuple make(self):
        return np.zeros((self.M, self.D + 1), DTYPE), np.zeros((self.K, self.M + 1), DTYPE)

    # Points its kernels at the arrays
    cdef int bind(self) except -1:
        raise NotImplementedError

    # Returns the sum of E_n, NaN where it or a weight would not be finite
    cdef double learn_set(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        return NAN

    # The same of one batch, the weights of whose samples add up to `total_weight`
    cdef double learn_batch(self, const SampleSet *samples, Py_ssize_t first, Py_ssize_t size,
                            real total_weight) noexcept nogil:
        return NAN

    cdef double loss_of_set(self, const SampleSet *samples) noexcept nogil:
        return NAN

    cdef double gradient_of_set(self, const SampleSet *samples) noexcept nogil:
        return NAN

    # Arrays like w and v, where gradient_of_set leaves it
    cdef tuple gradients(self):
        return self.g

    cdef bint forward_set(self, const SampleSet *samples, const Activations *out) noexcept nogil:
        return False

    cdef bint weights_are_finite(self) noexcept nogil:
        cdef Py_ssize_t a
        for a in range(4):
            if self.rows[a].first != NULL and not rows_are_finite(&self.rows[a]):
                return False
        return True

    # What they have in common

    # (17) batch after batch. All samples of a batch see the same w and v; one without weight changes nothing.
    cdef double learn_batches(self, const SampleSet *samples) noexcept nogil:
        cdef Py_ssize_t first = 0, size
        cdef double total = 0
        cdef real total_weight
        while first < samples.count and isfinite(total) and not self.poll.stop:
            size = min(self.rule.batch_size, samples.count - first)
            total_weight = weight_of_batch(samples, first, size, self.rule.batch_size)
            if total_weight > 0:
                total += self.learn_batch(samples, first, size, total_weight)
            first += size
        return total

    # What Python calls

    samples = Samples    # those that the engines of this module take

    cdef list checked(self, w, v, dict states, Rows *rows):
        """The arrays in a list, and their rows, if they fit."""
        cdef list arrays = [w, v]
        shapes = [(self.M, self.D + 1), (self.K, self.M + 1)]
        if states:
            assert self.states == tuple(states)
            arrays += states[self.states[0]]
            shapes += [(self.M,), (self.K,)] if self.rule.adaptive else shapes
        if [array.shape for array in arrays] != shapes:    # an argument, or a callback, may have reshaped them
            raise ValueError(f"the arrays have shapes {[array.shape for array in arrays]}; they must be {shapes}")
        find_rows(arrays, rows)
        return arrays

    def load(self, w, v, dict states=None):
        """Take weights of shapes (M, D+1) and (K, M+1), and the named `states`: pairs of arrays.

        The velocity has the shapes of the weights, accumulators have shapes (M,) and (K,). Without states they are 0.
        """
        cdef Rows[4] rows
        cdef list arrays = self.checked(w, v, states, rows)
        self.in_place = (len(arrays) == 2 + 2 * len(self.states)) and self.suits(rows)
        if not self.in_place:
            if self.own is None:
                self.own = [*self.make(), *self.make_states()]
            for copy, array in zip(self.own, arrays):
                copy[...] = array
            for copy in self.own[len(arrays):]:
                copy[...] = 0
            arrays = self.own
            find_rows(arrays, rows)
        memcpy(self.rows, rows, sizeof(rows))
        self.arrays, self.writeable = arrays, all(array.flags.writeable for array in arrays)
        self.bind()
        self.loaded = True

    cdef tuple make_states(self):
        if self.rule.adaptive:
            return np.zeros(padded(self.M), DTYPE)[:self.M], np.zeros(padded(self.K), DTYPE)[:self.K]
        return self.make() if self.rule.momentum != 0 else ()

    def store(self, w, v, dict states=None):
        """Copy them to such arrays, unless the engine works on these; all or none: no handler runs in between."""
        cdef Rows[4] rows
        cdef list arrays = self.checked(w, v, states, rows)
        assert self.loaded and all(array.flags.writeable for array in arrays)
        self.store_to(arrays, rows)

    cdef int store_to(self, list arrays, const Rows *rows) except -1:
        for array, copy in zip(arrays, self.arrays):
            if array is not copy:
                array[...] = copy
        return 0

    def finite(self):
        """Whether all weights, and accumulators, are finite."""
        assert self.loaded
        return self.weights_are_finite()

    def defer_signals(self):
        """Run no signal handler within calls."""
        poll_never(&self.poll)

    def stop(self):
        """Ask a running call to return soon, with the weights of a state between two samples or batches."""
        self.poll.stop = True

    # The weights before a call that learns, which works on the user's own
    cdef int save(self) except -1:
        cdef Py_ssize_t a, size = 0
        if not self.in_place:
            return 0
        for a in range(4):
            size += self.rows[a].count * self.rows[a].length
        if size > self.backup_size:
            free(self.backup)
            self.backup, self.backup_size = <real *> malloc(size * sizeof(real)), 0
            if self.backup == NULL:
                raise MemoryError(f"no memory for a copy of {size} weights")
            self.backup_size = size
        self.copy_rows(self.backup, True)
        return 0

    cdef void copy_rows(self, real *backup, bint save) noexcept nogil:
        cdef Py_ssize_t a, row
        cdef const Rows *rows
        for a in range(4):
            rows = &self.rows[a]
            for row in range(rows.count):
                if save:
                    memcpy(backup, rows.first + row * rows.stride, rows.length * sizeof(real))
                else:
                    memcpy(rows.first + row * rows.stride, backup, rows.length * sizeof(real))
                backup += rows.length

    # The sum of E_n; if it or a weight is not finite, NaN, with the user's arrays as they were before. So they are
    # after an interrupted batch which is the whole epoch: its velocity is incomplete.
    cdef double learn_or_restore(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        cdef double total = self.learn_set(samples, threads)
        cdef bint incomplete = self.poll.stop and self.rule.momentum != 0 and self.rule.batch_size >= samples.count
        return self.kept_or_restored(NAN if incomplete else total)

    cdef double kept_or_restored(self, double total) noexcept nogil:
        if isfinite(total) and (not self.in_place or self.weights_are_finite()):
            return total
        if self.in_place:
            self.copy_rows(self.backup, False)
        return NAN

    def learn(self, Samples samples not None, const Py_ssize_t[::1] order not None, real learning_rate,
              Py_ssize_t threads=1, double[::1] losses=None):
        """Learn from the samples in the given order. Returns the sum of E_n, each before its own update.

        Each E_n, without the weight of its sample, goes to `losses`, if given. The sum is NaN if it or a weight would
        not be finite: then arrays on which the engine works are as they were before.
        """
        cdef SampleSet ordered = self.in_order(samples, order)
        cdef double total
        assert threads == 1 or ("threads" in self.supports and 1 < threads <= MAX_THREADS)
        if losses is not None:
            assert losses.shape[0] == ordered.count
            ordered.losses = &losses[0]
        self.run_epochs(&ordered, learning_rate, threads, &total, 1)
        return total

    def learn_epochs(self, Samples samples not None, const Py_ssize_t[::1] order not None, real learning_rate,
                     double[::1] totals not None):
        """Run len(totals) epochs; stop after the first whose total is NaN. Return the number run."""
        cdef SampleSet ordered = self.in_order(samples, order)
        cdef double *first = &totals[0] if totals.shape[0] > 0 else NULL
        assert "epochs" in self.supports
        return self.run_epochs(&ordered, learning_rate, 1, first, totals.shape[0])

    cdef Py_ssize_t run_epochs(self, const SampleSet *samples, real learning_rate, Py_ssize_t threads, double *totals,
                               Py_ssize_t most) except -1:
        cdef Py_ssize_t epoch = -1
        self.rule.learning_rate = learning_rate
        self.save()
        with nogil:
            enter_kernel(&self.poll)
            for epoch in range(most):
                totals[epoch] = self.learn_or_restore(samples, threads)
                if isnan(totals[epoch]) or self.poll.stop:
                    break
            leave_kernel(&self.poll)
        check_error()
        return epoch + 1

    def loss(self, Samples samples not None):
        """E (2) of all samples, without sample weights."""
        cdef SampleSet targets = self.unweighted(samples)
        cdef double E
        assert "forward" in self.supports
        with nogil:
            enter_kernel(&self.poll)
            E = self.loss_of_set(&targets)
            leave_kernel(&self.poll)
        check_error()
        return E

    def gradient(self, Samples samples not None, dw, dv):
        """Write the mean gradient (3) to dw and dv. Returns E (2), or infinity if a derivative is not finite.

        Both are without sample weights.
        """
        cdef SampleSet targets = self.unweighted(samples)
        cdef Rows[4] rows
        cdef double E
        assert "gradient" in self.supports
        self.checked(dw, dv, None, rows)
        gradients = self.gradients()
        with nogil:
            enter_kernel(&self.poll)
            E = self.gradient_of_set(&targets)
            leave_kernel(&self.poll)
        check_error()
        for array, result in zip((dw, dv), gradients):
            array[...] = result
            rows[0] = rows_of(result)
            if not rows_are_finite(rows):
                E = INFINITY
        return E

    def forward(self, Samples samples not None, real[:, ::1] b, real[:, ::1] z, real[:, ::1] a not None,
                real[:, ::1] y not None):
        """Write the activations of all samples; b and z may be None. Returns whether all b are finite."""
        cdef SampleSet inputs = samples.of(self)
        cdef Activations out
        cdef bint finite
        assert self.loaded and "forward" in self.supports and (b is None) == (z is None)
        out.b = out.z = NULL
        if b is not None:
            out.b, out.z = checked_rows(b, inputs.count, self.M), checked_rows(z, inputs.count, self.M)
        out.a, out.y = checked_rows(a, inputs.count, self.K), checked_rows(y, inputs.count, self.K)
        inputs.t, inputs.labels = NULL, NULL
        with nogil:
            enter_kernel(&self.poll)
            finite = self.forward_set(&inputs, &out)
            leave_kernel(&self.poll)
        check_error()
        return finite

    cdef SampleSet with_targets(self, Samples samples) except *:
        cdef SampleSet targets = samples.of(self)
        assert self.loaded and have_targets(&targets)
        return targets

    # For (2) and (3), in which all samples have the same weight
    cdef SampleSet unweighted(self, Samples samples) except *:
        cdef SampleSet targets = self.with_targets(samples)
        targets.sample_weight = NULL
        return targets

    # Some of the samples in some order, to learn; keep `order` alive
    cdef SampleSet in_order(self, Samples samples, const Py_ssize_t[::1] order) except *:
        cdef SampleSet ordered = self.with_targets(samples)
        cdef Py_ssize_t n
        assert self.loaded and order.shape[0] > 0
        if not self.writeable:
            raise ValueError("w or v is read-only; they must be writable")
        for n in range(order.shape[0]):
            assert 0 <= order[n] < ordered.count
        ordered.order, ordered.count = &order[0], order.shape[0]
        return ordered


cdef real *checked_rows(real[:, ::1] array, Py_ssize_t N, Py_ssize_t columns) except NULL:
    assert array is not None and array.shape[0] == N and array.shape[1] == columns
    return &array[0, 0]
