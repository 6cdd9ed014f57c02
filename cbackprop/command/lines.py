"""The lengths of lines: Polars holds a line as a whole, several times over, and a small file may hold a huge one."""

import gzip
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

from cbackprop._extras import require

MAX_LINE = 2**26  # bytes
PART = 2**16  # bytes
GZIP, ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # first bytes of files
ZLIB = b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"  # those that Polars recognizes


def check_lines(file: Path, limit: int, count_rows: Callable[[Iterable[bytes]], int]) -> None:
    """Raise for a line of more than `limit` bytes.

    `count_rows` returns the number of rows in the lines before it, or -1 if it belongs to the header.
    """
    with file.open("rb") as stream:
        start = stream.read(4)
    if start.startswith(GZIP):
        open_text: Callable[..., Any] = gzip.open
    elif start.startswith(ZSTANDARD):
        open_text = require("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", "cli").open
    elif start.startswith(ZLIB):
        raise ValueError("it is compressed by zlib; gzip or Zstandard is needed")
    elif file.stat().st_size > limit:
        open_text = open
    else:
        return
    with open_text(file, "rb") as text:
        if not has_long_line(read_parts(text, limit), limit):
            return
        text.seek(0)
        lines = iter(partial(text.readline, limit + 1), b"")
        row = count_rows(takewhile(lambda line: len(line.removesuffix(b"\n")) <= limit, lines))
    where = "its header" if row < 0 else f"row {row + 1}"
    raise ValueError(f"{where} has a line of more than {limit:,} bytes; --max-line raises the limit")


def read_parts(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    """Read a stream in parts of at most `limit` bytes."""
    return iter(partial(stream.read, min(PART, limit)), b"")


def has_long_line(parts: Iterable[bytes], limit: float) -> bool:
    """Whether a line has more than `limit` bytes; no part has more, so only lines across parts need be measured."""
    length = 0  # of the line that continues in the next part
    for part in parts:
        end = part.find(b"\n")
        if length + (len(part) if end < 0 else end) > limit:
            return True
        length = length + len(part) if end < 0 else len(part) - 1 - part.rfind(b"\n")
    return False
