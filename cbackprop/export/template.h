/* A two-layer network that learns sample by sample: $D inputs, $M hidden units ($hidden), $K outputs ($output).
 *
 * Written by cbackprop. One file of a program defines NETWORK_IMPLEMENTATION before it includes this one, others
 * just include it. It takes C99 or C++17, allocates nothing, and calls no mathematical function but the square root. The
 * symbols of a sample are on the stack.
 *
 *   x  (D)       inputs of sample n; x_D = 1 is implied       w  (M, D+1)  hidden weights w_ji, bias last
 *   b, z  (M)    hidden pre-activations and activations       v  (K, M+1)  output weights v_kj, bias last
 *   a, y  (K)    logits and outputs; z_M = 1 is implied       t  (K)       targets
 *
 *   i runs over inputs, j over hidden units, k and l over outputs. Equations have the numbers of cbackprop's pages.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include <stddef.h>

enum { NETWORK_D = $D, NETWORK_M = $M, NETWORK_K = $K };

#ifdef __cplusplus
extern "C" {
#endif

extern ${const}double network_w[NETWORK_M][NETWORK_D + 1], network_v[NETWORK_K][NETWORK_M + 1];
#if ADAPTIVE
extern double network_s_w[NETWORK_M], network_s_v[NETWORK_K]; /* sums of squares of row-wise AdaGrad */
#endif
#if STANDARDIZED
/* means, variances and counts, by which x is standardized */
extern ${const}REAL64 network_input_statistics[3][NETWORK_D];
#if TARGETS
extern ${const}REAL64 network_target_statistics[3][NETWORK_K]; /* and t; y is in the units of t */
#endif
#endif

/* The outputs y for x; NaN, all of them, if a sum of weighted inputs or activations is not finite */
void network_predict(const double *x, double *y);

#if LEARN
#define NETWORK_LEARNING_RATE $learning_rate
#define NETWORK_SAVE_SIZE $save_size

/* One update (17) with targets t: $targets. Returns E_n before it.
 * NaN, and all weights stay as they were, if a number is not finite or a weight might not stay so. */
double network_learn(const double *x, const double *t, double learning_rate);

/* Writes a model file for cbackprop.Network.load, NETWORK_SAVE_SIZE bytes; returns their number */
size_t network_save(unsigned char *buffer);
#endif

#ifdef __cplusplus
}
#endif
#endif

#ifdef NETWORK_IMPLEMENTATION
#undef NETWORK_IMPLEMENTATION
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "$name needs IEEE arithmetic: compile it without -ffast-math and -Ofast"
#endif

/* Where e^x is normal; k + SHIFT, rounded, has the integer k in its lowest bits; ln 2 in two parts, of which the first
 * ends with so many zeros that k LN2_HIGH is exact; a change of a weight that counts as infinite: less than half the
 * last place of the largest number, so that no sum with a smaller one overflows */
#if FLOAT64
#define NETWORK_EXP_MIN -708.39641853226
#define NETWORK_EXP_MAX 708.0
#define NETWORK_SHIFT 6755399441055744.0
#define NETWORK_LN2_HIGH 6.93147180369123816490e-01
#define NETWORK_LN2_LOW 1.90821492927058770002e-10
#define NETWORK_MAX_CHANGE 4.9e291
enum { NETWORK_MANTISSA_BITS = 52, NETWORK_BIAS = 1023, NETWORK_EXP_TERMS = 14, NETWORK_LAST_ATANH_TERM = 21 };
#endif
#if FLOAT32
#define NETWORK_EXP_MIN -87.3365f
#define NETWORK_EXP_MAX 87.0f
#define NETWORK_SHIFT 12582912.0f
#define NETWORK_LN2_HIGH 0.693359375f
#define NETWORK_LN2_LOW -2.12194440e-4f
#define NETWORK_MAX_CHANGE 5e30f
enum { NETWORK_MANTISSA_BITS = 23, NETWORK_BIAS = 127, NETWORK_EXP_TERMS = 8, NETWORK_LAST_ATANH_TERM = 9 };
#endif

