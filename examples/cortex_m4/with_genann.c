/* The functions of sensor.h by genann: a network of the same sizes, with sigmoid units that it reads from a table. It
   computes in double or, with SINGLE, in float. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if SINGLE
#define double float
#define exp expf
#endif
static void *memory(size_t size);
#define malloc memory /* an array instead of the heap, so that the linker counts it */
#define free(pointer)
#include <genann.c>
#include "sensor.h"

enum { D = SENSOR_D, M = SENSOR_M, K = SENSOR_K };

static genann *network;

static void *memory(size_t size)
{
    static struct {
        genann network;
        double weights[(D + 1) * M + (M + 1) * K], outputs[D + M + K], deltas[M + K];
    } all;
    return size <= sizeof all ? &all : NULL;
}

static const double *converted(const float *x)
{
    static double copy[D];
    for (int i = 0; i < D; i++)
        copy[i] = x[i];
    return copy;
}

void sensor_predict(const float *x, float *y)
{
    if (network == NULL) {
        network = genann_init(D, 1, M, K);
        network->activation_output = genann_act_linear;
    }
    *y = (float)*genann_run(network, converted(x));
}

float sensor_learn(const float *x, const float *t, float learning_rate)
{
    const double target = *t;
    genann_train(network, converted(x), &target, learning_rate);
    return 0;
}
