"""The scikit-learn classifier on the digits: `fit`, `partial_fit` of one row and of many, `predict`; its accuracy."""

import warnings

import numpy as np

from .suite import ShortBenchmark, landed

ROWS = 500  # calls of partial_fit with one row


class Digits(ShortBenchmark):
    def setup(self):
        BackpropClassifier = landed("cbackprop.sklearn").BackpropClassifier
        x, self.t = landed("sklearn.datasets").load_digits(return_X_y=True)
        self.x = x / 16
        self.learner = BackpropClassifier((32,), max_iter=2, n_iter_no_change=2, random_state=0)
        self.rows = [(self.x[n : n + 1], self.t[n : n + 1]) for n in range(ROWS)]
        self.model = BackpropClassifier((32,), random_state=0).partial_fit(self.x, self.t, classes=np.arange(10))
        warnings.simplefilter("ignore")  # two epochs don't converge


class Estimator(Digits):
    def time_fit_two_epochs(self):
        self.learner.fit(self.x, self.t)

    def time_partial_fit_all_rows(self):
        self.model.partial_fit(self.x, self.t)

    def time_partial_fit_one_row(self):
        for x_n, t_n in self.rows:
            self.model.partial_fit(x_n, t_n)

    def time_predict(self):
        self.model.predict(self.x)


class HeldOut(Digits):
    """Accuracy on a held-out quarter of the digits after 30 epochs on the rest."""

    def track_accuracy(self):
        held_out = np.arange(len(self.x)) % 4 == 0
        self.learner.set_params(max_iter=30, n_iter_no_change=30).fit(self.x[~held_out], self.t[~held_out])
        return float(self.learner.score(self.x[held_out], self.t[held_out]))

    track_accuracy.unit = "accuracy on held-out digits"
