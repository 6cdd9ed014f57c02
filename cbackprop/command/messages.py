"""Messages on one line of standard error, and the formatting of names and numbers."""

import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from cbackprop._catalog import OUTPUTS


def explain(error: Exception) -> str:
    """Return the message of an error; that of the operating system without its number."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def print_line(kind: str, message: str, status: int = 1) -> int:
    """Print an error, or a warning, on one line; return the exit status."""
    print(f"cbackprop: {kind}:", escape_control(" ".join(message.split())), file=sys.stderr)
    return status


def escape_control(text: str) -> str:
    """Escape control and format characters, which could command a terminal or reverse the text after them."""
    return "".join(repr(c)[1:-1] if unicodedata.category(c) in {"Cc", "Cf", "Cs"} else c for c in text)


def abbreviate(names: Sequence[str]) -> str:
    """Quote and join names, at most eight of them."""
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"


def describe_hashed(numbers: Sequence[str], texts: Sequence[str]) -> str:
    """Tell which columns are hashed as numbers, and which as text."""
    kinds = {"numbers": numbers, "text": texts}
    return "; ".join(f"{kind}: {abbreviate(names)}" for kind, names in kinds.items() if names)


def describe_task(model: Any) -> str:
    """Tell what a model predicts."""
    K, output, names = len(model.v), OUTPUTS[model.functions.output], model.classes or model.targets
    shown = abbreviate(names) if names else "unnamed"
    if output.probabilities:
        return f"classification, {K} classes: {shown}" if output.exclusive else f"{K} labels, each by itself: {shown}"
    return f"regression of {shown}" if names else f"regression, {K} unnamed"


def format_duration(seconds: float) -> str:
    """Format a duration in seconds or milliseconds."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
