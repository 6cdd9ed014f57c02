"""The progress of a training, part of which a checkpoint stores."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

UNFINISHED_EPOCH = {"chunks": int, "E_training": float, "E_held_out": float}  # what a checkpoint stores


@dataclass
class TrainingProgress:
    """Mean E of each finished epoch, and sums over the unfinished one."""

    losses: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)  # each chunk is evaluated right after learning it
    chunks: int = 0  # learned in the unfinished epoch
    E_training: float = 0.0  # summed over their rows
    E_held_out: float = 0.0

    def unfinished_epoch(self) -> dict[str, Any]:
        """What a checkpoint stores besides the losses."""
        return {name: getattr(self, name) for name in UNFINISHED_EPOCH}

    def restore(self, state: dict[str, Any], path: Path | None) -> None:
        """Continue an epoch from what a checkpoint stored."""
        if not all(isinstance(state.get(name), kind) for name, kind in UNFINISHED_EPOCH.items()):
            raise ValueError(f"{path} does not store the progress of the training; it cannot be resumed")
        for name in UNFINISHED_EPOCH:
            setattr(self, name, state[name])

    def finish_epoch(self, n_training: int, n_held_out: int) -> None:
        """Turn the sums over so many rows into means."""
        self.losses.append(self.E_training / n_training)
        if n_held_out:
            self.held_out.append(self.E_held_out / n_held_out)
        self.chunks, self.E_training, self.E_held_out = 0, 0.0, 0.0
