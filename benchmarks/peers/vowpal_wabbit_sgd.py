"""Vowpal Wabbit with one constant rate for all weights, as the network has it; the rest is that of vowpal_wabbit.py."""

from functools import partial

from .vowpal_wabbit import learn_one_sparse as learn_adaptively

fit_sparse = learn_one_sparse = partial(learn_adaptively, options="--sgd")
