"""Training of the estimators: `fit`, in epochs, and `partial_fit`, from single rows on."""

from __future__ import annotations

import copy
import functools
import warnings
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from cbackprop import DivergenceError
from cbackprop import _layout as layout
from cbackprop import _validation as validate
from cbackprop._docstrings import inherits
from cbackprop._rates import EpochRates, epochs_of_table
from cbackprop._training_lock import TrainingLock, learn_and_record, run_finally
from cbackprop.sklearn._base import Backprop
from cbackprop.sklearn._scaling import Scaling, warn_unscaled
from cbackprop.sklearn._validation import is_csr, mean_error


class TrainableBackprop(Backprop):
    """Estimator that learns; a subclass defines the meaning of y."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> Self:
        """Train until the loss, or that of the validation set, no longer improves.

        With ``learning_rate_init="auto"``, the rate decays linearly from 0.3 / sqrt(D + 1) to 0 and adapts to each
        unit: see docs/guides/auto.md. What the network has learned of standardized inputs and numbers is converted to
        weights for those given. Sparse inputs are learned as they are: they would lose their zeros.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs, sparse ones ideally with a maximum near 1, and others, if learning_rate_init is a number, with a
            standard deviation near 1. float32 data are processed in float32, all others in float64. Sparse formats
            other than CSR are converted to it.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            What is to be predicted, as described for the class.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample: a factor of its gradient. The gradient of a batch is divided by the sum of its
            weights.
        X_val, y_val : optional
            Validation set, of the kinds of X and y. Its score and loss are recorded for each epoch; `early_stopping`
            uses the loss.

        Returns
        -------
        estimator
            The fitted estimator itself.
        """
        self._validate_params()
        if not run_finally(functools.partial(self._fit, X, y, sample_weight, X_val, y_val), Rollback(self)):
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
                "hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any) -> bool:
        """Train, and return whether training has converged."""
        self._parameters_are_valid = True
        continued = self.warm_start and self.__sklearn_is_fitted__()
        X, y = self._validated_training_data(X, y, first=not continued)
        weights = self._sample_weights(sample_weight, X, y)
        random_state, generator = self._random_generators()
        if continued:  # train copies, so that an error leaves the model unchanged
            self._match_network()
            self._check_outputs(y)
            self._set_network(copy.deepcopy(self.network_), generator)
            for curve in ("loss_curve_", "validation_loss_curve_", "validation_scores_"):
                setattr(self, curve, getattr(self, curve).copy())
        else:
            self._start(X, y, None, generator)
        t = self._targets("y", y, len(y))
        if not self._adaptive or issparse(X):
            learned = t if weights is None else t[weights > 0]
            warn_unscaled(X, learned if self._numeric_y and not self._adaptive else None)

        held_out = None
        if X_val is not None or y_val is not None:
            held_out = self._validated_held_out(X_val, y_val, X.dtype)
        elif self.early_stopping:
            options = {"test_size": self.validation_fraction, "stratify": y if t.ndim == 1 else None}
            learned, held = train_test_split(np.arange(len(y)), random_state=random_state, **options)
            held_out = X[held], t[held], None if weights is None else weights[held]
            if weights is not None and not weights[held].any():
                raise ValueError(
                    "sample_weight is 0 for all samples that early_stopping sets aside; it must be above 0 for some"
                )
            X, t, weights = X[learned], t[learned], None if weights is None else weights[learned]
        if held_out is not None and len(held_out[1]) < self._fewest_validation_samples:
            raise ValueError(
                f"The validation set is too small: it has {len(held_out[1])} sample, and its score needs "
                f"{self._fewest_validation_samples}; set a larger validation_fraction, or pass X_val and y_val"
            )
        self._scaling = Scaling.standard(X, t, weights, self.network_) if self._adaptive else Scaling()
        if continued:
            self._scaling.fold_out(self.network_)
        return self._run_epochs(X, t, weights, held_out)

    def _run_epochs(self, X: Any, t: np.ndarray, weights: np.ndarray | None, held_out: Any) -> bool:
        """Run epochs on scaled data until training stops; return False if max_iter stopped it."""
        network, scaling, self.n_iter_, earlier = self.network_, self._scaling, 0, len(self.loss_curve_)
        enough = self._auto_epochs if issparse(X) else epochs_of_table(self._auto_epochs, X.shape[1], X.shape[0])
        most = min(self.max_iter, enough) if self._adaptive else self.max_iter
        rate, alpha, unimproved, improved = self._rate, self._penalty, 0, False  # at this rate
        best, best_weights = np.inf, None
        accumulators = network.accumulators or ()
        forgotten = [np.zeros_like(sums) for sums in accumulators]  # of which `partial_fit` takes account
        updates = -(-X.shape[0] // self._samples_per_update(X.shape[0]))  # in an epoch
        auto = EpochRates(self.n_features_in_, most, updates)
        if self._adaptive and isinstance(self.alpha, str) and not issparse(X):
            alpha = auto.penalty_of(weights, self._samples_per_update(X.shape[0]))
        X, t = scaling.inputs(X), scaling.targets(t)
        if held_out is not None:
            held_out = scaling.inputs(held_out[0]), scaling.targets(held_out[1]), held_out[2]
        stopped = False
        try:
            while not stopped and self.n_iter_ < most:
                for sums, lost in zip(accumulators, forgotten, strict=True):
                    lost += (1 - auto.memory) * sums
                    sums *= auto.memory
                self._run_epoch(X, t, weights, rate, alpha, self.n_iter_ + 1)
                self.loss_curve_.append(self.loss_)
                if self.verbose:
                    print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                if held_out is not None:
                    self._score_validation_set(*held_out)

                loss = self.validation_loss_curve_[-1] if self.early_stopping else self.loss_
                unimproved = unimproved + 1 if loss > best - self.tol else 0
                improved = improved or unimproved == 0
                if loss < best:
                    best = loss
                    if self.early_stopping:
                        best_weights = network.w.copy("K"), network.v.copy()
                if self._adaptive:
                    stopped = loss < self.tol
                    rate = auto.rate(self.n_iter_)
                elif unimproved > self.n_iter_no_change:
                    stopped = self.learning_rate != "adaptive" or not improved
                    rate, unimproved, improved = rate / 5, 0, False
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            stopped = True
            if len(self.loss_curve_) < earlier + self.n_iter_:
                self.loss_curve_.append(self.loss_)
        if best_weights is not None:
            network.w[:], network.v[:] = best_weights
        scaling.fold_in(network)
        for sums, lost in zip(accumulators, forgotten, strict=True):
            sums += lost
        return stopped or (self._adaptive and self.n_iter_ == enough)

    @inherits(fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Update the model with one epoch over the given samples; the first call creates the network.

        With ``learning_rate_init="auto"``, running means and deviations follow the last 1,000 samples or so, of weights
        above 0, unless `fit` has found others. Sparse inputs are learned as they are, and so are all inputs of a model
        that begins with sparse ones, at a constant rate or as a network.

        A single row, passed as an array of floats or in CSR format, bypasses most of scikit-learn's validation.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs, scaled as for `fit` if learning_rate_init is a number.

        Returns
        -------
        estimator
            The estimator itself.
        """
        return self._partial_fit(X, y, sample_weight)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        if sample_weight is None and self._partial_fit_row(X, y, classes):
            return self
        self._validate_params()
        rollback = Rollback(self)
        run_finally(functools.partial(self._update, rollback, X, y, sample_weight, classes), rollback)
        return self

    def _update(self, rollback: Rollback, X: Any, y: Any, sample_weight: Any, classes: Any) -> None:
        self._parameters_are_valid = True
        first = not self.__sklearn_is_fitted__()
        X, y = self._validated_training_data(X, y, first=first)
        if first:
            self._start(X, y, classes, self._random_generators()[1])
            if self._adaptive and not issparse(X):
                self._scaling = Scaling.following(self.network_)
        else:
            self._match_network()
            self._extend_outputs(classes)
        t = self._targets("y", y, len(y))
        weights = self._sample_weights(sample_weight, X, y, partial=True)
        self._learn_scaled(rollback, X, t, weights)

    def _learn_scaled(self, rollback: Rollback, X: Any, t: np.ndarray, weights: np.ndarray | None) -> None:
        """Run an epoch of `partial_fit`, with adaptive rates on scaled data. For errors, see `Rollback`."""
        network, scaling = self.network_, self._scaling if self._adaptive else Scaling()

        def scaled_epoch() -> None:
            rollback.save_weights(X)
            scaling.fold_out(network)
            after, Z, u = scaling.learn(X, t, weights)
            self._run_epoch(Z, u, weights, self._rate, self._penalty, 1)
            after.fold_in(network)
            if self._adaptive:
                self._scaling = after

        TrainingLock(network.w, network.v).run(scaled_epoch)

    def _partial_fit_row(self, X: Any, y: Any, classes: Any) -> bool:
        """Update the model with one row without scikit-learn's validation, which takes a hundred times as long.

        Return False, with the model unchanged, if the row or the parameters need that validation.
        """
        attributes = self.__dict__
        dense = type(X) is np.ndarray
        if not (
            (dense or is_csr(X))
            and "network_" in attributes
            and self._parameters_are_valid
            and X.shape == (1, self.n_features_in_)
            and (dense or X.indptr.tolist() == [0, len(X.indices)])
            and "feature_names_in_" not in attributes
            and isinstance(y, (np.ndarray, list, tuple))
            and (classes is None or np.array_equal(classes, self.classes_))
        ):
            return False
        network = self.network_
        wanted: Any = self.learning_rate_init
        rate, adaptive = network.learning_rate, isinstance(wanted, str)
        if adaptive:
            wanted = self._rate
        try:
            if (network.accumulators is None) == adaptive or (t := self._target_of_row(y)) is None:
                return False
            alpha = self._penalty
            plain = alpha == 0 == self.momentum or (
                validate.rounded(alpha, network.dtype) == 0 == validate.rounded(self.momentum, network.dtype)
            )
            if plain and (self._scaling.trivial if adaptive else self.learning_rate != "invscaling"):
                if rate != wanted:
                    network.learning_rate = wanted
                if dense:
                    learn_and_record(attributes, network.learn_one, X[0], t)
                else:
                    learn_and_record(attributes, network.learn_one_sparse, X.indices, X.data, t)
            else:
                if not np.can_cast(X.dtype, network.dtype, "same_kind"):
                    return False
                rollback, numbers = Rollback(self), self._numeric_y or isinstance(t, list)
                targets = self._targets("y", y, 1) if numbers else np.array([t])
                rows = X.astype(network.dtype, copy=False)
                run_finally(functools.partial(self._learn_scaled, rollback, rows, targets, None), rollback)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            network.learning_rate = rate
            return False
        return True

    def _run_epoch(
        self, X: Any, t: np.ndarray, weights: np.ndarray | None, rate: float, alpha: Any, epoch: int
    ) -> None:
        """Run one epoch. An error may have changed the weights: see `Rollback`."""
        network, velocity, N = self.network_, None, X.shape[0]
        single = N == 1 and weights is None  # which learn_one learns if the parameters are known to be valid
        if not self._adaptive:
            validate.learning_rate(self._rate, network.dtype, "learning_rate_init")
            if self.learning_rate == "invscaling":
                rate = self._inverse_scaling()
        if validate.rounded(self.momentum, network.dtype) != 0:
            if self._adaptive:
                raise ValueError(
                    f"momentum is {self.momentum} and learning_rate_init is 'auto'; momentum must be 0, the default, "
                    "or learning_rate_init a number"
                )
            velocity = self._velocity or layout.zeros_like(network.w, network.v)
        network.learning_rate = rate
        l2 = validate.in_range("alpha", alpha, float(np.finfo(network.dtype).max), network.dtype)
        try:
            if single and velocity is None and l2 == 0 and not issparse(X):
                loss = network.learn_one(X[0], t[0])
            else:
                (loss,) = network.fit(
                    X,
                    t,
                    batch_size=1 if single else self._samples_per_update(N),
                    shuffle=self.shuffle,
                    rng=self._generator,
                    method="direct" if N == 1 else "auto",
                    n_threads=self.n_threads,
                    sample_weight=weights,
                    l2=l2,
                    momentum=self.momentum,
                    velocity=velocity,
                ).losses
        except DivergenceError as error:
            raise ValueError(
                f"Learning diverged in epoch {epoch}: "
                f"{'' if self._adaptive else 'try a smaller learning_rate_init, or '}scale {self._to_scale} "
                "to a standard deviation near 1"
            ) from error
        # at once: see `_run_epochs`
        self.__dict__.update(_velocity=velocity, loss_=loss, n_iter_=epoch, t_=self.t_ + N)

    def _inverse_scaling(self) -> float:
        """The rate that falls with a power of the number of samples."""
        try:
            return self._rate / (self.t_ + 1) ** float(self.power_t)
        except OverflowError:
            raise ValueError(
                f"power_t is {self.power_t}; it must be smaller: after {self.t_} samples the learning rate is 0"
            ) from None

    def _score_validation_set(self, X: Any, t: np.ndarray, weights: np.ndarray | None) -> None:
        predicted = self.network_.predict(X, n_threads=self.n_threads)
        self.validation_scores_.append(self._metric(t, predicted, sample_weight=weights))
        self.validation_loss_curve_.append(mean_error(self.network_, X, t, weights))
        if self.verbose:
            print(f"Validation score: {self.validation_scores_[-1]:f}")


