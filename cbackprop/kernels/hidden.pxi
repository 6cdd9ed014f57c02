# The hidden function: z from b, and its derivative from z. All engines call these functions: another one is chosen
# here.


# z_j = h(b_j)
cdef inline scalar_or_vec h(scalar_or_vec b_j) noexcept nogil:
    return sigmoid(b_j)


# h'(b_j), given z_j
cdef inline scalar_or_vec h_derivative(scalar_or_vec z_j) noexcept nogil:
    return sigmoid_derivative(z_j)


# z_j = h(b_j) of a vector of units at a time. The last vector ends at M and overlaps the one before, so that equal b_j
# give the same bits whatever their position.
cdef inline void hidden_output(const scalar_or_vec *b, scalar_or_vec *z, Py_ssize_t M) noexcept nogil:
    cdef Py_ssize_t j = 0
    if scalar_or_vec is real:
        if M >= LANES:
            while j + LANES <= M:
                (<vec *> (z + j))[0] = h((<const vec *> (b + j))[0])
                j += LANES
            (<vec *> (z + M - LANES))[0] = h((<const vec *> (b + M - LANES))[0])
            return
    while j < M:
        z[j] = h(b[j])
        j += 1
