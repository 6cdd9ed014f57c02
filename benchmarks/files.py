"""A model file: written, and read again."""

import tempfile
from pathlib import Path

from cbackprop import Network

from .suite import Short


class ModelFile(Short):
    params = (["64-32-10", "784-1024-10"],)
    param_names = ("shape",)

    def setup(self, shape):
        self.network = Network(*map(int, shape.split("-")), rng=0)
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "model.safetensors"
        self.network.save(self.path)

    def teardown(self, shape):
        self.folder.cleanup()

    def time_save(self, shape):
        self.network.save(self.path)

    def time_load(self, shape):
        Network.load(self.path)
