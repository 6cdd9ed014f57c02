# A network as kernels see it: the rows of its weights, the symbols of one sample, and how to learn. Each engine has one
# function that cuts its pointers from an arena; this file has the arena, and the pointers that engines share.
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free, malloc

cdef struct Net:
    Py_ssize_t D, M, K
    Functions functions
    real **w                     # [M] rows w_j of length D + 1
    real **v                     # [K] rows v_k of length M + 1
    real **u_w                   # the same for the velocity, or for a gradient
    real **u_v
    const real *x                # [D]
    real *b                      # [M]
    real *z                      # [M]
    real *e                      # [M], dE_n/db_j
    real *a                      # [K], padded to whole vectors
    real *y                      # [K], padded
    real *t                      # [K], padded
    real *alpha_w                # [M], alpha of (17) for this sample
    real *alpha_v                # [K]
    real *s_w                    # [M], sums of squares of row-wise AdaGrad; NULL if alpha is the same for all units
    real *s_v                    # [K]
    real *next_s_w               # the same with this sample
    real *next_s_v
    real max_a, sum_exp_minus_1  # of softmax; else 0
    real E_n, weight, learning_rate
    real mean_square_x, mean_square_z

# Where the activations of all samples go; NULL where they are not wanted
cdef struct Activations:
    real *b                      # [N][M]
    real *z
    real *a                      # [N][K]
    real *y


# A piece of one allocation, aligned to a cache line; with memory = NULL only its size is counted
cdef inline void *arena_alloc(char *memory, Py_ssize_t *used, Py_ssize_t size) noexcept nogil:
    cdef void *start = memory + used[0]
    used[0] += (size + 63) // 64 * 64
    return start


cdef inline vec *carve_vecs(char *memory, Py_ssize_t *used, Py_ssize_t count) noexcept nogil:
    return <vec *> arena_alloc(memory, used, count * sizeof(vec))


# The symbols of one sample, and the tables of rows, for the sizes of a network. Returns the bytes needed.
cdef Py_ssize_t carve(Net *net, char *memory) noexcept nogil:
    cdef Py_ssize_t M = net.M, K = net.K, used = 0, symbols = 5 * M + 3 * padded(K) + 2 * K
    net.b = <real *> arena_alloc(memory, &used, symbols * sizeof(real))
    net.w = <real **> arena_alloc(memory, &used, 2 * (M + K) * sizeof(real *))
    net.z = net.b + M
    net.e = net.z + M
    net.a = net.e + M
    net.y = net.a + padded(K)
    net.t = net.y + padded(K)
    net.alpha_w = net.t + padded(K)
    net.next_s_w = net.alpha_w + M
    net.alpha_v = net.next_s_w + M
    net.next_s_v = net.alpha_v + K
    net.v = net.w + M
    net.u_w = net.v + K
    net.u_v = net.u_w + M
    return used


# Where each row of a matrix begins
cdef inline void set_rows(scalar_or_vec **rows, scalar_or_vec *matrix, Py_ssize_t count,
                          Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(count):
        rows[row] = matrix + row * stride
