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
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__)
#error "cbackprop needs IEEE arithmetic: build it without -ffast-math and -Ofast"
#endif

#define ONE ((REAL)1)

/* Cython's word for inline, made binding: a tile's sums stay in registers only where its width is a constant */
#if defined(__GNUC__)
#undef CYTHON_INLINE
#define CYTHON_INLINE inline __attribute__((always_inline))
#endif

/* 2^k, where shifted = k + 1.5 * 2^MANTISSA_BITS carries the integer k in its lowest bits */
static inline REAL real_power_of_two(REAL shifted)
{
    BITS bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + EXPONENT_BIAS) << MANTISSA_BITS;
    memcpy(&shifted, &bits, sizeof bits);
    return shifted;
}

/* u = 2^k m with m in [sqrt(1/2), sqrt(2)), for u >= 1: *shifted = k + 1.5 * 2^MANTISSA_BITS, and m */
static inline REAL real_split(REAL u, REAL *shifted)
{
    const REAL low = (REAL)0.70710678118654752440, shift = (REAL)1.5 * ((BITS)1 << MANTISSA_BITS);
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
static inline lanes lanes_larger(lanes a, lanes b) { return lanes_choose(a > b, a, b); }
static inline lanes lanes_smaller(lanes a, lanes b) { return lanes_choose(a < b, a, b); }

static inline lanes lanes_where_positive(lanes condition, lanes yes, lanes no)
{
    return lanes_choose(condition >= 0, yes, no);
}

static inline lanes lanes_power_of_two(lanes shifted)
{
    return (lanes)(((lane_bits)shifted + EXPONENT_BIAS) << MANTISSA_BITS);
}

static inline lanes lanes_split(lanes u, lanes *shifted)
{
    const lane_bits low = (lane_bits)((lanes){0} + (REAL)0.70710678118654752440);
    const lane_bits shift = (lane_bits)((lanes){0} + (REAL)1.5 * ((BITS)1 << MANTISSA_BITS));
    lane_bits k = (lane_bits)((unsigned_bits)((lane_bits)u - low) >> MANTISSA_BITS);
    *shifted = (lanes)(shift + k);
    return (lanes)((lane_bits)u - (k << MANTISSA_BITS));
}

static inline lanes lanes_spread(REAL a) { return a - (lanes){0}; }

/* the sum of all lanes: halves onto halves, in the same order on every run */
static inline REAL lanes_sum(lanes a)
{
    typedef REAL sixteen_bytes __attribute__((vector_size(16)));
#if LANES_BYTES == 64
    typedef REAL half __attribute__((vector_size(32)));
    union { lanes whole; half part[2]; } outer = {a};
    union { half whole; sixteen_bytes part[2]; } inner = {outer.part[0] + outer.part[1]};
    sixteen_bytes last = inner.part[0] + inner.part[1];
#elif LANES_BYTES == 32
    union { lanes whole; sixteen_bytes part[2]; } inner = {a};
    sixteen_bytes last = inner.part[0] + inner.part[1];
#else
    sixteen_bytes last = (sixteen_bytes)a;
#endif
    if (sizeof(REAL) == 8)
        return last[0] + last[1];
    return (last[0] + last[2 % QUARTER]) + (last[1] + last[3 % QUARTER]);
}

/* the largest of all lanes */
static inline REAL lanes_largest(lanes a)
{
    REAL largest = a[0];
    for (int l = 1; l < LANES; l++)
        largest = a[l] > largest ? a[l] : largest;
    return largest;
}

#else

#define LANES 1
#define LANES_BYTES sizeof(REAL)
#define TILE_SAMPLES 4
#define TILE_LANES 3
typedef REAL lanes;
static inline lanes lanes_larger(lanes a, lanes b) { return a > b ? a : b; }
static inline lanes lanes_smaller(lanes a, lanes b) { return a < b ? a : b; }
static inline lanes lanes_where_positive(lanes condition, lanes yes, lanes no) { return condition >= 0 ? yes : no; }
static inline lanes lanes_power_of_two(lanes shifted) { return real_power_of_two(shifted); }
static inline lanes lanes_spread(REAL a) { return a; }
static inline lanes lanes_split(lanes u, lanes *shifted) { return real_split(u, shifted); }
static inline REAL lanes_sum(lanes a) { return a; }
static inline REAL lanes_largest(lanes a) { return a; }

#endif
#endif
