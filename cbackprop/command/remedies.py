"""What a user can do about a cell that is not the number that is needed."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

NOT_FINITE = {"", "-", ".", "?", "inf", "infinity", "n/a", "na", "nan", "nil", "none", "null"}
DATES = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ t].*)?|\d{1,2}:\d{2}(:\d{2}.*)?")
NUMBERS = re.compile(r"[-+]?[\d.,' ]*\d[\d.,' ]*(e[-+]?\d+)?")
MAX_COLUMNS = 4  # named in one message

SKIP = "--on-bad-row skip leaves such rows out"
SKIP_PREDICTION = "--on-bad-row skip leaves the predictions of such rows empty"
IGNORE = "--ignore leaves a column out"
DATE = f"replace dates and times by numbers, such as days; {IGNORE}"
NOTATION = "write numbers with a decimal point, and without spaces and other separators"


def for_cells(cells: Mapping[str, Any]) -> str:
    """Tell how to train on a table with such cells of one row, which are not finite numbers."""
    first, *_ = kinds = [kind_of(cell) for cell in cells.values()]
    texts = [column for column, kind in zip(cells, kinds, strict=True) if not kind]
    return first or f"{for_text(texts)}; {SKIP}"


def kind_of(cell: Any) -> str:
    """Return the remedy for a cell; nothing for text."""
    text = cell.strip().lower() if isinstance(cell, str) else ""
    if text.lstrip("+-") in NOT_FINITE:
        return SKIP
    if DATES.fullmatch(text):
        return DATE
    return NOTATION if NUMBERS.fullmatch(text) else ""


def for_text(columns: Sequence[str]) -> str:
    """Tell how to train on a table with columns of text."""
    options = " ".join(f"--categories {shlex.quote(column)}" for column in columns[:MAX_COLUMNS])
    more = " ..." if len(columns) > MAX_COLUMNS else ""
    return f"{options}{more} learns text as categories, --hash 18 text of any number of values; {IGNORE}"


def for_header(columns: Sequence[str]) -> str:
    """Tell how to read a table without a header: names of columns that are numbers are rather its first row."""
    data = any(NUMBERS.fullmatch(column.strip().lower()) for column in columns)
    return "; if its first row is data: --no-header" if data else ""
