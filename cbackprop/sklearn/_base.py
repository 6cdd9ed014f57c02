"""What the estimators are before and after training: parameters, a network, validation and predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from cbackprop import Activations, Network, forward, init_weights
from cbackprop import _layout as layout
from cbackprop import _validation as validate
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from cbackprop._docstrings import inherits
from cbackprop._rates import epoch_rate
from cbackprop.sklearn._parameters import ACTIVATIONS, Parameters
from cbackprop.sklearn._scaling import Scaling
from cbackprop.sklearn._validation import check_dense, check_inputs, is_csr


def weights_of_layers(name: str, part: Any, description: str) -> Any:
    """Define an attribute of views of part of w and v; what it is set to is copied, or refused before both change."""

    def views(model: Backprop) -> list[np.ndarray]:
        return [weights.T[part] for weights in (model.network_.w, model.network_.v)]

    def assign(model: Backprop, values: Sequence[ArrayLike]) -> None:
        arrays, copies = views(model), []
        first, second = arrays
        if len(values) != 2:
            raise ValueError(
                f"{name} has {len(values)} arrays; it must have 2, of shapes {first.shape} and {second.shape}"
            )
        for n, (array, value) in enumerate(zip(arrays, values, strict=True)):
            new = validate.numbers(f"{name}[{n}]", value, array.dtype, str(array.shape), array.ndim)
            if new.shape != array.shape:
                raise ValueError(f"{name}[{n}] has shape {new.shape}; it must be {array.shape}")
            copies.append(new.copy())  # which may be the array of another weight
        first[...], second[...] = copies

    return property(views, assign, doc=f"{description}, as views of the arrays of `network_`; may be set.")


class Backprop(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Parameters):
    """Estimator with one hidden layer; y are numbers, unless a subclass gives them another meaning."""

    network_: Network
    n_features_in_: int
    loss_: float
    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    validation_scores_: list[float]
    n_iter_: int
    t_: int
    _generator: np.random.Generator
    _velocity: tuple[np.ndarray, np.ndarray] | None
    _scaling: Scaling  # of the last `fit`

    # ------------------------------------------------------------------------------------------------- the meaning of y

    _numeric_y = True  # whether y holds numbers, even if its dtype is object
    _metric: Callable[..., float] = staticmethod(r2_score)  # of what the network predicts for a validation set
    _fewest_validation_samples = 2  # of which R² is defined
    _to_scale = "the inputs and y"  # if training diverges
    _auto_epochs = 20  # that "auto" rates take to fall to 0, at most; more overfit small tables

    def _define_outputs(self, y: np.ndarray, classes: Any) -> tuple[int, str]:
        """Define the outputs for the first y; return their number and their function."""
        return 1 if y.ndim == 1 else y.shape[1], "linear"

    def _check_outputs(self, y: np.ndarray) -> None:
        """Raise ValueError if `fit` with y cannot continue with the trained outputs."""

    def _extend_outputs(self, classes: Any) -> None:
        """Add the outputs that `partial_fit` asks for."""

    def _targets(self, name: str, y: Any, N: int) -> np.ndarray:
        """Targets of N samples: class indices (N,) or numbers (N, K), finite in the dtype of the network."""
        rows: Any = validate.targets(y, N, self.network_.w, self.network_.v, "linear", name=name)[0]
        return rows

    def _target_of_row(self, y: Any) -> Any:
        """Target of a single sample for `learn_one`, or None if y needs scikit-learn's validation."""
        t = y[0]
        return None if len(y) > 1 or validate.is_masked(t) or (self.n_outputs_ == 1 and np.ndim(t)) else t

    # ----------------------------------------------------------------------------------------------------- construction

    @classmethod
    def from_network(cls, network: Network, **parameters: Any) -> Self:
        """Create an estimator from a trained network.

        Parameters
        ----------
        network : Network
            The network, which is shared, not copied. Its outputs are linear.
        **parameters
            Parameters of the estimator except `hidden_layer_sizes` and `activation`, which are those of the network.

        Returns
        -------
        estimator
            A fitted estimator. `partial_fit`, or `fit` with `warm_start`, trains it further.
        """
        if not isinstance(network, Network):
            raise TypeError(f"network is a {type(network).__name__}; it must be a Network")
        if network.standardize:
            raise ValueError("network standardizes its inputs; estimators do so themselves: use standardize=False")
        outputs = [name for name, output in OUTPUTS.items() if output.probabilities != cls._numeric_y]
        if network.output not in outputs:
            raise ValueError(f"network has output {network.output!r}; it must have {' or '.join(map(repr, outputs))}")
        activation = HIDDEN_FUNCTIONS[network.hidden].activation
        model = cls(hidden_layer_sizes=len(network.w), activation=activation, **parameters)
        model.n_features_in_ = network.w.shape[1] - 1
        model._reset(network, model._random_generators()[1])
        return model

    # --------------------------------------------------------------------------------------------------------- networks

    def _random_generators(self) -> tuple[np.random.RandomState, np.random.Generator]:
        """Sources of random numbers for scikit-learn and for this library, from `random_state`."""
        random_state = check_random_state(self.random_state)
        return random_state, np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))

    def _hidden_units(self) -> int:
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object))
        if sizes.shape != (1,):
            raise ValueError(
                f"hidden_layer_sizes is {self.hidden_layer_sizes!r}; there is exactly one hidden layer: write (100,), "
                "or keep scikit-learn's multilayer perceptron for several"
            )
        return validate.count("hidden_layer_sizes", sizes[0])

    def _match_network(self) -> None:
        """Raise ValueError if the parameters ask for other hidden units; adapt rates to units if they ask for that."""
        network = self.network_
        for name, wanted, trained in (
            ("hidden_layer_sizes", self._hidden_units(), len(network.w)),
            ("activation", self.activation, HIDDEN_FUNCTIONS[network.hidden].activation),
        ):
            if wanted != trained:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; the model has learned with {trained!r} and keeps it: to begin "
                    "anew, use fit without warm_start, or sklearn.base.clone"
                )
        if network.adaptive != self._adaptive:
            accumulators = validate.new_accumulators(network.w, network.v) if self._adaptive else None
            functions = network.functions._asdict()
            self.network_ = Network.from_weights(network.w, network.v, **functions, accumulators=accumulators)

    def _new_network(
        self, n_outputs: int, output: str, dtype: np.dtype, generator: np.random.Generator, *, sparse: bool
    ) -> Network:
        hidden = ACTIVATIONS[self.activation]
        sizes = self.n_features_in_, self._hidden_units(), n_outputs
        w, v = init_weights(*sizes, hidden=hidden, dtype=dtype, order="F" if sparse else "C", rng=generator)
        accumulators = validate.new_accumulators(w, v) if self._adaptive else None
        return Network.from_weights(w, v, output=output, hidden=hidden, accumulators=accumulators)  # of one class, too

    def _start(self, X: Any, y: np.ndarray, classes: Any, generator: np.random.Generator) -> None:
        """Create an untrained network for X and y."""
        outputs = self._define_outputs(y, classes)
        self._reset(self._new_network(*outputs, X.dtype, generator, sparse=issparse(X)), generator)

    def _reset(self, network: Network, generator: np.random.Generator) -> None:
        """Set an untrained network and reset the record of training."""
        self._set_network(network, generator)
        self.t_, self.n_iter_, self._scaling = 0, 0, Scaling()
        self.loss_curve_, self.validation_loss_curve_, self.validation_scores_ = [], [], []

    def _set_network(self, network: Network, generator: np.random.Generator) -> None:
        self.network_, self._generator, self._velocity = network, generator, None

    @property
    def _adaptive(self) -> bool:
        """Whether learning rates adapt to each unit."""
        return isinstance(self.learning_rate_init, str)

    @property
    def _rate(self) -> Any:
        """α, by which adaptive rates are multiplied."""
        return epoch_rate(self.n_features_in_) if self._adaptive else self.learning_rate_init

    @property
    def _penalty(self) -> Any:
        """The penalty where "auto" is none: in `partial_fit`, and at constant rates."""
        return 0.0 if isinstance(self.alpha, str) else self.alpha

    def _samples_per_update(self, N: int) -> Any:
        return min(200, N) if self.batch_size == "auto" else self.batch_size

    # ------------------------------------------------------------------------------------------------------- prediction

    def predict(self, X: Any) -> np.ndarray:
        """Outputs y of each sample.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs) for several outputs
        """
        X = self._validated_inputs(X)
        return self.network_.predict(X, n_threads=self.n_threads)

    @inherits(predict)
    def transform(self, X: Any) -> np.ndarray:
        """Hidden activations z.

        Returns
        -------
        ndarray of shape (n_samples, M)
        """
        return self._forward(X).z

    def _forward(self, X: Any) -> Activations:
        X, network = self._validated_inputs(X), self.network_
        return forward(X, network.w, network.v, **network.functions._asdict(), n_threads=self.n_threads)

    # ------------------------------------------------------------------------------------------------------- validation

    def _validated_X(self, name: str, X: Any, dtype: np.dtype) -> Any:
        """X of a fitted model, in its dtype, as validated by scikit-learn."""
        check_inputs(name, X)
        return validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=False)

    def _validated_training_data(self, X: Any, y: Any, *, first: bool) -> tuple[Any, np.ndarray]:
        # of several dtypes, scikit-learn converts others to the first: float64
        dtype = validate.FLOATS[::-1] if first else self.network_.dtype
        check_inputs("X", X)
        check_dense("y", y)
        options = {"multi_output": np.asarray(y).ndim == 2, "y_numeric": self._numeric_y}
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=dtype, order="C", reset=first, **options)
        return X, column_or_1d(y, warn=True) if y.shape[1:] == (1,) else y

    def _validated_held_out(self, X: Any, y: Any, dtype: np.dtype) -> tuple[Any, np.ndarray, None]:
        if X is None or y is None:
            raise ValueError("X_val and y_val must be given together")
        check_dense("y_val", y)
        X = self._validated_X("X_val", X, dtype)
        check_consistent_length(X, y)
        return X, self._targets("y_val", y, X.shape[0]), None

    def _validated_inputs(self, X: Any) -> Any:
        """Validate inputs for prediction, without scikit-learn if they need no conversion: ten times as fast."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)
        if (
            (type(X) is np.ndarray or is_csr(X))
            and X.dtype == self.network_.dtype
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and X.shape[0]
            and not hasattr(self, "feature_names_in_")
            and (issparse(X) or np.isfinite(X).all())  # the network checks sparse rows
        ):
            return X
        return self._validated_X("X", X, self.network_.dtype)

    def _sample_weights(self, sample_weight: Any, X: Any, y: np.ndarray, *, partial: bool = False) -> np.ndarray | None:
        """Factor of each sample's gradient; None if all are 1."""
        if sample_weight is None:
            return None
        validate.refuse_masked("sample_weight", sample_weight)
        return _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)

    # ------------------------------------------------------------------------------------------------ fitted attributes

    coefs_ = weights_of_layers("coefs_", np.s_[:-1], "Weights in scikit-learn's orientation")
    intercepts_ = weights_of_layers("intercepts_", -1, "Biases")
    n_layers_ = 3  # as scikit-learn counts: inputs, hidden units and outputs

    @property
    def best_loss_(self) -> float | None:
        """The smallest `loss_` of the epochs of `fit`; None with `early_stopping`, or before."""
        return None if self.early_stopping else min(self.loss_curve_, default=None)

    @property
    def best_validation_score_(self) -> float | None:
        """The largest validation score of the epochs of `fit`; None without a validation set."""
        return max(self.validation_scores_, default=None)

    @property
    def n_outputs_(self) -> int:
        """K, the number of outputs."""
        return len(self.network_.v)

    @property
    def out_activation_(self) -> str:
        """The function of the outputs, by the name that it has in scikit-learn."""
        return OUTPUTS[self.network_.output].activation

    @property
    def _n_features_out(self) -> int:
        return len(self.network_.w)

    # --------------------------------------------------------------------------------------------- scikit-learn's hooks

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if velocity := vars(self).get("_velocity"):
            self._velocity = layout.copies(*velocity)

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        return tags
