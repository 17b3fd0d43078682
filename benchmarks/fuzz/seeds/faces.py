"""A small FER2013, FER+'s votes for it, and folders of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.fuzz.seeds.models import LABELS
from fer_edge.train.data.ferplus import COLUMNS

USAGES = ("Training", "PublicTest", "PrivateTest")
_SIDE = 48


def make_csv() -> bytes:
    """`fer2013.csv` with one face of each label in each split."""
    random = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for usage, count in zip(USAGES, (7, 7, 7), strict=True):
        for i in range(count):
            pixels = random.integers(0, 256, _SIDE * _SIDE)
            lines.append(f"{i % len(LABELS)},{' '.join(map(str, pixels))},{usage}")
    return ("\n".join(lines) + "\n").encode()


def make_votes() -> bytes:
    """`fer2013new.csv` with votes for the same rows."""
    random = np.random.default_rng(1)
    lines = [f"Usage,Image name,{','.join(COLUMNS)}"]
    for usage, count in zip(USAGES, (7, 7, 7), strict=True):
        for i in range(count):
            votes = random.multinomial(10, [1 / len(COLUMNS)] * len(COLUMNS))
            lines.append(f"{usage},fer{i:07}.png,{','.join(map(str, votes))}")
    return ("\n".join(lines) + "\n").encode()


def write_csv(folder: Path) -> Path:
    """Write `make_csv()` to `folder`."""
    path = folder / "fer2013.csv"
    path.write_bytes(make_csv())
    return path
