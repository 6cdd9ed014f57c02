/* Networks of genann with the functions to compare, and a loop over samples. */
#include <genann.c>

genann *create(int D, int M, int K)
{
    genann *network = genann_init(D, 1, M, K);
    network->activation_hidden = genann_act_sigmoid;
    network->activation_output = genann_act_linear;
    return network;
}

double *weights(genann *network) { return network->weight; }

void learn(genann *network, long N, const double *x, const double *t, double learning_rate)
{
    for (long n = 0; n < N; n++)
        genann_train(network, x + n * network->inputs, t + n * network->outputs, learning_rate);
}
