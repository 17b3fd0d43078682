"""Synthetic faces, and small data sets in the formats of FER2013 and FER+."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_edge.train.data.ferplus import COLUMNS

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")


def draw_face(label: int, seed: int) -> np.ndarray:
    """A synthetic face, uint8 [48, 48]: the stripes' angle gives the label, the seed the noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:48, 0:48] / 47
    angle = np.pi * label / 7
    stripes = np.sin(24 * (x * np.cos(angle) + y * np.sin(angle)) + random.uniform(0, 6))
    return np.clip(128 + 80 * stripes + random.normal(0, 20, x.shape), 0, 255).astype(np.uint8)


def csv_row(label: object, face: np.ndarray, usage: str) -> str:
    """A row of fer2013.csv."""
    return f"{label},{' '.join(map(str, face.ravel().tolist()))},{usage}"


def draw_rows(*counts: int) -> list[str]:
    """Rows of fer2013.csv: `counts` faces of each of 7 labels in train, val and test."""
    return [
        csv_row(label, draw_face(label, 1000 * split + 10 * label + i), usage)
        for split, (usage, count) in enumerate(zip(USAGES, counts, strict=True))
        for label in range(7)
        for i in range(count)
    ]


def write_csv(rows: list[str], path: Path) -> Path:
    """Write a fer2013.csv of these rows."""
    path.write_text("\n".join(["emotion,pixels,Usage", *rows, ""]))
    return path


def write_votes(path: Path, counts: tuple[int, ...] = (42, 14, 14), happiness: str = "1") -> Path:
    """Write FER+'s fer2013new.csv for as many faces in train, val and test."""
    lines = [f"Usage,Image name,{','.join(COLUMNS)}"]
    for usage, count in zip(USAGES, counts, strict=True):
        lines += [
            f"{usage},fer{i:07}.png,0,{i % 9},0,0,{happiness},0,0,0,0,{10 * (i == 3)}"
            for i in range(count)
        ]
    path.write_text("\n".join(lines))
    return path
