# The compiled half of cbackprop, in reading order. float32.pxi and float64.pxi define `real` and include this; each is
# compiled once for each instruction set, as variant_precision.
include "elementary.pxi"            # the vector type, exp and log1p
include "vector.pxi"                # dot and reductions
include "equations.pxi"             # (1) to (18)
include "functions.pxi"             # the catalog of hidden functions and outputs
include "rules.pxi"                 # what becomes of a gradient: penalty, momentum, row-wise AdaGrad
include "samples.pxi"               # what is learned from
include "network.pxi"               # weights and the symbols of one sample
include "one_sample_api.pxi"        # calls for one sample, as cbackprop._one_sample sees them
include "array_bindings.pxi"        # samples and weights, as Python passes them
include "bindings.pxi"              # what Python calls
include "direct.pxi"                # engine: sample after sample, in the article's order
include "samples_in_lanes.pxi"      # engine: batches of tiny networks, one sample in each lane
include "sparse.pxi"                # engine: sparse rows
include "units.pxi"                 # one sample with units side by side in vectors
include "matrix.pxi"                # products of matrices in register tiles
include "panels.pxi"                # the weights of a layer, units side by side
include "blocked.pxi"               # engine: blocks of samples as products of matrices
include "batches.pxi"               # the same engine's mini-batches and forward passes
include "lanes.pxi"                 # engine: few units, in vectors; several networks at once
include "networks_in_lanes.pxi"     # the same engine's small networks, one in each lane
include "one_sample.pxi"            # calls for one sample
include "equation_bindings.pxi"     # the equations one by one
