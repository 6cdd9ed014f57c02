"""`cbackprop export`: a model in C."""

from pathlib import Path

from cbackprop import Network, export_c
from cbackprop.files.model_file import load_model


def run(model: Path, header: Path, name: str, predict_only: bool) -> None:
    """Export the network of a model file whose inputs and targets are what it computes with."""
    found = load_model(model)
    if found.hash is not None:
        raise ValueError(f"{model}: its inputs are hashed, which C could not repeat; train a model without --hash")
    if found.mean is not None or found.target_mean is not None:
        raise ValueError(
            f"{model}: its inputs or targets are standardized, and C would take them as they are; train it with "
            f"--no-standardize, or export Network.load({str(model)!r}) by export_c and scale them yourself"
        )
    export_c(Network._of(found), header, name=name, predict_only=predict_only)
