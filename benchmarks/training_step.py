"""Where a training step's time goes: python benchmarks/training_step.py [ARCHITECTURE [SIDE]]

Medians of 20 steps of 64 faces; the shares count, the milliseconds are this machine's.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
from torch.nn.functional import cross_entropy

from fer_edge.spec import InputSpec
from fer_edge.train.augment import Augmentation
from fer_edge.train.model import ARCHITECTURES, MEAN, STD, build
from fer_edge.train.small_maps import SmallMaps

BATCH, WARM_UP, STEPS = 64, 3, 20

name = sys.argv[1] if len(sys.argv) > 1 else "mobilenet_v2"
side = int(sys.argv[2]) if len(sys.argv) > 2 else ARCHITECTURES[name].side
model = build(name, 7, InputSpec(48, side, MEAN, STD)).train()
model = model.to(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
augment = Augmentation()
faces = torch.randint(0, 256, (BATCH, 48, 48), dtype=torch.uint8)
labels = torch.randint(0, 7, (BATCH,))
times: dict[str, list[float]] = {"augment": [], "forward": [], "backward": [], "optimiser": []}
for step in range(WARM_UP + STEPS):
    marks = [time.perf_counter()]
    pixels = augment(faces).contiguous(memory_format=torch.channels_last)
    marks.append(time.perf_counter())
    with SmallMaps():
        loss = cross_entropy(model.from_pixels(pixels), labels)
    marks.append(time.perf_counter())
    optimizer.zero_grad()
    loss.backward()
    marks.append(time.perf_counter())
    optimizer.step()
    marks.append(time.perf_counter())
    if step >= WARM_UP:
        for part, start, end in zip(times.values(), marks, marks[1:], strict=False):
            part.append(end - start)
medians = {part: statistics.median(values) for part, values in times.items()}
total = sum(medians.values())
print(f"{name} at {side} px, {torch.get_num_threads()} threads: {BATCH / total:.0f} images/s")
for part, seconds in medians.items():
    print(f"  {part:<9} {1e3 * seconds:6.1f} ms  {seconds / total:5.1%}")
