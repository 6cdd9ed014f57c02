"""Each equation alone, in every compiled variant and precision."""

import numpy as np

from .suite import DTYPES, VARIANTS, ShortBenchmark, kernels

SIZE = 4096  # elements of a vector
UNITS = 10  # rows of a weight matrix
CLASSES = 100
CALLS = 100
ALPHA = 1e-3

ARGUMENTS = {  # of each equation, by name in `operands`
    "exp": ["b"],
    "log1p": ["abs_b"],
    "hidden_sum": ["weights", "z"],
    "hidden_output": ["b"],
    "hidden_derivative": ["z"],
    "output_sum": ["weights", "z"],
    "output": ["a"],
    "softmax_derivative": ["y"],
    "sample_error": ["t", "a"],
    "output_error": ["y", "t"],
    "gradient_v": ["y_units", "t_units", "z"],
    "hidden_error": ["y_units", "t_units", "weights", "z"],
    "gradient_w": ["e_units", "z"],
    "update_v": ["weights", "y_units", "t_units", "z", "alpha"],
    "update_w": ["weights", "e_units", "z", "alpha"],
}
LAYER, SECOND_LAYER = (SIZE, UNITS, 1), (1, SIZE, UNITS)
SYMBOLS = {  # the left side, and those of the arguments; D, M and K
    "hidden_sum": ("b w x", LAYER),
    "hidden_output": ("z b", SECOND_LAYER),
    "hidden_derivative": ("h' z", SECOND_LAYER),
    "output_sum": ("a v z", SECOND_LAYER),
    "output": ("y a", (1, 1, CLASSES)),
    "sample_error": ("E_n t a", (1, 1, CLASSES)),
    "output_error": ("error y t", (1, 1, CLASSES)),
    "gradient_v": ("dv y t z", SECOND_LAYER),
    "hidden_error": ("e y t v z", SECOND_LAYER),
    "gradient_w": ("dw e x", LAYER),
    "update_v": ("v v y t z alpha_v", SECOND_LAYER),
    "update_w": ("w w e x alpha_w", LAYER),
}
# Early commits have some of these equations under other names, and some for a single unit or with other arguments.
EARLY_NAMES = {
    "exp_of": "exponential_of",
    "log1p_of": "log_one_plus_of",
    "hidden_output_of": "sigmoid_of",
    "hidden_derivative_of": "sigmoid_derivative_of",
    "output_of": "softmax_of",
    "sample_error_of": "cross_entropy_of",
}
NEW_ARGUMENTS = {"hidden_sum", "output_sum", "gradient_v", "hidden_error", "gradient_w"}


def operands(dtype):
    rng = np.random.default_rng(0)
    b = rng.uniform(-8, 8, SIZE)
    arrays = {
        "b": b,
        "abs_b": np.abs(b),
        "z": rng.random(SIZE),
        "weights": rng.uniform(-1, 1, (UNITS, SIZE + 1)),
        "a": rng.uniform(-8, 8, CLASSES),
        "y": np.full(CLASSES, 1 / CLASSES),
        "t": np.eye(CLASSES)[0],
        "y_units": np.full(UNITS, 1 / UNITS),
        "t_units": np.eye(UNITS)[0],
        "e_units": rng.uniform(-1, 1, UNITS),
        "alpha": np.full(UNITS, ALPHA),
    }
    return {name: array.astype(dtype) for name, array in arrays.items()}


def equation_of(module, equation):
    """The compiled function of an equation; not available at commits that lack it or call it with other arguments."""
    name = f"{equation}_of"
    name = name if hasattr(module, name) else EARLY_NAMES.get(name, name)
    if not hasattr(module, name) or (equation in NEW_ARGUMENTS and not hasattr(module, "update_w_of")):
        raise NotImplementedError(f"no {name} with these arguments at this commit")
    return getattr(module, name)


class Equations(ShortBenchmark):
    params = (list(ARGUMENTS), VARIANTS, DTYPES)
    param_names = ("equation", "variant", "dtype")
    repeat = (5, 30, 0.03)

    def setup(self, equation, variant, dtype):
        module = kernels(variant, dtype)
        values = operands(dtype)
        if hasattr(module, "Equations") and equation in SYMBOLS:
            symbols, sizes = SYMBOLS[equation]
            left, *right = symbols.split()
            equations = module.Equations(*sizes)
            for symbol, name in zip(right, ARGUMENTS[equation], strict=True):
                equations[symbol] = values[name]
            self.function, self.arguments = equations.compute, [left]
            return
        self.function = equation_of(module, equation)
        if not hasattr(module, "adaptive_rate_of"):  # one rate for all units at earlier commits
            values["alpha"] = ALPHA
        self.arguments = [values[name] for name in ARGUMENTS[equation]]

    def time_100_calls(self, equation, variant, dtype):
        for _ in range(CALLS):
            self.function(*self.arguments)
