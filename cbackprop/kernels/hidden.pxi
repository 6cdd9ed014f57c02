# The hidden function: z from b, and its derivative from z. All engines call these functions: another one needs a name
# here, and a line in each of them.

cdef enum:
    SIGMOID
    TANH
    RELU

HIDDEN_FUNCTIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU}


# z_j = h(b_j)
cdef inline scalar_or_vec h(int hidden, scalar_or_vec b_j) noexcept nogil:
    if hidden == SIGMOID:
        return sigmoid(b_j)
    if hidden == TANH:
        return tanh(b_j)
    return relu(b_j)


# h'(b_j), given z_j
cdef inline scalar_or_vec h_derivative(int hidden, scalar_or_vec z_j) noexcept nogil:
    if hidden == SIGMOID:
        return sigmoid_derivative(z_j)
    if hidden == TANH:
        return tanh_derivative(z_j)
    return relu_derivative(z_j)


# z_j = h(b_j) of a vector of units at a time. The last vector ends at M and overlaps the one before, so that equal b_j
# give the same bits whatever their position.
cdef inline void hidden_output(int hidden, const scalar_or_vec *b, scalar_or_vec *z, Py_ssize_t M) noexcept nogil:
    cdef Py_ssize_t j = 0
    if scalar_or_vec is real:
        if M >= LANES:
            while j + LANES <= M:
                (<vec *> (z + j))[0] = h(hidden, (<const vec *> (b + j))[0])
                j += LANES
            if j < M:
                (<vec *> (z + M - LANES))[0] = h(hidden, (<const vec *> (b + M - LANES))[0])
            return
    while j < M:
        z[j] = h(hidden, b[j])
        j += 1
