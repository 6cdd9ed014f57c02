/* lanes: several reals side by side, as many as one register of the chosen instruction set holds.
 *
 * The including file defines REAL (float or double), BITS (the integer of the same size), MANTISSA_BITS
 * and EXPONENT_BIAS.  Arithmetic on lanes is the compiler's own (GCC 12 or newer, Clang); here stands only
 * what has no operator.  With any other compiler lanes is a single real, and the same source still builds.
 */
#ifndef CBACKPROP_LANES_H
#define CBACKPROP_LANES_H

#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__)
#error "cbackprop needs IEEE arithmetic: build it without -ffast-math and -Ofast"
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

#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)

#if defined(__AVX512F__)
#define LANES_BYTES 64
#elif defined(__AVX2__)
#define LANES_BYTES 32
#else
#define LANES_BYTES 16
#endif
#define LANES ((int)(LANES_BYTES / sizeof(REAL)))
#define QUARTER (16 / (int)sizeof(REAL))

/* aligned like one real: a user's rows start wherever they start */
typedef REAL lanes __attribute__((vector_size(LANES_BYTES), aligned(sizeof(REAL)), may_alias));
typedef BITS lane_bits __attribute__((vector_size(LANES_BYTES), aligned(sizeof(REAL)), may_alias));

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

#else

#define LANES 1
typedef REAL lanes;
static inline lanes lanes_larger(lanes a, lanes b) { return a > b ? a : b; }
static inline lanes lanes_smaller(lanes a, lanes b) { return a < b ? a : b; }
static inline lanes lanes_where_positive(lanes condition, lanes yes, lanes no) { return condition >= 0 ? yes : no; }
static inline lanes lanes_power_of_two(lanes shifted) { return real_power_of_two(shifted); }
static inline lanes lanes_spread(REAL a) { return a; }
static inline REAL lanes_sum(lanes a) { return a; }

#endif
#endif
