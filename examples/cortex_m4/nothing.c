/* A learner of no size, for the sizes of the others */
#include "sensor.h"

void sensor_predict(const float *x, float *y) { *y = x[0]; }

float sensor_learn(const float *x, const float *t, float learning_rate) { return x[0] + *t + learning_rate; }
