"""
Gradient check
==============

Is a gradient right? Numerical differentiation knows nothing of backpropagation, needs nothing but the error E, and can
be asked.

Needs ``pip install "cbackprop[plot]"``. Run it: ``python examples/gradient_check.py``.
"""

import matplotlib.pyplot as plt
import numpy as np

import cbackprop
from cbackprop.plot import COLORS

# %%
# A network, some samples, and the gradient (3) that backpropagation finds.

rng = np.random.default_rng(0)
x, t = rng.normal(size=(50, 4)), rng.integers(3, size=50)
w, v = cbackprop.init_weights(4, 8, 3, rng=0)
dw, dv = cbackprop.gradient(x, t, w, v)

# %%
# Numerical differentiation moves one weight after the other by a small epsilon and looks at what E does. How small? The
# difference quotient is a chord where a tangent is wanted: its error goes down with epsilon, or with epsilon squared
# when it is taken to both sides. But two nearly equal E are subtracted, and the smaller epsilon is, the fewer of their
# digits are left. A complex step subtracts nothing: the derivative is the imaginary part of E(w + i epsilon) / epsilon.

steps = 10.0 ** np.arange(-15, 0)
errors = {}
for scheme in ("forward", "central", "complex"):
    numerical = [cbackprop.numerical_gradient(x, t, w, v, epsilon=step, scheme=scheme) for step in steps]
    errors[scheme] = np.array([max(np.abs(dw - nw).max(), np.abs(dv - nv).max()) for nw, nv in numerical])
    print(f"{scheme:8} is {errors[scheme].min():.0e} away at best, with epsilon = {steps[errors[scheme].argmin()]:.0e}")

# %%
# All three come as near as they can, so the gradient is right. An error in an equation would leave all of them far off,
# for every epsilon: in red, what they would make of a (18) that forgets the slope of the sigmoid.

y, a, z, b = cbackprop.forward(x, w, v)
forgetful = ((y - np.eye(3)[t]) @ v[:, :-1]).T @ x / len(x)
wrong = np.abs(forgetful - dw[:, :-1]).max()

fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for (scheme, error), color in zip(errors.items(), COLORS, strict=False):
    ax.loglog(steps, np.maximum(error, 1e-17), "o-", color=color, label=scheme)
ax.axhline(wrong, color="#D62728", linestyle="--", label="without the slope")
ax.set(xlabel="epsilon", ylabel="largest difference from backpropagation")
ax.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
ax.spines[["top", "right"]].set_visible(False)
plt.show()
