"""Clips made from photographs: a camera moves over them, the light changes, shots follow shots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.runtime.preprocess import Box

MAX_SIDE = 1280
"""Longer side, in pixels, to which photographs are shrunk."""
JITTER = 0.002
"""Of a camera in a hand: standard deviation of its place in each frame, in widths of the frame."""

Random: TypeAlias = np.random.Generator


@dataclass(frozen=True)
class Photograph:
    """A photograph, RGB, and its faces."""

    image: Image.Image
    boxes: Sequence[Box] = ()


@dataclass(frozen=True)
class View:
    """What a frame shows of a photograph.

    Attributes:
        x, y: of the centre, as fractions of the photograph's width and height.
        width: fraction of the photograph's width.
        gain: brightness is multiplied by it.
        noise: standard deviation, in gray levels.
        cover: of something dark that walks past: where its left end is, in widths of the frame.
    """

    x: float
    y: float
    width: float
    gain: float = 1.0
    noise: float = 2.0
    cover: float | None = None


@dataclass(frozen=True)
class ClipFrame:
    """A frame and what is in it.

    Attributes:
        image: RGB.
        faces: the box of each face that is whole in it, by shot and number in the photograph.
        is_cut: whether it is the first of its shot.
        movement: name of what the camera and the light do.
    """

    image: Image.Image
    faces: Mapping[tuple[int, int], Box]
    is_cut: bool
    movement: str


def _still(view: View, _: int, __: int) -> View:
    return view


def _pan(speed: float) -> Callable[[View, int, int], View]:
    """`speed` is in widths of the frame for each frame."""
    return lambda view, i, n: replace(view, x=view.x + (i - n / 2) * speed * view.width)


def _zoom(view: View, i: int, n: int) -> View:
    return replace(view, width=view.width * 1.02 ** (i - n / 2))


def _dim(view: View, i: int, n: int) -> View:
    return replace(view, gain=1.3 - 0.8 * i / n)


def _switch(view: View, i: int, n: int) -> View:
    return replace(view, gain=0.55 if i >= n // 2 else 1.0)


def _flash(view: View, i: int, n: int) -> View:
    return replace(view, gain=1.8 if i == n // 2 else 1.0)


def _noise(view: View, _: int, __: int) -> View:
    return replace(view, noise=20.0)


def _passer(view: View, i: int, n: int) -> View:
    return replace(view, cover=-0.4 + 1.4 * i / n)


MOVEMENTS: dict[str, Callable[[View, int, int], View]] = {
    "hand": _still,
    "slow pan": _pan(0.005),
    "pan": _pan(0.02),
    "fast pan": _pan(0.06),
    "zoom": _zoom,
    "dimmed": _dim,
    "light off": _switch,
    "flash": _flash,
    "noise": _noise,
    "passer-by": _passer,
}
"""What a shot does: from its middle view, a frame's number and the number of frames to the view."""


@dataclass(frozen=True)
class Shot:
    """One take: `length` frames of a photograph, seen around `view`."""

    photograph: Photograph
    view: View
    movement: str
    length: int


@dataclass(frozen=True)
class Clip:
    """Shots one after the other, in frames of `size` pixels."""

    shots: Sequence[Shot]
    size: tuple[int, int]
    seed: int = 0
    kind: str = field(default="")

    def frames(self) -> Iterator[ClipFrame]:
        """Each frame; the same ones in each call."""
        random = np.random.default_rng(self.seed)
        for number, shot in enumerate(self.shots):
            for i in range(shot.length):
                view = MOVEMENTS[shot.movement](shot.view, i, shot.length)
                window = _window(shot.photograph.image, view, self.size, random)
                image = _render(shot.photograph.image, window, view, self.size, random)
                faces = {
                    (number, k): box
                    for k, one in enumerate(shot.photograph.boxes)
                    if (box := _place(one, window, self.size))
                }
                yield ClipFrame(image, faces, is_cut=i == 0 and number > 0, movement=shot.movement)


def look_at(photograph: Photograph, face: int, height: float, size: tuple[int, int]) -> View:
    """The view in which a face is in the middle and `height` of the frame's height tall."""
    x, y, width, tall = photograph.boxes[face]
    whole = photograph.image
    wide = tall / height * size[0] / size[1]
    return View((x + width / 2) / whole.width, (y + tall / 2) / whole.height, wide / whole.width)


def _window(
    photograph: Image.Image, view: View, size: tuple[int, int], random: Random
) -> tuple[float, float, float, float]:
    """Left, upper, right, lower in the photograph; moved inside it."""
    wide = min(view.width * photograph.width, photograph.width)
    high = wide * size[1] / size[0]
    if high > photograph.height:
        wide, high = wide * photograph.height / high, float(photograph.height)
    dx, dy = random.normal(0, JITTER * wide, 2)
    left = float(np.clip(view.x * photograph.width - wide / 2 + dx, 0, photograph.width - wide))
    top = float(np.clip(view.y * photograph.height - high / 2 + dy, 0, photograph.height - high))
    return left, top, left + wide, top + high


def _render(
    photograph: Image.Image,
    window: tuple[float, float, float, float],
    view: View,
    size: tuple[int, int],
    random: Random,
) -> Image.Image:
    image = photograph.resize(size, Image.Resampling.BILINEAR, box=window, reducing_gap=2.0)
    pixels: npt.NDArray[np.float32] = np.asarray(image, np.float32) * np.float32(view.gain)
    pixels += _noise_of(view.noise, size, random)
    if view.cover is not None:
        left, right = (round(size[0] * end) for end in (view.cover, view.cover + 0.4))
        pixels[size[1] // 6 :, max(0, left) : max(0, right)] = 40
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _noise_of(deviation: float, size: tuple[int, int], random: Random) -> npt.NDArray[np.float32]:
    """Noise, float32 `[H, W, 1]`: rows of one long draw, which costs less than a draw a frame."""
    tile = random.standard_normal(4096, np.float32)
    starts = random.integers(0, 4096, size[1])
    places = (starts[:, None] + np.arange(size[0])) % 4096
    return np.float32(deviation) * tile[places][:, :, None]


def _place(
    box: Box, window: tuple[float, float, float, float], size: tuple[int, int]
) -> Box | None:
    """Where a photograph's box is in the frame, in pixels; None: it isn't whole in it."""
    factor = size[0] / (window[2] - window[0])
    x, y = (box[0] - window[0]) * factor, (box[1] - window[1]) * factor
    width, height = box[2] * factor, box[3] * factor
    if min(x, y) < 0 or x + width > size[0] or y + height > size[1]:
        return None
    return round(x), round(y), round(width), round(height)
