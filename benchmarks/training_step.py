"""Where a training step's time goes: python -m benchmarks.training_step [ARCHITECTURE [SIDE]]

Medians of 20 steps of 64 faces; the shares count, the milliseconds are this machine's. Every step
is taken twice, in turns with and without `SmallMaps`, whose gain is the last line.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections import defaultdict

import torch
from torch.nn.functional import cross_entropy

from fer_edge.spec import InputSpec
from fer_edge.train.augment import augment
from fer_edge.train.config import Augmentation
from fer_edge.train.networks.architectures import MEAN, STD, build
from fer_edge.train.networks.registry import ARCHITECTURES
from fer_edge.train.small_maps import SmallMaps

BATCH, WARM_UP, STEPS = 64, 3, 20

name = sys.argv[1] if len(sys.argv) > 1 else "mobilenet_v2"
side = int(sys.argv[2]) if len(sys.argv) > 2 else ARCHITECTURES[name].side
model = build(name, 7, InputSpec(48, side, MEAN, STD)).train()
model = model.to(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
faces = torch.randint(0, 256, (BATCH, 48, 48), dtype=torch.uint8)
labels = torch.randint(0, 7, (BATCH,))


def step(larger: bool) -> dict[str, float]:
    """Seconds of each part."""
    marks = [time.perf_counter()]
    pixels = augment(faces, Augmentation()).contiguous(memory_format=torch.channels_last)
    marks.append(time.perf_counter())
    with SmallMaps() if larger else contextlib.nullcontext():
        loss = cross_entropy(model.from_pixels(pixels), labels)
    marks.append(time.perf_counter())
    optimizer.zero_grad()
    loss.backward()
    marks.append(time.perf_counter())
    optimizer.step()
    marks.append(time.perf_counter())
    parts = ("augment", "forward", "backward", "optimiser")
    return {part: end - start for part, start, end in zip(parts, marks, marks[1:], strict=False)}


times: dict[str, list[float]] = defaultdict(list)
ratios = []
for number in range(WARM_UP + STEPS):
    plain, taken = step(False), step(True)
    if number >= WARM_UP:
        ratios.append(sum(plain.values()) / sum(taken.values()))
        for part, seconds in taken.items():
            times[part].append(seconds)
medians = {part: statistics.median(values) for part, values in times.items()}
total = sum(medians.values())
print(f"{name} at {side} px, {torch.get_num_threads()} threads: {BATCH / total:.0f} images/s")
for part, seconds in medians.items():
    print(f"  {part:<9} {1e3 * seconds:6.1f} ms  {seconds / total:5.1%}")
print(f"without SmallMaps: {statistics.median(ratios):.2f} times as long")
