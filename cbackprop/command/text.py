"""Formatting of names and numbers for messages and tables."""

import unicodedata
from collections.abc import Sequence


def escape_control(text: str) -> str:
    """Escape control and format characters, which could command a terminal or reverse the text after them."""
    return "".join(repr(c)[1:-1] if unicodedata.category(c) in {"Cc", "Cf", "Cs"} else c for c in text)


def abbreviate(names: Sequence[str]) -> str:
    """Quote and join names, at most eight of them."""
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"


def format_duration(seconds: float) -> str:
    """Format a duration in seconds or milliseconds."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