class Rollback:
    """Restores an estimator as it was, if called with an error: its attributes, learning rate and generator."""

    def __init__(self, model: TrainableBackprop) -> None:
        self.model, self.attributes = model, model.__dict__.copy()
        self.network, self.generator = self.attributes.get("network_"), self.attributes.get("_generator")
        self.rate = self.network and self.network.learning_rate
        self.random_state = self.generator and self.generator.bit_generator.state
        self.saved: list[tuple[np.ndarray, Any, np.ndarray]] = []  # arrays, parts of them, and copies of these

    def save_weights(self, X: Any) -> None:
        """Restore also what learning from X in place may change."""
        model, network = self.model, self.model.network_
        columns: Any = slice(None)
        if issparse(X) and model._penalty == 0 and model._scaling.trivial:
            columns = np.append(np.unique(X.indices), model.n_features_in_)  # the last are biases
        others = network.v, *(network.accumulators or ()), *(model._velocity or ())
        for array, part in ((network.w, (slice(None), columns)), *((array, ...) for array in others)):
            self.saved.append((array, part, array[part].copy()))

    def __call__(self, error: BaseException | None) -> None:
        """Restore all of it, if there was an error."""
        if error is None:
            return
        for array, part, values in self.saved:
            array[part] = values
        if self.network and self.generator:
            self.network.learning_rate = self.rate
            self.generator.bit_generator.state = self.random_state
        self.model.__dict__ = self.attributes
