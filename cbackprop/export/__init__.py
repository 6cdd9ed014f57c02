"""Export to C: a network in one file, which goes on learning where Python stopped.

`template.h` is that file for a network called "network" in float64. Lines ``#if`` that name functions or settings are
resolved here, and what C knows stays.
"""

import json
import os
import re
import textwrap
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from .. import _validation as validate
from .._network import Network
from ..files.atomic import atomic_write, writable_path
from ..files.model_file import encode

TARGETS = {
    "softmax": "probabilities of the classes, which sum to 1",
    "linear": "any finite numbers",
    "logistic": "probabilities of the labels, each in [0, 1]",
}
KEYWORDS = (  # of C11 and C++20
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class co_await co_return co_yield "
    "compl concept const const_cast consteval constexpr constinit continue decltype default delete do double "
    "dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace "
    "new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires "
    "restrict return short signed sizeof static static_assert static_cast struct switch template this thread_local "
    "throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq"
)


def export_c(
    network: Network, path: str | os.PathLike[str], *, name: str = "network", predict_only: bool = False
) -> None:
    """Export a network to C: one header that predicts and learns as the network does, without this library.

    The header needs C99 or C++17, no library but the square root of adaptive rates, and no memory but its arrays and
    the stack. One file of the program defines ``NETWORK_IMPLEMENTATION`` before it includes the header. With T for the
    dtype of the weights, float or double, it declares

    - ``void network_predict(const T *x, T *y)``: the outputs y (K,) for the inputs x (D,).
    - ``T network_learn(const T *x, const T *t, T learning_rate)``: one update (17) with the targets t (K,), as
      `Network.learn_one`. Returns E_n before it or, where that would raise, NaN.
    - ``size_t network_save(unsigned char *buffer)``: writes the ``NETWORK_SAVE_SIZE`` bytes of a file that
      `Network.load` takes, with the learning rate of the export.
    - the sizes ``NETWORK_D``, ``NETWORK_M`` and ``NETWORK_K``, the rate ``NETWORK_LEARNING_RATE``, and the arrays
      ``network_w``, ``network_v`` and, if rates adapt, ``network_s_w`` and ``network_s_v``. A network that standardizes
      does so in C, too, by ``network_input_statistics`` and, with linear outputs, ``network_target_statistics``: arrays
      of double, with means, variances and counts.

    Parameters
    ----------
    network : Network
        The network, whose weights, rates and sums of squares are copied without rounding.
    path : path-like
        File to write. An existing file is replaced atomically.
    name : str
        What all names in the header begin with, macros in capitals: letters, digits and single underscores.
    predict_only : bool
        Whether to leave out ``network_learn`` and ``network_save``; the weights are constants then.

    Raises
    ------
    OSError
        If the file cannot be written. An existing file is unchanged.

    Notes
    -----
    In float64, with up to four outputs, results have the bits of the direct engine with the baseline kernels of x86-64,
    unless the compiler fuses products and sums. Others agree to rounding.

    Examples
    --------
    >>> import cbackprop, tempfile, pathlib
    >>> network = cbackprop.Network(2, 3, 2, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "xor.h"
    ...     cbackprop.export_c(network, path, name="xor_gate")
    ...     "double xor_gate_learn(" in path.read_text()
    True
    """
    if not isinstance(network, Network):
        raise TypeError(
            f"network is of type {type(network).__name__}; it must be a Network: export one of an ensemble, "
            f"ensemble[r], or the network_ of an estimator"
        )
    name = identifier(name)
    predict_only = validate.flag("predict_only", predict_only)
    path = writable_path("path", path)
    atomic_write(path, source(network, name, predict_only).encode())


def identifier(name: Any) -> str:
    """Check that names of C may begin with this one; two underscores in a row are reserved."""
    if not isinstance(name, str):
        raise TypeError(f"name is {name!r}; it must be a string")
    if not re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*", name, re.ASCII) or name in KEYWORDS.split():
        raise ValueError(
            f"name is {name!r}; it must be a C identifier, no keyword: letters, digits and single underscores between "
            f"them, first a letter"
        )
    return name


