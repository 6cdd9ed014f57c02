"""
Gradient check
==============

Numerical differentiation is independent of backpropagation and needs only the error E,
so it can verify a gradient.

Requires ``pip install ".[plot]"``.
Run with ``python examples/gradient_check.py``.
"""

import matplotlib.pyplot as plt
import numpy as np

import cbackprop
from cbackprop.plot import COLORS

# %%
# A network, some samples, and the gradient (3) computed by backpropagation.

rng = np.random.default_rng(0)
x, t = rng.normal(size=(50, 4)), rng.integers(3, size=50)
w, v = cbackprop.init_weights(4, 8, 3, rng=0)
dw, dv = cbackprop.gradient(x, t, w, v)

# %%
# Numerical differentiation changes one weight at a time by a small epsilon and measures
# the change in E. How small should epsilon be? The difference quotient is the slope of
# a chord instead of a tangent: its error is proportional to epsilon for forward
# differences, and to epsilon squared for central differences. But it subtracts two
# nearly equal values of E, and the smaller epsilon, the fewer digits remain. A complex
# step needs no subtraction: the derivative is the imaginary part of
# E(w + i epsilon) / epsilon.

steps = 10.0 ** np.arange(-15, 0)
errors = {}
for scheme in ("forward", "central", "complex"):
    errors[scheme] = np.empty(len(steps))
    for i, step in enumerate(steps):
        nw, nv = cbackprop.numerical_gradient(x, t, w, v, epsilon=step, scheme=scheme)
        errors[scheme][i] = max(np.abs(dw - nw).max(), np.abs(dv - nv).max())
    best = errors[scheme].argmin()
    print(f"{scheme:8} error {errors[scheme][best]:.0e} at epsilon = {steps[best]:.0e}")

# %%
# All three schemes agree with backpropagation up to their own errors, so the gradient
# is correct. With an error in an equation, the difference would be large for every
# epsilon: the red line is the difference if (18) omits the derivative of the sigmoid.

y, a, z, b = cbackprop.forward(x, w, v)
incomplete = ((y - np.eye(3)[t]) @ v[:, :-1]).T @ x / len(x)
wrong = np.abs(incomplete - dw[:, :-1]).max()

fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for (scheme, error), color in zip(errors.items(), COLORS, strict=False):
    ax.loglog(steps, np.maximum(error, 1e-17), "o-", color=color, label=scheme)
ax.axhline(wrong, color="#D62728", linestyle="--", label="without h'")
ax.set(xlabel="epsilon", ylabel="largest difference from backpropagation")
ax.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
ax.spines[["top", "right"]].set_visible(False)
plt.show()
