/* Learns N samples, in order. Constants: D, M, K, REAL, SIGMOID or ReLU, SOFTMAX or linear outputs. With COLUMNS, w lies
   in memory as (D + 1, M), and the innermost loops are over hidden units. */
#include <math.h>

#define exp(x) (sizeof(REAL) == 4 ? expf(x) : exp(x))
#if SOFTMAX
typedef long target;
#else
typedef REAL target[K];
#endif

void learn(long N, const REAL (*restrict x)[D], const target *restrict t, REAL *restrict w, REAL (*restrict v)[M + 1],
           REAL learning_rate)
{
    REAL (*restrict by_row)[D + 1] = (void *)w, (*restrict by_column)[M] = (void *)w;
    REAL b[M], z[M], y[K], e[M];

    for (long n = 0; n < N; n++) {
        for (int j = 0; j < M; j++)
            b[j] = COLUMNS ? by_column[D][j] : by_row[j][D];
#if COLUMNS
        for (int i = 0; i < D; i++)
            for (int j = 0; j < M; j++)
                b[j] += by_column[i][j] * x[n][i];
#else
        for (int j = 0; j < M; j++)
            for (int i = 0; i < D; i++)
                b[j] += by_row[j][i] * x[n][i];
#endif
        for (int j = 0; j < M; j++)
            z[j] = SIGMOID ? 1 / (1 + exp(-b[j])) : b[j] > 0 ? b[j] : 0;

        for (int k = 0; k < K; k++) {
            y[k] = v[k][M];
            for (int j = 0; j < M; j++)
                y[k] += v[k][j] * z[j];
        }
#if SOFTMAX
        REAL max = y[0], sum = 0;
        for (int k = 1; k < K; k++)
            max = y[k] > max ? y[k] : max;
        for (int k = 0; k < K; k++)
            sum += y[k] = exp(y[k] - max);
        for (int k = 0; k < K; k++)
            y[k] = learning_rate * (y[k] / sum - (k == t[n]));
#else
        for (int k = 0; k < K; k++)
            y[k] = learning_rate * (y[k] - t[n][k]);
#endif

        for (int j = 0; j < M; j++)
            e[j] = 0;
        for (int k = 0; k < K; k++)
            for (int j = 0; j < M; j++)
                e[j] += y[k] * v[k][j];
        for (int k = 0; k < K; k++) {
            for (int j = 0; j < M; j++)
                v[k][j] -= y[k] * z[j];
            v[k][M] -= y[k];
        }
        for (int j = 0; j < M; j++)
            e[j] = SIGMOID ? e[j] * z[j] * (1 - z[j]) : z[j] > 0 ? e[j] : 0;
#if COLUMNS
        for (int i = 0; i < D; i++)
            for (int j = 0; j < M; j++)
                by_column[i][j] -= e[j] * x[n][i];
        for (int j = 0; j < M; j++)
            by_column[D][j] -= e[j];
#else
        for (int j = 0; j < M; j++) {
            for (int i = 0; i < D; i++)
                by_row[j][i] -= e[j] * x[n][i];
            by_row[j][D] -= e[j];
        }
#endif
    }
}
