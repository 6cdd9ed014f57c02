# Single precision: what the type real is, and the constants of e^x and log(1 + x) that depend on it.
ctypedef float real

cdef extern from *:
    """
    #define REAL float
    #define REAL_BYTES 4
    #define BITS int32_t
    #define UNSIGNED_BITS uint32_t
    #define MANTISSA_BITS 23
    #define EXPONENT_BIAS 127

    /* where an update counts as infinite: the largest number times 2^-26, less than half its last place, so that no
       sum with a smaller one overflows */
    #define MAX_UPDATE 5e30f

    /* e^x is normal between the two */
    #define EXP_MIN -87.3365f
    #define EXP_MAX 87.0f
    /* e^x is less than half the last place of 1 */
    #define EXPM1_MIN -40.0f
    /* ln 2 in two parts; the first has 15 trailing zero bits, so that k LN2_HIGH is exact */
    #define LN2_HIGH 0.693359375f
    #define LN2_LOW -2.12194440e-4f
    /* 1/0! ... 1/7!: the rest of the series is below 6e-9 for |r| <= ln(2)/2 */
    #define EXP_TERMS 8
    static const float EXP_COEFFS[EXP_TERMS] = {
        1.0f, 1.0f, 1.0f / 2, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040};

    /* 1/1, 1/3, ...: the rest of atanh(s)/s is below 3e-9 for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1) */
    #define ATANH_TERMS 5
    static const float ATANH_COEFFS[ATANH_TERMS] = {1.0f, 1.0f / 3, 1.0f / 5, 1.0f / 7, 1.0f / 9};
    """

include "kernels.pxi"
