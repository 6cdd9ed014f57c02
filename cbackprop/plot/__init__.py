"""Plots of training and of trained networks, drawn on Matplotlib axes.

Requires the extra `plot`: ``pip install "cbackprop[plot]"``. Arrays that do not hold what is described raise TypeError,
shapes that do not fit, unknown classes and too few names ValueError, before anything is drawn.
"""

from cbackprop.plot._axes import COLORS
from cbackprop.plot._classes import confusion, decision_regions, misclassified
from cbackprop.plot._network import network
from cbackprop.plot._numbers import fitted_curve, predicted_against_true, residuals
from cbackprop.plot._training import hidden_units, learning_curve, mixture

__all__ = [
    "COLORS",
    "confusion",
    "decision_regions",
    "fitted_curve",
    "hidden_units",
    "learning_curve",
    "misclassified",
    "mixture",
    "network",
    "predicted_against_true",
    "residuals",
]
