"""Speed: the asv suite (kernels, epoch, one_sample, imports) and two scripts, compare and engines. See README.md."""
