"""
A stream of web sites, by River's tools
=======================================

1,250 web sites, some of them phishing: each is judged first, then learned.

Needs ``pip install "cbackprop[river]"``. Run it: ``python examples/phishing_river.py``.
"""

from time import perf_counter

from river import datasets, evaluate, linear_model, metrics, preprocessing, tree

from cbackprop.river import BackpropClassifier


def main() -> dict[str, float]:
    """Progressive accuracy, by model."""
    accuracy = {}
    for model in (BackpropClassifier(seed=0), linear_model.LogisticRegression(), tree.HoeffdingTreeClassifier()):
        began = perf_counter()
        metric = evaluate.progressive_val_score(
            datasets.Phishing(), preprocessing.StandardScaler() | model, metrics.Accuracy()
        )
        rate = datasets.Phishing().n_samples / (perf_counter() - began)
        name = type(model).__name__
        accuracy[name] = metric.get()
        print(f"{name:24} right before it was told: {accuracy[name]:.4f}; {rate:,.0f} samples a second")
    return accuracy


if __name__ == "__main__":
    main()
