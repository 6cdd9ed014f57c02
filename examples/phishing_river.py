"""
A stream of websites with River
===============================

Progressive validation on 1,250 websites, some of them phishing: each is predicted
first, then learned.

Requires ``pip install "cbackprop[river]"``.
Run with ``python examples/phishing_river.py``.
"""

from time import perf_counter

from river import datasets, evaluate, linear_model, metrics, preprocessing, tree

from cbackprop.river import BackpropClassifier


def main() -> dict[str, float]:
    """Return the progressive accuracy of each model."""
    models = (
        BackpropClassifier(seed=0),
        linear_model.LogisticRegression(),
        tree.HoeffdingTreeClassifier(),
    )
    accuracy = {}
    for model in models:
        start = perf_counter()
        metric = evaluate.progressive_val_score(
            datasets.Phishing(),
            preprocessing.StandardScaler() | model,
            metrics.Accuracy(),
        )
        rate = datasets.Phishing().n_samples / (perf_counter() - start)
        name = type(model).__name__
        accuracy[name] = metric.get()
        print(f"{name:24} accuracy {accuracy[name]:.4f}, {rate:,.0f} samples/s")
    return accuracy


if __name__ == "__main__":
    main()
