"""Images in memory: arrays of any shape and type, Pillow images of every mode, bytes."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageMode

from benchmarks.fuzz.inputs.images import check_result
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.images import make_images
from fer_edge import Recognizer

_DTYPES = (
    "u1", "i1", "u2", "i2", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "?", "O", "S3", "U2", ">u2",
    "M8[s]", "V4",
)  # fmt: skip
_SIDES = (0, 1, 2, 3, 4, 5, 15, 16, 48, 97, 300)
_MODES = (
    "1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA", "RGBX",
    "RGBa", "La", "I;16", "I;16L", "I;16B",
)  # fmt: skip


class Target:
    """What a caller holds in memory."""

    def __init__(self, _: Path) -> None:
        self._recognizer = Recognizer.load(faces="whole", threads=1)
        self._encoded = [content for contents in make_images().values() for content in contents]

    def write(self, random: Random, _: Path) -> Any:
        """An array, an image or bytes."""
        return random.choice((_make_array, _make_array, self._make_image, self._make_bytes))(random)

    def run(self, case: Any) -> None:
        """Recognize it, as one image and as one of a stream."""
        try:
            check_result(self._recognizer(case))
        finally:
            if not isinstance(case, io.IOBase):
                list(self._recognizer.stream([case, case], on_error=lambda _: None))

    def _make_image(self, random: Random) -> Image.Image:
        if random.random() < 0.2:  # opened, not yet decoded, and damaged
            content = bytearray(random.choice(self._encoded))
            at = random.randrange(len(content) // 2, len(content))
            content[at:] = mutate(random, bytes(content[at:]))
            try:
                return Image.open(io.BytesIO(bytes(content)))
            except Exception:  # Pillow finds no image in it: another case then
                return Image.new("L", (1, 1))
        mode = random.choice([mode for mode in _MODES if _has_mode(mode)])
        size = (random.choice(_SIDES), random.choice(_SIDES))
        image = Image.new(mode, size)
        if 0 not in size and random.random() < 0.7:
            image.frombytes(random.randbytes(len(image.tobytes())))
        if random.random() < 0.2:
            orientation = random.choice((0, 1, 5, 8, 9, 255))
            image.getexif()[0x0112] = orientation
        if random.random() < 0.1:
            image.close()
        return image

    def _make_bytes(self, random: Random) -> Any:
        content = random.choice(self._encoded)
        content = mutate(random, content) if random.random() < 0.5 else content
        make = random.choice((bytes, bytearray, memoryview, io.BytesIO, _closed, _text))
        return make(content)


def _make_array(random: Random) -> Any:
    sides = [random.choice(_SIDES) for _ in range(2)]
    channels = random.choice(((), (), (3,), (3,), (1,), (4,), (2,), (0,), (3, 3)))
    shape = random.choice((tuple(sides) + channels, tuple(sides[:1]), ()))
    dtype = np.dtype("u1" if random.random() < 0.5 else random.choice(_DTYPES))
    if dtype.kind == "f":
        array = np.random.default_rng(random.randrange(2**32)).normal(0.5, 1, shape).astype(dtype)
        if array.size and random.random() < 0.5:
            array.flat[0] = random.choice((np.nan, np.inf, -1e30, 255))
    else:
        array = np.zeros(shape, dtype)
        if dtype.kind in "ui" and array.size:
            noise = np.random.default_rng(random.randrange(2**32)).integers(0, 256, shape)
            array = noise.astype(dtype)
    view = random.randrange(5)
    if view == 0 and array.ndim:
        array = array[::-1]
    elif view == 1:
        array = array.T
    elif view == 2 and array.ndim:
        array = array[::2]
    elif view == 3:
        array.flags.writeable = False
    return array


def _has_mode(mode: str) -> bool:
    try:
        ImageMode.getmode(mode)
        Image.new(mode, (1, 1)).tobytes()
    except (KeyError, ValueError):
        return False
    return True


def _closed(content: bytes) -> io.BytesIO:
    stream = io.BytesIO(content)
    stream.close()
    return stream


def _text(content: bytes) -> io.StringIO:
    return io.StringIO(content.decode("latin-1"))
