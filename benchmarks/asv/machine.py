"""Describe this machine to asv under the name of its results: `python -m benchmarks.asv.machine NAME`."""

import platform
import sys

if __name__ == "__main__":
    from asv.machine import Machine, MachineCollection

    name = sys.argv[1]
    MachineCollection.save(name, Machine.get_defaults() | {"machine": name, "os": platform.system()})