/* ------------------------------------------------------------------------------------------- e^x and log(1 + x) */

#if SIGMOID || TANH || SOFTMAX || LOGISTIC
/* 2^k, where shifted = k + SHIFT */
static double network_exp2i(double shifted)
{
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + NETWORK_BIAS) << NETWORK_MANTISSA_BITS;
    memcpy(&shifted, &bits, sizeof bits);
    return shifted;
}

/* e^r - 1 = sum_{n>0} r^n / n!,  r = x - k ln 2,  k = x / ln 2 rounded,  shifted = k + SHIFT; the even and the odd terms
 * by themselves, and r last */
static double network_exp_reduced(double x, double *shifted)
{
    static const double reciprocals[] = { /* 1 / n! */
        1, 1, (double)1 / 2, (double)1 / 6, (double)1 / 24, (double)1 / 120, (double)1 / 720, (double)1 / 5040,
#if FLOAT64
        1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800,
#endif
    };
    const double sum = x * (double)1.4426950408889634 + NETWORK_SHIFT, k = sum - NETWORK_SHIFT;
    const double r = (x - k * NETWORK_LN2_HIGH) - k * NETWORK_LN2_LOW, square = r * r;
    double even = reciprocals[NETWORK_EXP_TERMS - 2], odd = reciprocals[NETWORK_EXP_TERMS - 1];
    for (int n = NETWORK_EXP_TERMS - 4; n > 0; n -= 2) {
        even = even * square + reciprocals[n];
        odd = odd * square + reciprocals[n + 1];
    }
    *shifted = sum;
    return (even + odd * r) * square + r;
}

#if SIGMOID || SOFTMAX || LOGISTIC
/* e^x = 2^k e^r for x <= EXP_MAX, and 0 where it would be subnormal. Error below 1.5 ULP; propagates NaN. */
static double network_exp(double x)
{
    double shifted, e_r_minus_1;
    if (x <= NETWORK_EXP_MIN)
        return 0;
    e_r_minus_1 = network_exp_reduced(x, &shifted);
    return (e_r_minus_1 + 1) * network_exp2i(shifted);
}
#endif

#if TANH
/* e^x - 1 = 2^k (e^r - 1) + (2^k - 1) for x <= 0; below -40 it rounds to -1. Error below 2 ULP. */
static double network_expm1(double x)
{
    double shifted;
    const double e_r_minus_1 = network_exp_reduced(x < -40 ? -40 : x, &shifted), power = network_exp2i(shifted);
    return e_r_minus_1 * power + (power - 1);
}
#endif

#if LEARN
#if SOFTMAX || LOGISTIC
/* log(1 + x) for x >= 0, with u = 1 + x rounded; error below 2 ULP:
 *
 *   log(1 + x) = k ln 2 + log m + (x - (u - 1)) / u,  u = 2^k m,  log m = 2 atanh s,  s = (m - 1) / (m + 1)
 */
static double network_log1p(double x)
{
    const double u = 1 + x, sqrt_half = (double)0.70710678118654752440;
    double m, k, s, square, series = 0;
    uint64_t bits, low_bits, exponent;
    memcpy(&bits, &u, sizeof bits);
    memcpy(&low_bits, &sqrt_half, sizeof bits);
    exponent = (bits - low_bits) >> NETWORK_MANTISSA_BITS;
    bits -= exponent << NETWORK_MANTISSA_BITS;
    memcpy(&m, &bits, sizeof bits);
    k = (double)exponent;
    s = (m - 1) / (m + 1);
    square = s * s;
    for (int n = NETWORK_LAST_ATANH_TERM; n > 1; n -= 2) /* atanh s = s + s^3 / 3 + s^5 / 5 ... */
        series = series * square + (double)1 / (double)n;
    return k * NETWORK_LN2_HIGH
           + (s + s + ((s + s) * square * series + (k * NETWORK_LN2_LOW + (x - (u - 1)) / u)));
}
#endif
#endif
#endif

