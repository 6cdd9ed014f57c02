"""scikit-learn's SGDClassifier: no hidden layer, so that it learns something else than the network; sparse rows."""

import numpy as np
from sklearn.linear_model import SGDClassifier

from ..work import Job, Work, only


def fit_sparse(work: Work) -> Job:
    only(work.batch_size == 1)
    model, x = SGDClassifier(loss="log_loss"), work.x.astype(float)
    return Job(lambda: model.partial_fit(x, work.t, classes=np.arange(len(work.v))))