def source(network: Network, name: str, predict_only: bool) -> str:
    """The header for a network."""
    saved = encode(network._model())
    header = saved[: 8 + int.from_bytes(saved[:8], "little")]
    flags = {network.hidden, network.output, str(network.dtype)}
    if not predict_only:
        flags |= {"learn", "adaptive" if network.adaptive else "constant"}
    numbers: dict[str, Any] = {"w": network.w, "v": network.v, "s_w": None, "s_v": None}
    numbers["s_w"], numbers["s_v"] = network.accumulators or (None, None)
    if network._standardization is None:
        flags.add("plain")
    else:  # a file has numbers of 64 bits first, and else those of one size by name
        flags |= {"standardized", network.missing, "wide" if network.dtype == np.float32 else "same"}
        numbers["input_statistics"], targets = network._standardization.statistics
        if targets.size:
            flags.add("targets")
            numbers["target_statistics"] = targets
    template = choose(files(__name__).joinpath("template.h").read_text(encoding="utf-8"), flags)
    if network.dtype == np.float32:
        template = template.replace("double", "float").replace("uint64_t", "uint32_t").replace("sqrt(", "sqrtf(")
    for token, word in (("REAL64", "double"), ("ROOT64(", "sqrt("), ("UINT64", "uint64_t")):  # in float32, too
        template = template.replace(token, word)
    template = template.replace("network_", f"{name}_").replace("NETWORK_", f"{name.upper()}_")
    return Template(template).substitute(
        {key: initializer(array) for key, array in numbers.items() if array is not None},
        D=network.w.shape[1] - 1,
        M=len(network.w),
        K=len(network.v),
        name=name,
        hidden=network.hidden,
        output=network.output,
        targets=TARGETS[network.output],
        const="const " if predict_only else "",
        learning_rate=literal(network.dtype.type(network.learning_rate)),
        save_size=len(saved),
        header=c_string(header),
    )


def choose(template: str, flags: set[str]) -> str:
    """Resolve the conditions of the template that consist of names, one of which must be among the flags."""
    kept: list[str] = []
    open_conditions: list[bool | None] = []  # whether each holds; None if it is left to C
    for line in template.splitlines(keepends=True):
        condition = re.match(r"#if ([A-Z0-9 |]+)$", line)
        if condition:
            open_conditions.append(not flags.isdisjoint(condition[1].lower().split(" || ")))
        elif line.startswith("#if"):
            open_conditions.append(None)
        ours = condition or (line.startswith("#endif") and open_conditions[-1] is not None)
        if not ours and False not in open_conditions:
            kept.append(line)
        if line.startswith("#endif"):
            open_conditions.pop()
    return re.sub(r"\n{3,}", "\n\n", "".join(kept))


def initializer(array: np.ndarray) -> str:
    """The numbers of an array, each row of a matrix in braces."""
    if array.ndim == 2:
        return ",\n".join(wrap(f"{{{', '.join(map(literal, row))}}}") for row in array)
    return wrap(", ".join(map(literal, array)))


def wrap(text: str) -> str:
    """Indented lines."""
    return textwrap.fill(text, 120, initial_indent="    ", subsequent_indent="     ")


def literal(number: np.floating) -> str:
    """A number in hexadecimal, which is exact."""
    return re.sub(r"\.?0*p", "p", float(number).hex()) + ("f" if number.dtype == np.float32 else "")


def c_string(header: bytes) -> str:
    """The header of a safetensors file, eight bytes of its length and JSON, as a string in C; its names are sorted."""
    names = json.loads(header[8:])
    text = json.dumps(names, sort_keys=True, separators=(",", ":")).ljust(len(header) - 8)
    length = "".join(f"\\{byte:03o}" for byte in header[:8])
    lines = [line.replace("\\", "\\\\").replace('"', '\\"') for line in re.findall(".{1,80}", text)]
    return "\n".join(f'        "{line}"' for line in [length, *lines])
