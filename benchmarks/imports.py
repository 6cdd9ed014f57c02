"""What it costs to begin: the import by itself, and a process that imports and ends. NumPy's own beside them."""

import subprocess
import sys


class Import:
    params = (["numpy", "cbackprop"],)
    param_names = ("module",)
    number = 1
    repeat = 10

    def timeraw_import(self, module):
        return f"import {module}"

    def time_fresh_process(self, module):
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
