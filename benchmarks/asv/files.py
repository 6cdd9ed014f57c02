"""Writing and reading a model file."""

import tempfile
from pathlib import Path

from benchmarks.work import sizes
from cbackprop import Network

from .suite import DTYPES, ShortBenchmark


class ModelFile(ShortBenchmark):
    params = (["64-32-10", "784-1024-10"], DTYPES)
    param_names = ("shape", "dtype")

    def setup(self, shape, dtype):
        self.network = Network(*sizes(shape), dtype=dtype, rng=0)
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "model.safetensors"
        self.network.save(self.path)

    def teardown(self, shape, dtype):
        self.folder.cleanup()

    def time_save(self, shape, dtype):
        self.network.save(self.path)

    def time_load(self, shape, dtype):
        Network.load(self.path)
