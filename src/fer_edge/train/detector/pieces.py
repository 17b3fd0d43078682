"""Training pieces: squares that are put together from parts of photographs at random scales.

A piece is one part, or two by two, up to four by four. Each part shows a photograph so that one of
its faces gets a random size, small sizes as often as large ones on a logarithmic scale, or keeps
about its own. In a piece of one part, large sizes come more often. A part without people may be a
random pattern.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch.utils.data import Dataset

from fer_edge.errors import DataError
from fer_edge.train.detector.batches import Piece, find_cells
from fer_edge.train.detector.choice import Chooser
from fer_edge.train.detector.config import DetectorConfig
from fer_edge.train.detector.labels import Floats, Photograph, mirror, shift
from fer_edge.train.detector.patterns import draw_pattern
from fer_edge.train.detector.photographs import CACHE_BYTES, GrayPhotographs
from fer_edge.train.detector.rotation import border, rotate_faces, rotate_part

_PARTS = ((1, 0.25), (2, 0.3), (3, 0.25), (4, 0.2))
"""Parts in a row of a piece, and how often."""
_SCALES = (0.08, 3.0)
"""Smallest and largest scale of a photograph."""
_EMPTY_SCALES = (0.3, 1.6)
"""The same of a photograph without faces."""
_NATURAL_SPREAD = 0.15
"""Standard deviation of the logarithm of the scale of a photograph that keeps about its own."""
_ANGLE = 45.0
"""By how many degrees a part is rotated at most."""
_PATTERNS = 0.25
"""How often a part shows a random pattern in place of a photograph without people."""
_CLOSE_UPS = 0.5
"""How often the size of a face in a piece of one part is drawn from the larger half, if it doesn't
keep its own."""
_MIN_LENGTH = 0.6
"""A photograph's longer side is at least this fraction of its part's side, so that a part isn't
mostly filling."""
_MIN_VISIBLE = 0.6
"""A face of which less is inside the part is unsure."""
_FILTERS = (
    *(Image.Resampling.BILINEAR,) * 3,
    Image.Resampling.BICUBIC,
    Image.Resampling.BOX,
)
_STRETCH = 0.08
"""Standard deviation of the logarithm of the ratio of both sides' scales."""


