"""Docstrings that share what they have in common: a function says what is special, the rest comes from another one."""

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

SECTIONS = ("Parameters", "Returns", "Raises", "Notes", "Examples")

Described = TypeVar("Described", bound=Callable[..., Any])


def inherits(source: Any) -> Callable[[Described], Described]:
    """Complete a docstring by the parameters and sections of `source` that it lacks, but for notes and examples.

    Parameters have the order of the signature; those that the function does not take are left out.
    """

    def complete(described: Described) -> Described:
        own, inherited = sections(described), sections(source)
        parts = {name: inherited[name] for name in ("Parameters", "Returns", "Raises") if name in inherited} | own
        if "Parameters" in inherited:
            entries = parameters(inherited["Parameters"]) | parameters(own.get("Parameters", ""))
            by_name = {names.partition(",")[0].lstrip("*"): entry for names, entry in entries.items()}
            taken = [name for name in inspect.signature(described).parameters if name in by_name]
            parts["Parameters"] = "\n".join(by_name[name] for name in taken)
        found = [f"{name}\n{'-' * len(name)}\n{parts[name]}" for name in SECTIONS if name in parts]
        described.__doc__ = "\n\n".join([own[""], *found])
        return described

    return complete


def sections(described: Any) -> dict[str, str]:
    """The sections of a docstring by their titles; "" is what comes before the first."""
    first, *rest = re.split(r"\n\n(\w+)\n-+\n", inspect.getdoc(described) or "")
    return {"": first} | dict(zip(rest[::2], rest[1::2], strict=True))


def parameters(section: str) -> dict[str, str]:
    """The entries of a section by the names, or the list of names, that they begin with."""
    return {entry.partition(" :")[0].partition("\n")[0]: entry for entry in re.split(r"\n(?=\S)", section) if entry}
