"""Text out of files, as it may go to a terminal."""

import unicodedata


def plain(text: str) -> str:
    """Text without characters that a terminal obeys or that turn what follows around: their escapes instead."""
    return "".join(repr(c)[1:-1] if unicodedata.category(c) in {"Cc", "Cf", "Cs"} else c for c in text)
