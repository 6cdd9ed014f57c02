"""Each equation by itself, in every compiled variant: the loop around it, on vectors that stay in the nearest cache."""

import numpy as np

from .suite import DTYPES, VARIANTS, Short, kernels

SIZE = 4096  # numbers in a vector
K = 10
CALLS = 100


class Equations(Short):
    params = (VARIANTS, DTYPES)
    param_names = ("variant", "dtype")
    repeat = (5, 30, 0.03)

    def setup(self, variant, dtype):
        self.module = kernels(variant, dtype)
        rng = np.random.default_rng(0)
        self.b = rng.uniform(-8, 8, SIZE).astype(dtype)
        self.positive = np.abs(self.b)
        self.z = rng.random(SIZE).astype(dtype)
        self.v = rng.uniform(-1, 1, (K, SIZE + 1)).astype(dtype)
        self.a = rng.uniform(-8, 8, 100).astype(dtype)
        self.y = np.full(100, 1 / 100, dtype)
        self.t = np.eye(100, dtype=dtype)[0]
        self.errors = rng.uniform(-1, 1, K).astype(dtype)

    def repeat_calls(self, name, *arguments):
        equation = getattr(self.module, name)
        for _ in range(CALLS):
            equation(*arguments)

    def time_exponential(self, variant, dtype):
        self.repeat_calls("exponential_of", self.b)

    def time_log_one_plus(self, variant, dtype):
        self.repeat_calls("log_one_plus_of", self.positive)

    def time_sigmoid(self, variant, dtype):
        self.repeat_calls("sigmoid_of", self.b)

    def time_sigmoid_derivative(self, variant, dtype):
        self.repeat_calls("sigmoid_derivative_of", self.z)

    def time_hidden_sum(self, variant, dtype):
        self.repeat_calls("hidden_sum_of", self.v[0], self.z)

    def time_output_sum(self, variant, dtype):
        self.repeat_calls("output_sum_of", self.v[0], self.z)

    def time_softmax(self, variant, dtype):
        self.repeat_calls("softmax_of", self.a)

    def time_softmax_derivative(self, variant, dtype):
        self.repeat_calls("softmax_derivative_of", self.y)

    def time_cross_entropy(self, variant, dtype):
        self.repeat_calls("cross_entropy_of", self.t, self.a)

    def time_output_error(self, variant, dtype):
        self.repeat_calls("output_error_of", self.y, self.t)

    def time_gradient_v(self, variant, dtype):
        self.repeat_calls("gradient_v_of", self.errors, self.z)

    def time_hidden_error(self, variant, dtype):
        self.repeat_calls("hidden_error_of", self.errors, self.v, self.z)

    def time_gradient_w(self, variant, dtype):
        self.repeat_calls("gradient_w_of", self.errors, self.z)
