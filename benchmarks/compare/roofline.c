/* Multiply-adds in registers, and passes over an array. Constants: REAL, CHAINS. */
#if defined __AVX512F__
#define BYTES 64
#elif defined __AVX__
#define BYTES 32
#else
#define BYTES 16
#endif
typedef REAL vec __attribute__((vector_size(BYTES)));

long vector_bytes(void) { return BYTES; }

void multiply_add_chains(long rounds, vec *sums_at)
{
    vec sums[CHAINS], half = sums_at[0];
#pragma GCC unroll 16
    for (int k = 0; k < CHAINS; k++)
        sums[k] = sums_at[k];
    for (long r = 0; r < rounds; r++)
#pragma GCC unroll 16
        for (int k = 0; k < CHAINS; k++)
            sums[k] = sums[k] * half + half;
#pragma GCC unroll 16
    for (int k = 0; k < CHAINS; k++)
        sums_at[k] = sums[k];
}

__attribute__((noinline)) static void pass(long n, vec *array, vec half)
{
    for (long i = 0; i < n; i++)
        array[i] = array[i] * half + half;
}

void passes(long times, long n, vec *array)
{
    vec half = array[0];
    for (long t = 0; t < times; t++)
        pass(n, array, half);
}
