"""Print what the network adds to a program, and genann with GENANN=FOLDER."""

import re
import subprocess
import sys

LEARNERS = {
    "network": "exported C, float",
    "genann_double": "genann, double",
    "genann_float": "genann, float",
}


def run(*command: str) -> str:
    """Run a command; return what it prints, QEMU to standard error."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def make(target: str) -> str:
    """Run make, with the variables of this command."""
    return run("make", "--silent", target, *sys.argv[1:])


def sizes(learner: str) -> tuple[int, int]:
    """Bytes of a program in flash, with the initial data, and in memory."""
    make(f"{learner}.elf")
    _, line = run("arm-none-eabi-size", f"{learner}.elf").splitlines()
    code, data, zeros = map(int, line.split()[:3])
    return code + data, data + zeros


print("| | flash | memory | instructions of an update |")
print("|---|---|---|---|")
others = sizes("nothing")
for learner, name in LEARNERS.items():
    if learner == "network" or len(sys.argv) > 1:
        pairs = zip(sizes(learner), others, strict=True)
        cells = [f"{(size - other) / 1000:.1f} kB" for size, other in pairs]
        instructions = re.search(r"update: (\d+)", make(f"run-{learner}"))[1]
        print(f"| {name} | {' | '.join(cells)} | {int(instructions):,} |")
