"""The equations and engines, compiled once for each instruction set and precision.

`kernels.pxi` lists the sources in reading order; a module ``variant_precision`` is one line that includes them.
`cbackprop._dispatch` chooses among them.
"""
