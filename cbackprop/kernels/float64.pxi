# Double precision: what the type real is, and the constants of e^x and log(1 + x) that depend on it.
ctypedef double real

cdef extern from *:
    """
    #define REAL double
    #define REAL_BYTES 8
    #define BITS int64_t
    #define UNSIGNED_BITS uint64_t
    #define MANTISSA_BITS 52
    #define EXPONENT_BIAS 1023

    /* where an update counts as infinite: the largest number times 2^-55, less than half its last place, so that no
       sum with a smaller one overflows */
    #define MAX_UPDATE 4.9e291

    /* e^x is normal between the two */
    #define EXP_MIN -708.39641853226
    #define EXP_MAX 708.0
    /* e^x is less than half the last place of 1 */
    #define EXPM1_MIN -40.0
    /* ln 2 in two parts; the first has 21 trailing zero bits, so that k LN2_HIGH is exact */
    #define LN2_HIGH 6.93147180369123816490e-01
    #define LN2_LOW 1.90821492927058770002e-10
    /* 1/0! ... 1/13!: the rest of the series is below 5e-18 for |r| <= ln(2)/2 */
    #define EXP_TERMS 14
    static const double EXP_COEFFS[EXP_TERMS] = {
        1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880,
        1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};

    /* 1/1, 1/3, ...: the rest of atanh(s)/s is below 7e-19 for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1) */
    #define ATANH_TERMS 11
    static const double ATANH_COEFFS[ATANH_TERMS] = {1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13,
        1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21};
    """

include "kernels.pxi"
