"""Synthetic photographs with drawn faces, and their labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fer_edge.train.detector.labels import write_labels

COUNTS = {"web": 6, "crowd": 2, "animal": 2, "texture": 2}
"""Photographs of each kind in train; in val there is half of each."""


def draw_photograph(
    random: np.random.Generator, faces: int, size: tuple[int, int] = (160, 128)
) -> tuple[Image.Image, list[list[float]]]:
    """A gray photograph with faces in a row, and their rows: box, eyes, score, marked."""
    noise = random.integers(60, 120, size[::-1]).astype(np.uint8)
    image = Image.fromarray(noise)
    draw, rows = ImageDraw.Draw(image), []
    for i in range(faces):
        width = float(random.uniform(24, 40))
        height = 1.25 * width
        x = 8 + i * size[0] / max(1, faces) + random.uniform(0, 4)
        y = random.uniform(8, size[1] - height - 8)
        draw.ellipse((x, y, x + width, y + height), fill=230)
        eyes = [x + 0.3 * width, y + 0.4 * height, x + 0.7 * width, y + 0.4 * height]
        for ex, ey in (eyes[:2], eyes[2:]):
            r = 0.09 * width
            draw.ellipse((ex - r, ey - r, ex + r, ey + r), fill=10)
        mouth = (x + 0.3 * width, y + 0.7 * height, x + 0.7 * width, y + 0.78 * height)
        draw.rectangle(mouth, fill=40)
        rows.append([x, y, width, height, *eyes, 1.0, 1.0])
    return image, rows


def write_photographs(folder: Path, counts: dict[str, int] | None = None) -> Path:
    """Write photographs of both splits below `folder`, and their labels; returns the labels."""
    random, labels = np.random.default_rng(0), {}
    for split, part in (("train", 1), ("val", 2)):
        for kind, count in (counts or COUNTS).items():
            for i in range(max(1, count // part)):
                faces = {"web": 1, "crowd": 3}.get(kind, 0)
                image, rows = draw_photograph(random, faces)
                name = f"{split}/{kind}/{kind}-{i}.png"
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                image.save(folder / name)
                labels[name] = rows
    write_labels(labels, folder / "labels.json")
    return folder / "labels.json"
