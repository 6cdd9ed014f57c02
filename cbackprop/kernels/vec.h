/* The vector type vec: LANES numbers, one register of the instruction set that is compiled for.
 *
 * The including file defines REAL (float or double), BITS and UNSIGNED_BITS (integers of the same size),
 * MANTISSA_BITS and EXPONENT_BIAS.  Arithmetic on vectors uses the operators of GCC 12 and Clang; this file adds
 * the operations that have none.  With any other compiler, or with CBACKPROP_ONE_LANE defined, a vec is a single
 * number, and the same source still builds.
 */
#ifndef CBACKPROP_VEC_H
#define CBACKPROP_VEC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h> /* square root and, with AVX-512, maximum, minimum and ldexp in one instruction each */
#endif

#if defined(__FAST_MATH__)
#error "cbackprop needs IEEE arithmetic: build it without -ffast-math and -Ofast"
#endif

#define ONE ((REAL)1)
#define EPSILON ((REAL)1e-10) /* added to sums of squares that are divided by */

/* always inline: the sums of a tile stay in registers only if its width is a constant */
#if defined(__GNUC__)
#undef CYTHON_INLINE
#define CYTHON_INLINE inline __attribute__((always_inline, unused))
#endif

/* k + SHIFT, rounded, holds the integer k in its lowest bits */
#define SHIFT ((REAL)1.5 * ((BITS)1 << MANTISSA_BITS))

static inline REAL real_sqrt(REAL a) { return sizeof(REAL) == 4 ? (REAL)sqrtf((float)a) : (REAL)sqrt(a); }

/* 2^k, where shifted = k + SHIFT */
static inline REAL real_exp2i(REAL shifted)
{
    BITS bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + EXPONENT_BIAS) << MANTISSA_BITS;
    memcpy(&shifted, &bits, sizeof bits);
    return shifted;
}

/* u = 2^k m with m in [sqrt(1/2), sqrt(2)), for u >= 1: *shifted = k + SHIFT, and m */
static inline REAL real_split_exponent(REAL u, REAL *shifted)
{
    const REAL low = (REAL)0.70710678118654752440, shift = SHIFT;
    BITS bits, low_bits, k;
    memcpy(&bits, &u, sizeof bits);
    memcpy(&low_bits, &low, sizeof bits);
    memcpy(&k, &shift, sizeof bits);
    k += (bits - low_bits) >> MANTISSA_BITS;
    bits -= (bits - low_bits) >> MANTISSA_BITS << MANTISSA_BITS;
    memcpy(shifted, &k, sizeof bits);
    memcpy(&u, &bits, sizeof bits);
    return u;
}

/* prefetches a row into the first-level cache */
static inline void prefetch_row(const REAL *row, ptrdiff_t n)
{
#if defined(__GNUC__)
    for (const char *line = (const char *)row; line < (const char *)(row + n); line += 64)
        __builtin_prefetch(line);
#else
    (void)row, (void)n;
#endif
}

#if !defined(CBACKPROP_ONE_LANE) && (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12))

#if defined(__AVX512F__)
#define VEC_BYTES 64
#define TILE_SAMPLES 8
#define TILE_VECS 3
#elif defined(__AVX2__)
#define VEC_BYTES 32
#define TILE_SAMPLES 4
#define TILE_VECS 3
#elif defined(__aarch64__)
#define VEC_BYTES 16
#define TILE_SAMPLES 8 /* 16 sums: four pipes of latency 4, and 32 registers */
#define TILE_VECS 2
#else
#define VEC_BYTES 16
#define TILE_SAMPLES 4
#define TILE_VECS 2
#endif
#define LANES (VEC_BYTES / REAL_BYTES)
#define QUARTER (16 / REAL_BYTES)
#define PARTS (VEC_BYTES / 16)

/* aligned like one number, since rows of the user's arrays start at any address. AArch64 loads and stores any vector
 * there, and GCC 14 cannot pass one that is declared so to a function. */
