include "float64.pxi"
