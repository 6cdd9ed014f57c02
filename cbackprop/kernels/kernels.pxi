# The compiled half of cbackprop, in reading order. float32.pxi and float64.pxi say what real is and include this;
# each is compiled once for each instruction set, as variant_precision.
include "exponential.pxi"       # lanes, e^x and log(1 + x)
include "equations.pxi"         # (1) to (18)
include "direct.pxi"            # engine: sample after sample, in the article's order
include "side_by_side.pxi"      # engine: batches of tiny networks, one sample in each lane
include "blocked.pxi"           # engine: blocks of samples as products of matrices
include "doors.pxi"             # what Python calls
include "equation_doors.pxi"    # the equations one by one
