"""Where does the time of a training step go?

python -m benchmarks.training_step [ARCHITECTURE [SIDE]]

Medians of 20 steps of 64 faces. The percentages carry over to other machines, the times don't.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict

import torch
from torch.nn.functional import cross_entropy

from fer_edge.spec import InputSpec
from fer_edge.train.augment import DRAWS, augment
from fer_edge.train.corrupt import corrupt
from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.networks.classifier import MEAN, STD, build_classifier
from fer_edge.train.ranges import Augmentation, Corruption

BATCH, WARM_UP, STEPS = 64, 3, 20

name = sys.argv[1] if len(sys.argv) > 1 else "mobilenet_v2"
side = int(sys.argv[2]) if len(sys.argv) > 2 else ARCHITECTURES[name].side
model = build_classifier(name, 7, InputSpec(48, side, MEAN, STD)).train()
model = model.to(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
faces = torch.randint(0, 256, (BATCH, 48, 48), dtype=torch.uint8)
labels = torch.randint(0, 7, (BATCH,))


def step() -> dict[str, float]:
    """Take one step and return the seconds of each part."""
    marks = [time.perf_counter()]
    pixels = augment(faces, Augmentation(), torch.rand(BATCH, DRAWS))
    marks.append(time.perf_counter())
    pixels = corrupt(pixels, Corruption()).contiguous(memory_format=torch.channels_last)
    marks.append(time.perf_counter())
    loss = cross_entropy(model.forward_pixels(pixels), labels)
    marks.append(time.perf_counter())
    optimizer.zero_grad()
    loss.backward()
    marks.append(time.perf_counter())
    optimizer.step()
    marks.append(time.perf_counter())
    parts = ("augment", "corrupt", "forward", "backward", "optimiser")
    return {part: end - start for part, start, end in zip(parts, marks, marks[1:], strict=False)}


times: dict[str, list[float]] = defaultdict(list)
for number in range(WARM_UP + STEPS):
    taken = step()
    if number >= WARM_UP:
        for part, seconds in taken.items():
            times[part].append(seconds)
medians = {part: statistics.median(values) for part, values in times.items()}
total = sum(medians.values())
print(f"{name} at {side} px, {torch.get_num_threads()} threads: {BATCH / total:.0f} images/s")
for part, seconds in medians.items():
    print(f"  {part:<9} {1e3 * seconds:6.1f} ms  {seconds / total:5.1%}")
