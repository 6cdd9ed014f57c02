"""River's LogisticRegression: no hidden layer, so that it learns something else than the network; sparse dicts."""

from river.linear_model import LogisticRegression

from ..work import Job, Work, each


def learn_one_sparse(work: Work) -> Job:
    rows = [dict.fromkeys(indices, 1.0) for indices in work.x.indices.reshape(work.x.shape[0], -1).tolist()]
    return Job(each(LogisticRegression().learn_one, list(zip(rows, work.t.astype(bool).tolist(), strict=True))))