#if defined(__aarch64__)
#define VECTOR(bytes) __attribute__((vector_size(bytes), may_alias))
#else
#define VECTOR(bytes) __attribute__((vector_size(bytes), aligned(sizeof(REAL)), may_alias))
#endif
typedef REAL vec VECTOR(VEC_BYTES);
typedef BITS vec_bits VECTOR(VEC_BYTES);
typedef UNSIGNED_BITS vec_unsigned VECTOR(VEC_BYTES);

#if defined(__AVX512F__)
#define SIMD(name) _mm512_##name
typedef __m512 floats;
typedef __m512d doubles;
#elif defined(__AVX2__)
#define SIMD(name) _mm256_##name
typedef __m256 floats;
typedef __m256d doubles;
#elif defined(__SSE2__)
#define SIMD(name) _mm_##name
typedef __m128 floats;
typedef __m128d doubles;
#endif

/* a bit for each lane in which a comparison holds */
#if defined(__AVX512F__)
#define LANES_WHERE(a, operator, b, predicate) \
    (unsigned)(sizeof(REAL) == 4 ? _mm512_cmp_ps_mask((floats)(a), (floats)(b), _CMP_##predicate) \
                                 : _mm512_cmp_pd_mask((doubles)(a), (doubles)(b), _CMP_##predicate))
#elif defined(__SSE2__)
#define LANES_WHERE(a, operator, b, predicate) \
    (unsigned)(sizeof(REAL) == 4 ? SIMD(movemask_ps)((floats)((a) operator (b))) \
                                 : SIMD(movemask_pd)((doubles)((a) operator (b))))
#else
#define LANES_WHERE(a, operator, b, predicate) lanes_set((a) operator (b))
static inline unsigned lanes_set(vec_bits condition)
{
    unsigned lanes = 0;
    for (int lane = 0; lane < LANES; lane++)
        lanes |= (unsigned)(condition[lane] != 0) << lane;
    return lanes;
}
#endif

/* lane by lane; a condition has all bits of a lane set, or none */
static inline vec vec_select(vec_bits condition, vec yes, vec no)
{
#if defined(__AVX2__) && !defined(__AVX512F__)
    return sizeof(REAL) == 4 ? (vec)_mm256_blendv_ps((floats)no, (floats)yes, (floats)condition)
                             : (vec)_mm256_blendv_pd((doubles)no, (doubles)yes, (doubles)condition);
#else
    return (vec)(((vec_bits)yes & condition) | ((vec_bits)no & ~condition));
#endif
}

/* lane by lane; b where one of the two is NaN. One instruction each, where GCC makes several of a selection. */
#if defined(__SSE2__)
static inline vec vec_maximum(vec a, vec b)
{
    return sizeof(REAL) == 4 ? (vec)SIMD(max_ps)((floats)a, (floats)b) : (vec)SIMD(max_pd)((doubles)a, (doubles)b);
}

static inline vec vec_minimum(vec a, vec b)
{
    return sizeof(REAL) == 4 ? (vec)SIMD(min_ps)((floats)a, (floats)b) : (vec)SIMD(min_pd)((doubles)a, (doubles)b);
}
#else
static inline vec vec_maximum(vec a, vec b) { return vec_select(a > b, a, b); }
static inline vec vec_minimum(vec a, vec b) { return vec_select(a < b, a, b); }
#endif

static inline vec vec_exp2i(vec shifted)
{
    return (vec)(((vec_bits)shifted + EXPONENT_BIAS) << MANTISSA_BITS);
}

/* a 2^k, where shifted = k + SHIFT, for normal a and results */
static inline vec vec_ldexp(vec a, vec shifted)
{
    return (vec)((vec_bits)a + ((vec_bits)shifted << MANTISSA_BITS));
}

/* the same; 0, and nothing computed, where x <= limit */
static inline vec vec_ldexp_above(vec a, vec shifted, vec x, vec limit)
{
#if defined(__AVX512F__)
    const vec k = shifted - SHIFT;
    const unsigned above = LANES_WHERE(x, >, limit, NLE_UQ); /* or NaN */
    return sizeof(REAL) == 4 ? (vec)_mm512_maskz_scalef_ps((__mmask16)above, (floats)a, (floats)k)
                             : (vec)_mm512_maskz_scalef_pd((__mmask8)above, (doubles)a, (doubles)k);
#else
    return (vec)((vec_bits)(a * vec_exp2i(shifted)) & ~(x <= limit));
#endif
}

static inline vec vec_select_nonnegative(vec condition, vec yes, vec no)
{
#if defined(__AVX512F__)
    const unsigned where = LANES_WHERE(condition, >=, (vec){0}, GE_OQ);
    return sizeof(REAL) == 4 ? (vec)_mm512_mask_blend_ps((__mmask16)where, (floats)no, (floats)yes)
                             : (vec)_mm512_mask_blend_pd((__mmask8)where, (doubles)no, (doubles)yes);
#else
    return vec_select(condition >= 0, yes, no);
#endif
}

static inline vec vec_sqrt(vec a)
{
#if defined(__SSE2__)
    return sizeof(REAL) == 4 ? (vec)SIMD(sqrt_ps)((floats)a) : (vec)SIMD(sqrt_pd)((doubles)a);
#else
    for (int lane = 0; lane < LANES; lane++)
        a[lane] = real_sqrt(a[lane]);
    return a;
#endif
}

static const BITS LANE_INDICES[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* all bits set in the first `count` lanes, none in the others */
static inline vec vec_tail_mask(long count)
{
    return (vec)(*(const vec_bits *)LANE_INDICES < (vec_bits){0} + (BITS)count);
}

/* all bits set in one lane, none in the others, or in none if there is no such lane */
static inline vec vec_lane_mask(long lane)
{
    return (vec)(*(const vec_bits *)LANE_INDICES == (vec_bits){0} + (BITS)lane);
}

/* whether |a| <= limit in all lanes; NaN is not */
static inline int vec_within(vec a, vec limit)
{
    const vec size = (vec)((vec_bits)a & (vec_bits)(((vec_unsigned){0} - 1) >> 1));
#if defined(__SSE2__)
    return LANES_WHERE(size, <=, limit, LE_OQ) == (1u << LANES) - 1;
#else
    const vec_bits within = size <= limit;
    for (int lane = 0; lane < LANES; lane++)
        if (!within[lane])
            return 0;
    return 1;
#endif
}

/* the first lane in which a and b are equal, LANES if there is none */
static inline int vec_first_equal(vec a, vec b)
{
    const unsigned equal = LANES_WHERE(a, ==, b, EQ_OQ);
    return equal ? __builtin_ctz(equal) : LANES;
}

/* the lanes of a whose mask is set, 0 in the others */
static inline vec vec_mask(vec a, vec mask) { return (vec)((vec_bits)a & (vec_bits)mask); }

/* and the other lanes */
static inline vec vec_mask_out(vec a, vec mask) { return (vec)((vec_bits)a & ~(vec_bits)mask); }

/* the first `count` lanes of a, -inf in the others */
static inline vec vec_mask_tail(vec a, long count)
{
    return vec_select((vec_bits)vec_tail_mask(count), a, (vec){0} - INFINITY);
}


static inline vec vec_split_exponent(vec u, vec *shifted)
{
    const vec_bits low = (vec_bits)((vec){0} + (REAL)0.70710678118654752440);
    const vec_bits shift = (vec_bits)((vec){0} + SHIFT);
    vec_bits k = (vec_bits)((vec_unsigned)((vec_bits)u - low) >> MANTISSA_BITS);
    *shifted = (vec)(shift + k);
    return (vec)((vec_bits)u - (k << MANTISSA_BITS));
}

/* a, loaded once where it is used twice: the compiler would load it for each use, as an operand */
static inline vec vec_in_register(vec a)
{
#if defined(__SSE2__)
    __asm__("" : "+x"(a));
#endif
    return a;
}

static inline vec vec_broadcast(REAL a) { return a - (vec){0}; }

/* Sums of all lanes: halves are added, always in the same order, until one number is left */
typedef REAL sixteen_bytes VECTOR(16);
typedef REAL thirty_two_bytes __attribute__((vector_size(32)));

static inline sixteen_bytes vec_fold(vec a)
{
#if VEC_BYTES == 16
    return (sixteen_bytes)a;
#else
    union { vec whole; thirty_two_bytes part[VEC_BYTES / 32]; } outer = {a};
    union { thirty_two_bytes whole; sixteen_bytes part[2]; } inner = {outer.part[0]};
#if VEC_BYTES == 64
    inner.whole += outer.part[1];
#endif
    return inner.part[0] + inner.part[1];
#endif
}

static inline REAL vec_reduce_add(vec a)
{
    const sixteen_bytes last = vec_fold(a);
    return sizeof(REAL) == 8 ? last[0] + last[1] : (last[0] + last[2 % QUARTER]) + (last[1] + last[3 % QUARTER]);
}

/* vec_reduce_add() of each of QUARTER vectors, side by side, in half as many operations */
static inline sixteen_bytes vec_reduce_add_each(const vec *a)
{
#if REAL_BYTES == 8
    const sixteen_bytes p = vec_fold(a[0]), q = vec_fold(a[1]);
    return __builtin_shufflevector(p, q, 0, 2) + __builtin_shufflevector(p, q, 1, 3);
#else
    const sixteen_bytes p = vec_fold(a[0]), q = vec_fold(a[1]), r = vec_fold(a[2]), s = vec_fold(a[3]);
    const sixteen_bytes pq = __builtin_shufflevector(p, q, 0, 4, 1, 5) + __builtin_shufflevector(p, q, 2, 6, 3, 7);
    const sixteen_bytes rs = __builtin_shufflevector(r, s, 0, 4, 1, 5) + __builtin_shufflevector(r, s, 2, 6, 3, 7);
    return __builtin_shufflevector(pq, rs, 0, 1, 4, 5) + __builtin_shufflevector(pq, rs, 2, 3, 6, 7);
#endif
}

/* number j of each of QUARTER rows, in registers: a load would wait for the stores of single numbers */
static inline sixteen_bytes vec_of_each(vec *const *rows, ptrdiff_t j)
{
#define NUMBER(row) ((const REAL *)rows[row])[j]
#if REAL_BYTES == 8
    return (sixteen_bytes){NUMBER(0), NUMBER(1)};
#else
    return (sixteen_bytes){NUMBER(0), NUMBER(1), NUMBER(2), NUMBER(3)};
#endif
}

/* the vector of these parts; not through memory, where a load would wait for the stores of all */
static inline vec vec_join(const sixteen_bytes *parts)
{
#if PARTS == 1
    return (vec)parts[0];
#else
#if REAL_BYTES == 8
#define JOIN(p, q) __builtin_shufflevector(p, q, 0, 1, 2, 3)
#define JOIN_TWICE(p, q) __builtin_shufflevector(p, q, 0, 1, 2, 3, 4, 5, 6, 7)
#else
#define JOIN(p, q) __builtin_shufflevector(p, q, 0, 1, 2, 3, 4, 5, 6, 7)
#define JOIN_TWICE(p, q) __builtin_shufflevector(p, q, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#endif
#if PARTS == 2
    return (vec)JOIN(parts[0], parts[1]);
#else
    return (vec)JOIN_TWICE(JOIN(parts[0], parts[1]), JOIN(parts[2], parts[3]));
#endif
#endif
}

/* every lane with the one whose index differs from its own in the bits of n */
#if LANES == 16
#define SWAP(a, n) __builtin_shufflevector(a, a, 0 ^ n, 1 ^ n, 2 ^ n, 3 ^ n, 4 ^ n, 5 ^ n, 6 ^ n, 7 ^ n, 8 ^ n, 9 ^ n, \
                                           10 ^ n, 11 ^ n, 12 ^ n, 13 ^ n, 14 ^ n, 15 ^ n)
#elif LANES == 8
#define SWAP(a, n) __builtin_shufflevector(a, a, 0 ^ n, 1 ^ n, 2 ^ n, 3 ^ n, 4 ^ n, 5 ^ n, 6 ^ n, 7 ^ n)
#elif LANES == 4
#define SWAP(a, n) __builtin_shufflevector(a, a, 0 ^ n, 1 ^ n, 2 ^ n, 3 ^ n)
#else
#define SWAP(a, n) __builtin_shufflevector(a, a, 0 ^ n, 1 ^ n)
#endif

/* the sum, and the largest, of all lanes, in each of them */
static inline vec vec_sum_of_lanes(vec a)
{
#if LANES == 16
    a += SWAP(a, 8);
#endif
#if LANES >= 8
    a += SWAP(a, 4);
#endif
#if LANES >= 4
    a += SWAP(a, 2);
#endif
    return a + SWAP(a, 1);
}

static inline vec vec_max_of_lanes(vec a)
{
#if LANES == 16
    a = vec_maximum(a, SWAP(a, 8));
#endif
#if LANES >= 8
    a = vec_maximum(a, SWAP(a, 4));
#endif
#if LANES >= 4
    a = vec_maximum(a, SWAP(a, 2));
#endif
    return vec_maximum(a, SWAP(a, 1));
}

#else

#define LANES 1
#define VEC_BYTES sizeof(REAL)
#define TILE_SAMPLES 4
#define TILE_VECS 3
#define QUARTER 1
#define PARTS 1
typedef REAL vec, sixteen_bytes;
static inline vec vec_maximum(vec a, vec b) { return a > b ? a : b; }
static inline vec vec_minimum(vec a, vec b) { return a < b ? a : b; }
static inline vec vec_select_nonnegative(vec condition, vec yes, vec no) { return condition >= 0 ? yes : no; }
static inline vec vec_exp2i(vec shifted) { return real_exp2i(shifted); }
static inline vec vec_ldexp(vec a, vec shifted) { return a * real_exp2i(shifted); }
static inline int vec_first_equal(vec a, vec b) { return a == b ? 0 : 1; }
static inline int vec_within(vec a, vec limit) { return (a > -a ? a : -a) <= limit; }
static inline vec vec_sqrt(vec a) { return real_sqrt(a); }
static inline vec vec_ldexp_above(vec a, vec shifted, vec x, vec limit)
{
    return x <= limit ? 0 : a * real_exp2i(shifted);
}
static inline vec vec_tail_mask(long count) { (void)count; return 1; }
static inline vec vec_lane_mask(long lane) { return lane == 0; } /* a mask of one lane is 0 or another number */
static inline vec vec_mask(vec a, vec mask) { return mask == 0 ? 0 : a; }
static inline vec vec_mask_out(vec a, vec mask) { return mask == 0 ? a : 0; }
static inline vec vec_mask_tail(vec a, long count) { (void)count; return a; }
static inline vec vec_in_register(vec a) { return a; }
static inline vec vec_broadcast(REAL a) { return a; }
static inline vec vec_split_exponent(vec u, vec *shifted) { return real_split_exponent(u, shifted); }
static inline REAL vec_reduce_add(vec a) { return a; }
static inline vec vec_reduce_add_each(const vec *a) { return a[0]; }
static inline vec vec_of_each(vec *const *rows, ptrdiff_t j) { return rows[0][j]; }
static inline vec vec_join(const vec *parts) { return parts[0]; }
static inline vec vec_sum_of_lanes(vec a) { return a; }
static inline vec vec_max_of_lanes(vec a) { return a; }

#endif
#endif
