/* Calls of a function of cbackprop.c_api for each sample. */
#include <stddef.h>

double learn(double (*learn)(void *, const void *, const void *, ptrdiff_t, double), void *handle, long N, long size,
             const char *x, const ptrdiff_t *labels)
{
    double total = 0;
    for (long n = 0; n < N; n++)
        total += learn(handle, x + n * size, NULL, labels[n], 1);
    return total;
}
