"""Files: atomic writes, model files and checkpoints."""
