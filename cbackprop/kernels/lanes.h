/* lanes: several reals side by side, as many as one register of the chosen instruction set holds.
 *
 * The including file defines REAL (float or double), BITS (the integer of the same size), MANTISSA_BITS
 * and EXPONENT_BIAS.  Arithmetic on lanes is the compiler's own (GCC 12 or newer, Clang); here stands only
 * what has no operator.  With any other compiler, or with CBACKPROP_ONE_LANE defined, lanes is a single
 * real, and the same source still builds.
 */
#ifndef CBACKPROP_LANES_H
#define CBACKPROP_LANES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h> /* for what vectors have no operator: the larger of two, and a power of two times */
#endif

#if defined(__FAST_MATH__)
#error "cbackprop needs IEEE arithmetic: build it without -ffast-math and -Ofast"
#endif

#define ONE ((REAL)1)

/* Cython's word for inline, made binding: a tile's sums stay in registers only where its width is a constant */
#if defined(__GNUC__)
#undef CYTHON_INLINE
#define CYTHON_INLINE inline __attribute__((always_inline))
#endif

/* k + SHIFT, rounded, carries the integer k in its lowest bits */
#define SHIFT ((REAL)1.5 * ((BITS)1 << MANTISSA_BITS))

/* 2^k, where shifted = k + SHIFT */
static inline REAL real_power_of_two(REAL shifted)
{
    BITS bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + EXPONENT_BIAS) << MANTISSA_BITS;
    memcpy(&shifted, &bits, sizeof bits);
    return shifted;
}

/* a 2^k: two powers of two, since 2^k alone would overflow or be subnormal at the edges */
static inline REAL real_scaled(REAL a, REAL k)
{
    REAL half = k * (REAL)0.5 + SHIFT;
    return a * real_power_of_two(half) * real_power_of_two(k - (half - SHIFT) + SHIFT);
}

/* u = 2^k m with m in [sqrt(1/2), sqrt(2)), for u >= 1: *shifted = k + SHIFT, and m */
static inline REAL real_split(REAL u, REAL *shifted)
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

/* asks for a row that will be read soon */
static inline void fetch(const REAL *row, ptrdiff_t n)
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
#define LANES_BYTES 64
#define TILE_SAMPLES 8
#define TILE_LANES 3
#elif defined(__AVX2__)
#define LANES_BYTES 32
#define TILE_SAMPLES 4
#define TILE_LANES 3
#else
#define LANES_BYTES 16
#define TILE_SAMPLES 4
#define TILE_LANES 2
#endif
#define LANES ((int)(LANES_BYTES / sizeof(REAL)))
#define QUARTER (16 / (int)sizeof(REAL))

/* aligned like one real: a user's rows start wherever they start */
typedef REAL lanes __attribute__((vector_size(LANES_BYTES), aligned(sizeof(REAL)), may_alias));
typedef BITS lane_bits __attribute__((vector_size(LANES_BYTES), aligned(sizeof(REAL)), may_alias));
typedef UNSIGNED_BITS unsigned_bits __attribute__((vector_size(LANES_BYTES), aligned(sizeof(REAL)), may_alias));

static inline lanes lanes_choose(lane_bits condition, lanes yes, lanes no)
{
    return (lanes)(((lane_bits)yes & condition) | ((lane_bits)no & ~condition));
}

/* of two, lane by lane; where one is NaN, b */
#if defined(__AVX512F__)
#define BOTH(a, b, of_floats, of_doubles) (sizeof(REAL) == 4 ? (lanes)of_floats((__m512)(a), (__m512)(b)) \
                                                             : (lanes)of_doubles((__m512d)(a), (__m512d)(b)))
static inline lanes lanes_larger(lanes a, lanes b) { return BOTH(a, b, _mm512_max_ps, _mm512_max_pd); }
static inline lanes lanes_smaller(lanes a, lanes b) { return BOTH(a, b, _mm512_min_ps, _mm512_min_pd); }
static inline lanes lanes_scaled(lanes a, lanes k) { return BOTH(a, k, _mm512_scalef_ps, _mm512_scalef_pd); }
#else
static inline lanes lanes_larger(lanes a, lanes b) { return lanes_choose(a > b, a, b); }
static inline lanes lanes_smaller(lanes a, lanes b) { return lanes_choose(a < b, a, b); }

static inline lanes lanes_power_of_two(lanes shifted)
{
    return (lanes)(((lane_bits)shifted + EXPONENT_BIAS) << MANTISSA_BITS);
}

