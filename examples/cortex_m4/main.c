/* A Cortex-M4F that predicts the next reading of a sensor whose behavior drifts, and learns from it. */
#include <stdint.h>
#include <stdio.h>
#include "readings.h"
#include "sensor.h"

enum { COUNT = sizeof readings / sizeof *readings, PART = 500, INSTRUCTIONS_PER_TICK = 40 };

/* the timer of the core, which counts 24 bits down */
static volatile uint32_t *const systick = (volatile uint32_t *)0xe000e010;

static uint32_t ticks(void) { return systick[2]; }

/* The mean error, in degrees, of predictions from the 24 readings before each; learns if the rate is not 0 */
static float pass(size_t begin, size_t end, float learning_rate, uint32_t *elapsed)
{
    float x[SENSOR_D], y, t, sum = 0;
    for (size_t n = begin; n < end; n++) {
        const float last = readings[n - 1];
        for (size_t i = 0; i < SENSOR_D; i++)
            x[i] = (readings[n - SENSOR_D + i] - last) / 5;
        t = (readings[n] - last) / 5;
        sensor_predict(x, &y);
        sum += 5 * (y < t ? t - y : y - t);
        if (learning_rate > 0) {
            const uint32_t before = ticks();
            sensor_learn(x, &t, learning_rate);
            *elapsed += (before - ticks()) & 0xffffff;
        }
    }
    return sum / (float)(end - begin);
}

int main(void)
{
    uint32_t elapsed = 0;
    const float before = pass(COUNT - PART, COUNT, 0, &elapsed);
    systick[1] = 0xffffff;
    systick[2] = 0;
    systick[0] = 5; /* on, with the processor's clock */
    pass(SENSOR_D, COUNT - PART, SENSOR_LEARNING_RATE, &elapsed);
    printf("mean error of the last %d predictions: %.2f before learning, %.2f after\n", PART, (double)before,
           (double)pass(COUNT - PART, COUNT, 0, &elapsed));
    printf("instructions of an update: %lu\n",
           (unsigned long)(elapsed * INSTRUCTIONS_PER_TICK / (COUNT - PART - SENSOR_D)));
    return 0;
}
