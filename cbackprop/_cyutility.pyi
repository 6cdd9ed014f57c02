# What Cython's memoryviews need, shared by all compiled modules
