#define SENSOR_IMPLEMENTATION
#include "sensor.h"
