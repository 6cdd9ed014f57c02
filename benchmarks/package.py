"""What it costs to have cbackprop: the import in a fresh process, beside NumPy's, and the bytes a wheel unpacks to."""

from . import footprint


class Import:
    params = (["numpy", "cbackprop"],)
    param_names = ("module",)
    number = 1
    rounds = 1
    repeat = 7

    def timeraw_import(self, module):
        return f"import {module}"


class Size:
    """What is installed: compiled modules, Python and stubs. The wheel is this, compressed."""

    def track_installed(self):
        return footprint.own_size()

    track_installed.unit = "bytes"
