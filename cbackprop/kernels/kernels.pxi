# The compiled half of cbackprop, in reading order. float32.pxi and float64.pxi define `real` and include this; each is
# compiled once for each instruction set, as variant_precision.
include "one_sample_api.pxi"        # what cbackprop._one_sample calls
include "elementary.pxi"            # the vector type, exp and log1p
include "vector.pxi"                # dot, axpy and reductions
include "equations.pxi"             # (1) to (18)
include "rows.pxi"                  # the same on rows wider than a vector
include "hidden.pxi"                # the hidden function: h and its derivative
include "output.pxi"                # the output: y, E_n and its error
include "samples.pxi"               # what is learned from
include "network.pxi"               # weights and the symbols of one sample
include "direct.pxi"                # engine: sample after sample, in the article's order
include "samples_in_lanes.pxi"      # engine: batches of tiny networks, one sample in each lane
include "sparse.pxi"                # engine: sparse rows, on the user's own arrays
include "matrix.pxi"                # products of matrices in register tiles
include "panels.pxi"                # the weights of a layer, units side by side
include "blocked.pxi"               # engine: blocks of samples as products of matrices
include "fused.pxi"                 # the same engine's blocks of one sample, for few units
include "batches.pxi"               # the same engine's mini-batches and forward passes
include "bindings.pxi"              # what Python calls
include "equation_bindings.pxi"     # the equations one by one