/* ------------------------------------------------------------------------------------------------- the equations */

/* sum_i p_i q_i, in eight sums, in the order of cbackprop's baseline kernels in float64 */
static double network_dot(const double *p, const double *q, size_t n)
{
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    size_t i = n % 2;
    if (i == 1)
        s0 = p[0] * q[0];
    for (; i + 8 <= n; i += 8) {
        s0 += p[i] * q[i], s1 += p[i + 1] * q[i + 1];
        s2 += p[i + 2] * q[i + 2], s3 += p[i + 3] * q[i + 3];
        s4 += p[i + 4] * q[i + 4], s5 += p[i + 5] * q[i + 5];
        s6 += p[i + 6] * q[i + 6], s7 += p[i + 7] * q[i + 7];
    }
    for (; i < n; i += 2)
        s0 += p[i] * q[i], s1 += p[i + 1] * q[i + 1];
    return ((s0 + s2) + (s4 + s6)) + ((s1 + s3) + (s5 + s7));
}

/* b_j = sum_{i=0..D} w_ji x_i,  x_D = 1 */
static void network_hidden_sum(const double *x, double *b)
{
    for (size_t j = 0; j < NETWORK_M; j++)
        b[j] = network_dot(network_w[j], x, NETWORK_D) + network_w[j][NETWORK_D];
}

#if SIGMOID || LOGISTIC
/* 1 / (1 + e^-b_j), and 0 where e^-b_j would overflow */
static double network_sigmoid(double b_j)
{
    return b_j <= -NETWORK_EXP_MAX ? 0 : 1 / (1 + network_exp(-b_j));
}
#endif

#if SIGMOID
/* z_j = h(b_j) = 1 / (1 + e^-b_j) */
static double network_h(double b_j) { return network_sigmoid(b_j); }
#endif
#if TANH
/* z_j = h(b_j) = tanh b_j = (1 - e^-2|b_j|) / (1 + e^-2|b_j|), with the sign of b_j */
static double network_h(double b_j)
{
    const double minus_abs = b_j < -b_j ? b_j : -b_j, difference = -network_expm1(minus_abs + minus_abs);
    return (b_j >= 0 ? difference : -difference) / (2 - difference);
}
#endif
#if RELU
/* z_j = h(b_j) = max(0, b_j) */
static double network_h(double b_j) { return b_j < 0 ? 0 : b_j; }
#endif

/* z_j = h(b_j) */
static void network_hidden_output(const double *b, double *z)
{
    for (size_t j = 0; j < NETWORK_M; j++)
        z[j] = network_h(b[j]);
}

/* (13)  a_k = sum_{j=0..M} v_kj z_j,  z_M = 1 */
static void network_output_sum(const double *z, double *a)
{
    for (size_t k = 0; k < NETWORK_K; k++)
        a[k] = network_dot(network_v[k], z, NETWORK_M) + network_v[k][NETWORK_M];
}

#if SOFTMAX
/* The largest a_k, which is subtracted from every exponent, so that nothing overflows */
static double network_max(const double *a)
{
    double max_a = a[0];
    for (size_t k = 1; k < NETWORK_K; k++)
        max_a = a[k] > max_a ? a[k] : max_a;
    return max_a;
}

/* e^(p - q); what rounding p - q loses (Knuth's two-sum) is a factor: e^(d + err) = e^d (1 + err) */
static double network_exp_diff(double p, double q)
{
    const double d = p - q, part = d - p, err = (p - (d - part)) - (q + part), e = network_exp(d);
    return e > 0 ? e * (1 + err) : e;
}

/* y_k = e^a_k / sum_l e^a_l = e^(a_k - max_a) / sum_l e^(a_l - max_a). Returns this sum without its largest term, 1,
 * in which (1) would lose tiny terms. */