static inline lanes lanes_scaled(lanes a, lanes k)
{
    lanes half = k * (REAL)0.5 + SHIFT;
    return a * lanes_power_of_two(half) * lanes_power_of_two(k - (half - SHIFT) + SHIFT);
}
#endif

static inline lanes lanes_where_not_negative(lanes condition, lanes yes, lanes no)
{
    return lanes_choose(condition >= 0, yes, no);
}

static const BITS NUMBERS[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* the first `count` lanes of a, then -inf */
static inline lanes lanes_first(lanes a, long count)
{
    return lanes_choose(*(const lane_bits *)NUMBERS < (lane_bits){0} + (BITS)count, a, (lanes){0} - INFINITY);
}

/* 1 at a position, 0 elsewhere */
static inline lanes lanes_one_at(long position)
{
    return lanes_choose(*(const lane_bits *)NUMBERS == (lane_bits){0} + (BITS)position, (lanes){0} + 1, (lanes){0});
}

/* 1 where a is b, 0 elsewhere */
static inline lanes lanes_equal(lanes a, REAL b) { return lanes_choose(a == b, (lanes){0} + 1, (lanes){0}); }

static inline lanes lanes_split(lanes u, lanes *shifted)
{
    const lane_bits low = (lane_bits)((lanes){0} + (REAL)0.70710678118654752440);
    const lane_bits shift = (lane_bits)((lanes){0} + SHIFT);
    lane_bits k = (lane_bits)((unsigned_bits)((lane_bits)u - low) >> MANTISSA_BITS);
    *shifted = (lanes)(shift + k);
    return (lanes)((lane_bits)u - (k << MANTISSA_BITS));
}

static inline lanes lanes_spread(REAL a) { return a - (lanes){0}; }

/* Halves onto halves, in the same order on every run, until one real is left: the sum of all lanes, the largest */
typedef REAL sixteen_bytes __attribute__((vector_size(16)));
#if LANES_BYTES == 64
typedef REAL thirty_two_bytes __attribute__((vector_size(32)));
#define FOLD(a, pair)                                                                  \
    union { lanes whole; thirty_two_bytes part[2]; } outer = {a};                      \
    union { thirty_two_bytes whole; sixteen_bytes part[2]; } inner = {pair(outer.part[0], outer.part[1])}; \
    sixteen_bytes last = pair(inner.part[0], inner.part[1]);
#elif LANES_BYTES == 32
#define FOLD(a, pair)                                                                  \
    union { lanes whole; sixteen_bytes part[2]; } inner = {a};                         \
    sixteen_bytes last = pair(inner.part[0], inner.part[1]);
#else
#define FOLD(a, pair) sixteen_bytes last = (sixteen_bytes)(a);
#endif
#define SUM(a, b) ((a) + (b))
#define CHOICE(a, b, chosen) (((__typeof__(chosen))(a) & (chosen)) | ((__typeof__(chosen))(b) & ~(chosen)))
#define LARGER(a, b) ((__typeof__(a))CHOICE(a, b, (a) > (b)))

static inline REAL lanes_sum(lanes a)
{
    FOLD(a, SUM)
    return sizeof(REAL) == 8 ? last[0] + last[1] : (last[0] + last[2 % QUARTER]) + (last[1] + last[3 % QUARTER]);
}

static inline REAL real_larger(REAL a, REAL b) { return a > b ? a : b; }

static inline REAL lanes_largest(lanes a)
{
    FOLD(a, LARGER)
    REAL one = real_larger(last[0], last[1]);
    return sizeof(REAL) == 8 ? one : real_larger(one, real_larger(last[2 % QUARTER], last[3 % QUARTER]));
}

#else

#define LANES 1
#define LANES_BYTES sizeof(REAL)
#define TILE_SAMPLES 4
#define TILE_LANES 3
typedef REAL lanes;
static inline lanes lanes_larger(lanes a, lanes b) { return a > b ? a : b; }
static inline lanes lanes_smaller(lanes a, lanes b) { return a < b ? a : b; }
static inline lanes lanes_where_not_negative(lanes condition, lanes yes, lanes no) { return condition >= 0 ? yes : no; }
static inline lanes lanes_scaled(lanes a, lanes k) { return real_scaled(a, k); }
static inline lanes lanes_first(lanes a, long count) { (void)count; return a; }
static inline lanes lanes_one_at(long position) { return position == 0; }
static inline lanes lanes_equal(lanes a, REAL b) { return a == b; }
static inline lanes lanes_spread(REAL a) { return a; }
static inline lanes lanes_split(lanes u, lanes *shifted) { return real_split(u, shifted); }
static inline REAL lanes_sum(lanes a) { return a; }
static inline REAL lanes_largest(lanes a) { return a; }

#endif
#endif
