"""`cbackprop export`: a model in C."""

from pathlib import Path

from cbackprop import Network, export_c
from cbackprop.files.model_file import load_model


def run(path: Path, header: Path, *, name: str, predict_only: bool) -> None:
    """Export the network of a model file whose inputs and targets are what it computes with."""
    model = load_model(path)
    if model.hash is not None:
        raise ValueError(f"{path}: its inputs are hashed, which C could not repeat; train a model without --hash")
    if model.mean is not None or model.target_mean is not None:
        raise ValueError(
            f"{path}: its inputs or targets are standardized, and C would take them as they are; train it with "
            f"--no-standardize, or export Network.load({str(path)!r}) by export_c and scale them yourself"
        )
    export_c(Network._of(model), header, name=name, predict_only=predict_only)