static double network_output(const double *a, double *y)
{
    const double max_a = network_max(a);
    double max_exp, sum_exp_minus_1 = 0;
    max_exp = y[0] = network_exp_diff(a[0], max_a);
    for (size_t k = 1; k < NETWORK_K; k++) {
        y[k] = network_exp_diff(a[k], max_a);
        sum_exp_minus_1 += y[k] < max_exp ? y[k] : max_exp;
        max_exp = y[k] > max_exp ? y[k] : max_exp;
    }
    for (size_t k = 0; k < NETWORK_K; k++)
        y[k] /= 1 + sum_exp_minus_1;
    return sum_exp_minus_1;
}
#endif
#if LINEAR
/* y_k = a_k */
static void network_output(const double *a, double *y)
{
    for (size_t k = 0; k < NETWORK_K; k++)
        y[k] = a[k];
}
#endif
#if LOGISTIC
/* y_k = 1 / (1 + e^-a_k) */
static void network_output(const double *a, double *y)
{
    for (size_t k = 0; k < NETWORK_K; k++)
        y[k] = network_sigmoid(a[k]);
}
#endif

#if LEARN
#if SOFTMAX
/* (1)  E_n = -sum_k t_k log y_k = log(1 + sum_exp_minus_1) + sum_k t_k (max_a - a_k), since sum_k t_k = 1 */
static double network_error(const double *t, const double *a, double sum_exp_minus_1)
{
    const double max_a = network_max(a);
    double E_n = network_log1p(sum_exp_minus_1);
    for (size_t k = 0; k < NETWORK_K; k++)
        E_n += t[k] > 0 ? t[k] * (max_a - a[k]) : 0;
    return E_n;
}
#endif
#if LINEAR
/* E_n = 1/2 sum_k (y_k - t_k)^2,  y_k = a_k */
static double network_error(const double *t, const double *a)
{
    double E_n = 0;
    for (size_t k = 0; k < NETWORK_K; k++)
        E_n += (double)0.5 * (a[k] - t[k]) * (a[k] - t[k]);
    return E_n;
}
#endif
#if LOGISTIC
/* E_n = -sum_k [t_k log y_k + (1 - t_k) log(1 - y_k)], of which the term of output k is
 * log(1 + e^-|a_k|) + (1 - t_k) max(a_k, 0) + t_k max(-a_k, 0), in which nothing overflows or cancels */
static double network_error(const double *t, const double *a)
{
    double E_n = 0;
    for (size_t k = 0; k < NETWORK_K; k++) {
        const double abs_a = a[k] < 0 ? -a[k] : a[k], wrong = a[k] < 0 ? t[k] : 1 - t[k];
        E_n += network_log1p(network_exp(-abs_a)) + wrong * abs_a;
    }
    return E_n;
}
#endif

#if SIGMOID
/* h'(b_j) = z_j (1 - z_j) */
static double network_h_derivative(double z_j) { return z_j * (1 - z_j); }
#endif
#if TANH
/* h'(b_j) = 1 - z_j^2 = (1 - z_j) (1 + z_j) */
static double network_h_derivative(double z_j) { return (1 - z_j) * (1 + z_j); }
#endif
#if RELU
/* h'(b_j) = 1 where z_j > 0, and 0 elsewhere */
static double network_h_derivative(double z_j) { return z_j > 0 ? 1 : 0; }
#endif

/* (5) ... (12)  dE_n/da_k = y_k - t_k */
static void network_output_error(const double *y, const double *t, double *error)
{
    for (size_t k = 0; k < NETWORK_K; k++)
        error[k] = y[k] - t[k];
}

/* (18)  e_j = dE_n/db_j = (sum_k (y_k - t_k) v_kj) h'(b_j) */
static void network_hidden_error(const double *error, const double *z, double *e)
{
    for (size_t j = 0; j < NETWORK_M; j++) {
        e[j] = 0;
        for (size_t k = 0; k < NETWORK_K; k++)
            e[j] += error[k] * network_v[k][j];
        e[j] *= network_h_derivative(z[j]);
    }
}
#if ADAPTIVE

/* 1/(D+1) sum_{i=0..D} x_i^2,  x_D = 1, and for z */
static double network_mean_square(const double *x, size_t n) { return (network_dot(x, x, n) + 1) / (double)(n + 1); }

