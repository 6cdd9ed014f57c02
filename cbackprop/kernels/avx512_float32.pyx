include "float32.pxi"