class PieceDataset(Dataset[Piece]):
    """Pieces by number: each depends on the seed and its number alone.

    Args:
        photographs: of one split.
        folder: where they are.
        config: settings of the run.

    Raises:
        DataError: no photograph shows people; on indexing: a photograph can't be read.
    """

    def __init__(
        self, photographs: Sequence[Photograph], folder: Path, config: DetectorConfig
    ) -> None:
        self.config = config
        workers = max(1, config.workers)  # each has a copy of this
        self.photographs = GrayPhotographs(folder, CACHE_BYTES // workers)
        try:
            self.chooser = Chooser(photographs, config)
        except DataError as error:
            raise DataError(f"{folder}: {error}") from None

    def __len__(self) -> int:
        return self.config.pieces

    def __getitem__(self, number: int) -> Piece:
        random = np.random.default_rng((self.config.seed, number))
        side = self.config.piece_side
        counts, chances = zip(*_PARTS, strict=True)
        rows = int(random.choice(counts, p=chances))
        edges = np.linspace(0, side, rows + 1).round().astype(int)
        pixels = np.empty((side, side), np.uint8)
        faces, unsure = [np.empty((0, 8), np.float32)], [np.empty((0, 8), np.float32)]
        for top, bottom in pairwise(edges):
            for left, right in pairwise(edges):
                part, own, is_certain = self._make_part(random, bottom - top, right - left)
                pixels[top:bottom, left:right] = part
                own = shift(own, left, top)
                faces.append(own[is_certain])
                unsure.append(own[~is_certain])
        ignored = find_cells(np.concatenate(unsure), side)
        return Piece(_change_light(pixels, random), np.concatenate(faces), ignored)

    def _make_part(
        self, random: np.random.Generator, height: int, width: int
    ) -> tuple[npt.NDArray[np.uint8], Floats, npt.NDArray[np.bool_]]:
        """Pixels uint8 `[height, width]`, faces `[N, 8]`, and which of them are certain."""
        choice = self.chooser.choose(random)
        photograph = choice.photograph
        if photograph.kind.is_background and random.random() < _PATTERNS:
            pattern = draw_pattern(random, width, height)
            return pattern, np.empty((0, 8), np.float32), np.empty(0, bool)
        image = self.photographs.read(photograph.name)
        largest = min(self.config.max_face, 0.9 * min(height, width))
        focus = np.array(image.size) * random.random(2)
        if len(choice.faces):
            x, y, w, h = photograph.boxes[random.choice(choice.faces)]
            focus = np.array([x + w / 2, y + h / 2])
            fitting = _MIN_LENGTH * max(height, width) / max(image.size) * min(w, h)
            smallest = min(max(self.config.min_face, fitting), largest)
            if width == self.config.piece_side and random.random() < _CLOSE_UPS:
                smallest = max(smallest, largest / 2)
            scale = _draw_log(random, smallest, largest) / min(w, h)
            if choice.is_natural:
                scale = math.exp(random.normal(0, _NATURAL_SPREAD))
        else:
            scale = _draw_log(random, *_EMPTY_SCALES)
        scale = float(np.clip(scale, *_SCALES))
        stretch = math.exp(random.normal(0, _STRETCH) / 2)
        scales = np.array([scale * stretch, scale / stretch])
        start = np.array(
            [
                _choose_start(random, focus[i] * scales[i], image.size[i] * scales[i], side)
                for i, side in enumerate((width, height))
            ]
        )
        is_rotated = random.random() < self.config.rotated
        angle = random.uniform(-_ANGLE, _ANGLE) if is_rotated else 0.0
        edges = np.array(border(width, height) if angle else (0, 0))
        size = (width + 2 * int(edges[0]), height + 2 * int(edges[1]))
        part = self._cut(image, scales, start - edges, size, random)
        faces = (photograph.faces * np.tile(scales, 4)).astype(np.float32)
        faces = shift(faces, *-start)
        if angle:
            part = rotate_part(part, angle)
            part = part[edges[1] : edges[1] + height, edges[0] : edges[0] + width]
            faces = rotate_faces(faces, angle, width, height)
        is_flipped = random.random() < 0.5
        if is_flipped:
            part, faces = part[:, ::-1], mirror(faces, width)
        return part, *_clip(faces, photograph.is_certain, width, height, self.config.min_face)

    def _cut(
        self,
        image: Image.Image,
        scales: Floats,
        start: Floats,
        size: tuple[int, int],
        random: np.random.Generator,
    ) -> npt.NDArray[np.uint8]:
        """A window of the scaled image, which begins at `start`; what is outside is filled."""
        ends = np.minimum(np.array(image.size) * scales - start, size)
        begins = np.maximum(0, -start)
        first, last = begins.round().astype(int), ends.round().astype(int)
        last = np.maximum(last, first + 1)
        box = np.concatenate([(first + start) / scales, (last + start) / scales])
        box = np.clip(box, 0, np.tile(image.size, 2))
        kernel = _FILTERS[random.integers(len(_FILTERS))]
        shape = (int(last[0] - first[0]), int(last[1] - first[1]))
        seen = np.asarray(image.resize(shape, kernel, box=tuple(box.tolist())))
        if shape == size:
            return seen
        part = self._fill(random, size)
        part[first[1] : last[1], first[0] : last[0]] = seen
        return part

    def _fill(self, random: np.random.Generator, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """What surrounds a small photograph: black, as the runtime pads, gray, or a background."""
        chance = random.random()
        if self.chooser.empty and chance < 0.4:
            image = self.photographs.read(self.chooser.choose_empty(random).name)
            return np.array(image.resize(size, Image.Resampling.BILINEAR))
        gray = 0 if chance < 0.7 else int(random.integers(256))
        return np.full(size[::-1], gray, np.uint8)


def _draw_log(random: np.random.Generator, low: float, high: float) -> float:
    return math.exp(random.uniform(math.log(low), math.log(high)))


def _choose_start(random: np.random.Generator, focus: float, length: float, size: int) -> float:
    """Where a window begins that shows `focus`, on a line of that length."""
    start = focus - random.uniform(0.1, 0.9) * size
    low, high = min(0.0, length - size), max(0.0, length - size)
    return random.uniform(low, high) if length < size else float(np.clip(start, low, high))


def _clip(
    faces: Floats, is_certain: npt.NDArray[np.bool_], width: int, height: int, min_face: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Clip boxes to a part; drop those outside; small and hidden ones are unsure."""
    size = np.array([width, height], np.float32)
    first, last = faces[:, :2].clip(0, size), (faces[:, :2] + faces[:, 2:4]).clip(0, size)
    seen = (last - first).prod(1) / faces[:, 2:4].prod(1).clip(1e-6)
    clipped = np.concatenate([first, last - first, faces[:, 4:]], 1)
    is_certain = is_certain & (seen >= _MIN_VISIBLE)
    is_certain &= clipped[:, 2:4].min(1, initial=np.inf) >= min_face
    return clipped[seen > 0.1], is_certain[seen > 0.1]


def _change_light(
    pixels: npt.NDArray[np.uint8], random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Change brightness and contrast of half of the pieces."""
    if random.random() < 0.5:
        return pixels
    middle = float(pixels.mean())
    values = np.arange(256) - middle
    table = values * random.uniform(0.5, 1.4) + middle + random.uniform(-50, 50)
    return table.round().clip(0, 255).astype(np.uint8)[pixels]