/* alpha_j e_j, where alpha_j falls as the squares of the gradients of unit j add up (row-wise AdaGrad):
 *
 *   alpha_j = alpha (s_j + 1e-10)^-1/2,  s_j <- s_j + 1/(D+1) sum_{i=0..D} (dE_n/dw_ji)^2 = s_j + e_j^2 mean_square
 *
 * by (18), and for v by (16). The new s_j go to next_s. */
static void network_change(const double *e, double alpha, const double *s, double mean_square, double *next_s,
                           double *change, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        next_s[j] = s[j] + e[j] * e[j] * mean_square;
        change[j] = alpha / sqrt(next_s[j] + (double)1e-10) * e[j];
    }
}
#endif
#if CONSTANT

/* alpha e_j */
static void network_change(const double *e, double alpha, double *change, size_t n)
{
    for (size_t j = 0; j < n; j++)
        change[j] = alpha * e[j];
}
#endif

/* (17)  v_kj <- v_kj - alpha dE_n/dv_kj,  dE_n/dv_kj = (y_k - t_k) z_j (16),  change_k = alpha (y_k - t_k) */
static void network_update_v(const double *change, const double *z)
{
    for (size_t k = 0; k < NETWORK_K; k++) {
        for (size_t j = 0; j < NETWORK_M; j++)
            network_v[k][j] -= change[k] * z[j];
        network_v[k][NETWORK_M] -= change[k];
    }
}

/* (17)  w_ji <- w_ji - alpha dE_n/dw_ji,  dE_n/dw_ji = e_j x_i (18),  change_j = alpha e_j */
static void network_update_w(const double *change, const double *x)
{
    for (size_t j = 0; j < NETWORK_M; j++) {
        for (size_t i = 0; i < NETWORK_D; i++)
            network_w[j][i] -= change[j] * x[i];
        network_w[j][NETWORK_D] -= change[j];
    }
}
#endif

/* -------------------------------------------------------------------------------------------------- one sample */

/* Whether all p_i are finite: p_i - p_i is 0 then, and else NaN */
static int network_all_finite(const double *p, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p[i] - p[i];
    return sum == 0;
}

/* b, z and a of one sample. Returns whether all b and a are finite, as they are not where an x_i is not. */
static int network_forward(const double *x, double *b, double *z, double *a)
{
    network_hidden_sum(x, b);
    network_hidden_output(b, z);
    network_output_sum(z, a);
    return network_all_finite(b, NETWORK_M) && network_all_finite(a, NETWORK_K);
}

#if STANDARDIZED
/* --------------------------------------------------------------------------------------- running standardization */

static REAL64 network_limited(REAL64 x, REAL64 limit) { return x < -limit ? -limit : x > limit ? limit : x; }

/* Whether numbers of this deviation and mean differ by more than rounding */
static int network_varies(REAL64 deviation, REAL64 mean) { return deviation > 1e-12 * (mean < 0 ? -mean : mean); }

/* Number i of a sample, standardized, within 5 deviations */
static double network_standardized(const REAL64 *statistics, size_t size, size_t i, REAL64 x_i)
{
    const REAL64 mean = statistics[i], deviation = ROOT64(statistics[size + i]);
#if MEAN
    if (x_i != x_i) /* missing */
        return 0;
#endif
    if (x_i - x_i != 0)
        return (double)NAN;
    x_i = network_limited(x_i, 1e150);
    return network_varies(deviation, mean) ? (double)network_limited((x_i - mean) / deviation, 5) : 0;
}

#if LEARN
/* Changes the statistics by number i of a sample: earlier samples than the last 1000 fade */
static void network_observe(REAL64 *statistics, size_t size, size_t i, REAL64 x_i)
{
    REAL64 *const mean = statistics + i, *const variance = mean + size, *const count = variance + size;
    const REAL64 deviation = ROOT64(*variance), d = network_limited(x_i, 1e150) - *mean;
    REAL64 k, limited = d;
    if (x_i - x_i != 0)
        return;
    if (network_varies(deviation, *mean))
        limited = network_limited(d, 5 * deviation);
    *count += 1;
    k = *count < 1000 ? *count : 1000;
    *mean += limited / k;
    *variance += (limited * limited * (1 - 1 / k) - *variance) / k;
}
#endif

