"""What it costs to have cbackprop: the import in a fresh process, beside NumPy's, and the bytes of a wheel."""

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
    """Compiled modules, Python and stubs: installed, and zipped as in a wheel."""

    def track_installed(self):
        return footprint.own_size()

    def track_wheel(self):
        return footprint.wheel_size()

    track_installed.unit = track_wheel.unit = "bytes"
