"""Write sensor.h, a network that learns a sensor, and readings.h, what follows."""

import numpy as np

from cbackprop import Network, export_c

HOURS, KNOWN = 5000, 1000

rng = np.random.default_rng(0)
hours = np.arange(HOURS)
drift = np.maximum(0, hours - KNOWN) / (HOURS - KNOWN)  # begins with the device
wave = (3 + 4 * drift) * np.sin(2 * np.pi * hours / 24 * (1 + drift / 8))
readings = 20 + 10 * drift + wave + rng.normal(scale=0.2, size=HOURS)
readings = readings.astype(np.float32)

network = Network(
    24,
    16,
    1,
    output="linear",
    hidden="tanh",
    learning_rate=0.01,
    dtype="float32",
    rng=0,
)
for n in range(24, KNOWN):
    x = (readings[n - 24 : n] - readings[n - 1]) / 5
    network.learn_one(x, (readings[n] - readings[n - 1]) / 5)

export_c(network, "sensor.h", name="sensor")
rest = readings[KNOWN - 24 :]
numbers = ",\n".join(map("    {:.3f}f".format, rest))
with open("readings.h", "w", encoding="ascii") as file:
    file.write(f"static const float readings[{len(rest)}] = {{\n{numbers}\n}};\n")