static void network_standardize(const double *x, double *standardized)
{
    for (size_t i = 0; i < NETWORK_D; i++)
        standardized[i] = network_standardized(network_input_statistics[0], NETWORK_D, i, (REAL64)x[i]);
}
#endif

void network_predict(const double *x, double *y)
{
    double b[NETWORK_M], z[NETWORK_M], a[NETWORK_K];
#if STANDARDIZED
    double standardized[NETWORK_D];
    network_standardize(x, standardized);
    x = standardized;
#endif
    if (network_forward(x, b, z, a))
        network_output(a, y);
    else
        for (size_t k = 0; k < NETWORK_K; k++)
            y[k] = (double)NAN;
#if TARGETS
    for (size_t k = 0; k < NETWORK_K; k++) {
        const REAL64 *const mean = network_target_statistics[0] + k;
        y[k] = (double)((REAL64)y[k] * ROOT64(mean[NETWORK_K]) + *mean);
    }
#endif
}
#if LEARN

/* The largest |p_i|, or 1 */
static double network_largest(const double *p, size_t n)
{
    double largest = 1;
    for (size_t i = 0; i < n; i++) {
        const double abs_p = p[i] < 0 ? -p[i] : p[i];
        largest = abs_p > largest ? abs_p : largest;
    }
    return largest;
}

/* Whether all weights stay finite if (17) changes them by change_j x_i */
static int network_all_small(const double *change, size_t n, double largest_x)
{
    for (size_t j = 0; j < n; j++)
        if (!(change[j] * largest_x < NETWORK_MAX_CHANGE && -change[j] * largest_x < NETWORK_MAX_CHANGE))
            return 0;
    return 1;
}

#if STANDARDIZED
static double network_learn_standardized(const double *x, const double *t, double learning_rate)
#endif
#if PLAIN
double network_learn(const double *x, const double *t, double learning_rate)
#endif
{
    double b[NETWORK_M], z[NETWORK_M], e[NETWORK_M], change_w[NETWORK_M];
    double a[NETWORK_K], y[NETWORK_K], error[NETWORK_K], change_v[NETWORK_K], E_n;
#if ADAPTIVE
    double s_w[NETWORK_M], s_v[NETWORK_K];
#endif
    if (!network_forward(x, b, z, a))
        return (double)NAN;
#if SOFTMAX
    E_n = network_error(t, a, network_output(a, y));
#endif
#if LINEAR || LOGISTIC
    network_output(a, y);
    E_n = network_error(t, a);
#endif
    network_output_error(y, t, error);
    network_hidden_error(error, z, e);
#if ADAPTIVE
    network_change(e, learning_rate, network_s_w, network_mean_square(x, NETWORK_D), s_w, change_w, NETWORK_M);
    network_change(error, learning_rate, network_s_v, network_mean_square(z, NETWORK_M), s_v, change_v, NETWORK_K);
    if (!(network_all_finite(s_w, NETWORK_M) && network_all_finite(s_v, NETWORK_K)))
        return (double)NAN;
#endif
#if CONSTANT
    network_change(e, learning_rate, change_w, NETWORK_M);
    network_change(error, learning_rate, change_v, NETWORK_K);
#endif
    if (!(network_all_finite(&E_n, 1) && network_all_small(change_w, NETWORK_M, network_largest(x, NETWORK_D))
          && network_all_small(change_v, NETWORK_K, network_largest(z, NETWORK_M))))
        return (double)NAN;
    network_update_v(change_v, z);
    network_update_w(change_w, x);
#if ADAPTIVE
    memcpy(network_s_w, s_w, sizeof s_w);
    memcpy(network_s_v, s_v, sizeof s_v);
#endif
    return E_n;
}

