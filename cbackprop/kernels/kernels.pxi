include "exponential.pxi"
include "equations.pxi"
include "direct.pxi"
include "doors.pxi"
