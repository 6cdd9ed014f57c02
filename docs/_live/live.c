/* One exported network in a module of WebAssembly: a sample, and what the functions of the export make of it.
 *
 * `build.py` exports the network as live.h. The page reads and writes these arrays, live_w and live_v.
 */
#define LIVE_IMPLEMENTATION
#include "live.h"

#define EXPORT(name) __attribute__((export_name(#name)))

double x[LIVE_D], t[LIVE_K];
double b[LIVE_M], z[LIVE_M], a[LIVE_K], y[LIVE_K];
double error[LIVE_K], e[LIVE_M];

/* b, z, a (13) and y. Returns E_n (1). */
EXPORT(forward) double forward(void)
{
    live_forward(x, b, z, a);
    return live_error(t, a, live_output(a, y));
}

/* After forward: error (12) and e (18), which goes back along v */
EXPORT(backward) void backward(void)
{
    live_output_error(y, t, error);
    live_hidden_error(error, z, e);
}

/* (17). Returns E_n before it. */
EXPORT(learn) double learn(double learning_rate) { return live_learn(x, t, learning_rate); }