#if STANDARDIZED
/* A sample that is not learned leaves the statistics, too */
double network_learn(const double *x, const double *t, double learning_rate)
{
    double z[NETWORK_D], E_n;
    REAL64 before[3][NETWORK_D];
#if TARGETS
    double u[NETWORK_K];
    REAL64 targets_before[3][NETWORK_K];
    if (!network_all_finite(t, NETWORK_K))
        return (double)NAN;
    memcpy(targets_before, network_target_statistics, sizeof targets_before);
    for (size_t k = 0; k < NETWORK_K; k++) {
        network_observe(network_target_statistics[0], NETWORK_K, k, (REAL64)t[k]);
        u[k] = network_standardized(network_target_statistics[0], NETWORK_K, k, (REAL64)t[k]);
    }
    t = u;
#endif
    memcpy(before, network_input_statistics, sizeof before);
    for (size_t i = 0; i < NETWORK_D; i++)
        network_observe(network_input_statistics[0], NETWORK_D, i, (REAL64)x[i]);
    network_standardize(x, z);
    E_n = network_learn_standardized(z, t, learning_rate);
    if (E_n - E_n != 0) {
        memcpy(network_input_statistics, before, sizeof before);
#if TARGETS
        memcpy(network_target_statistics, targets_before, sizeof targets_before);
#endif
    }
    return E_n;
}

#endif

/* The bytes of numbers of this size, least significant first; returns where they end */
static unsigned char *network_write(unsigned char *buffer, const void *numbers, size_t size, size_t count)
{
    const unsigned char *number = (const unsigned char *)numbers;
    uint64_t bits;
    UINT64 wide;
    for (size_t n = 0; n < count; n++, number += size) {
        if (size == sizeof bits) {
            memcpy(&bits, number, sizeof bits);
            wide = bits;
        } else
            memcpy(&wide, number, sizeof wide);
        for (size_t byte = 0; byte < size; byte++)
            *buffer++ = (unsigned char)(wide >> (8 * byte) & 255);
    }
    return buffer;
}

size_t network_save(unsigned char *buffer)
{
    static const char header[] = /* of the safetensors format: its length, and JSON with names, shapes and rate */
$header;
    unsigned char *end = buffer + sizeof header - 1;
    memcpy(buffer, header, sizeof header - 1);
#if WIDE
    end = network_write(end, network_input_statistics[0], sizeof(REAL64), 3 * NETWORK_D);
#if TARGETS
    end = network_write(end, network_target_statistics[0], sizeof(REAL64), 3 * NETWORK_K);
#endif
#endif
#if ADAPTIVE
    end = network_write(end, network_s_v, sizeof(double), NETWORK_K);
    end = network_write(end, network_s_w, sizeof(double), NETWORK_M);
#endif
#if SAME
    end = network_write(end, network_input_statistics[0], sizeof(REAL64), 3 * NETWORK_D);
#if TARGETS
    end = network_write(end, network_target_statistics[0], sizeof(REAL64), 3 * NETWORK_K);
#endif
#endif
    for (size_t k = 0; k < NETWORK_K; k++)
        end = network_write(end, network_v[k], sizeof(double), NETWORK_M + 1);
    for (size_t j = 0; j < NETWORK_M; j++)
        end = network_write(end, network_w[j], sizeof(double), NETWORK_D + 1);
    return (size_t)(end - buffer);
}
#endif

/* ------------------------------------------------------------------------------------------------ the numbers */

${const}double network_w[NETWORK_M][NETWORK_D + 1] = {
$w
};
${const}double network_v[NETWORK_K][NETWORK_M + 1] = {
$v
};
#if ADAPTIVE
double network_s_w[NETWORK_M] = {
$s_w
};
double network_s_v[NETWORK_K] = {
$s_v
};
#endif
#if STANDARDIZED
${const}REAL64 network_input_statistics[3][NETWORK_D] = {
$input_statistics
};
#if TARGETS
${const}REAL64 network_target_statistics[3][NETWORK_K] = {
$target_statistics
};
#endif
#endif
#endif
