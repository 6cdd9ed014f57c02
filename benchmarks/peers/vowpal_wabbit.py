"""Vowpal Wabbit: `--nn` of as many hidden units, of sparse rows of two classes. Its rates adapt, one to each weight, so
that it learns something else than the network; vowpal_wabbit_sgd.py has one rate for all, as the others.

Samples are parsed beforehand. Slower: lines of text, and its cache of a file, which it decodes while it learns.
"""

from vowpalwabbit import Workspace

from ..work import Job, Work, only


def workspace(options: str, D: int = 2**18) -> Workspace:
    """What learns the files that the options name at once, and lines."""
    return Workspace(f"--loss_function logistic -b {D.bit_length() - 1} --quiet {options}")


def learn_one_sparse(work: Work, options: str = "") -> Job:
    N, D = work.x.shape
    only(work.batch_size == 1)
    model = workspace(f"--nn {len(work.w)} {options}", D)
    rows = work.x.indices.reshape(N, -1).tolist()
    lines = (f"{2 * t - 1} | {' '.join(map(str, row))}" for row, t in zip(rows, work.t, strict=True))
    examples, learn = [model.parse(line) for line in lines], model.learn

    def run() -> None:
        for example in examples:
            learn(example)

    return Job(run)


fit_sparse = learn_one_sparse  # its own loop over a file is slower
