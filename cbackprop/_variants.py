"""The instruction sets that the kernels are compiled for. setup.py reads this file alone, without the package."""

from typing import NamedTuple

# GCC would take some sums of products without FMA, where it expects that to be faster, and they would round otherwise.
FMA = ("-mfma", "--param=avoid-fma-max-bits=0")


class Variant(NamedTuple):
    """An instruction set."""

    bytes: int  # of a vector
    features: tuple[str, ...]  # of x86-64 that it needs, as NumPy names them; the one without runs on every processor
    gcc: tuple[str, ...]  # flags of GCC and Clang
    msvc: tuple[str, ...]
    narrow: str | None = None  # the variant whose narrower vectors, where it runs, suit small networks


VARIANTS = {  # the best first
    "avx512": Variant(
        64,
        ("AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL", "AVX2", "FMA3"),
        ("-mavx512f", "-mavx512cd", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", *FMA),
        ("/arch:AVX512",),
        narrow="avx2",
    ),
    "avx2": Variant(32, ("AVX2", "FMA3"), ("-mavx2", *FMA), ("/arch:AVX2",)),
    "baseline": Variant(16, (), (), ()),
}
