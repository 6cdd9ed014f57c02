"""Import time in a fresh process, compared with NumPy's, and the size of a wheel, packed and unpacked."""

from benchmarks import footprint


class Import:
    params = (["numpy", "cbackprop"],)
    param_names = ("module",)
    number = 1
    rounds = 1
    repeat = 7

    def timeraw_import(self, module):
        return f"import {module}"


class Size:
    """Bytes of the compiled modules, Python files and stubs, installed and zipped as in a wheel."""

    def track_installed(self):
        return footprint.own_size()

    def track_wheel(self):
        return footprint.wheel_size()

    track_installed.unit = track_wheel.unit = "bytes"
