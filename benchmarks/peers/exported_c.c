/* A call of the exported network for each sample. Constant: REAL. */
#define NETWORK_IMPLEMENTATION
#include "network.h"

void learn(long N, const REAL (*x)[NETWORK_D], const REAL (*t)[NETWORK_K], REAL learning_rate)
{
    for (long n = 0; n < N; n++)
        network_learn(x[n], t[n], learning_rate);
}
