from __future__ import annotations

import contextlib
import struct
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.images import load_image, open_image
from tests.support.files import EXAMPLE


def bomb(path: Path) -> None:
    """A PNG header that promises 20,000 x 20,000 pixels."""
    chunks = b""
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
    ):
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        chunks += struct.pack(">I", len(body)) + kind + body + checksum
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def test_unreadable_images_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    with pytest.raises(SourceError, match=r"x\.png: there is no such file"):
        open_image(path)
    path.touch()
    with pytest.raises(SourceError, match=r"x\.png: empty"):
        open_image(path)
    path.write_text("hello")
    with pytest.raises(SourceError, match=r"x\.png: not an image"):
        open_image(path)
    path.write_bytes(EXAMPLE.read_bytes()[:5000])
    with pytest.raises(SourceError, match=r"x\.png: cannot be read"):
        open_image(path)
    bomb(path)
    with warnings.catch_warnings():  # Pillow's own, which `fer` leaves out
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(SourceError, match=r"x\.png: 20000 x 20000 px are 400\.0 megapixels"):
            open_image(path)
    with pytest.raises(SourceError, match="a folder"):
        open_image(tmp_path)


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("L", (5, 4), shade) for shade in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert open_image(tmp_path / "a.gif").convert("L").getpixel((0, 0)) == 0


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((3, 4, 4), np.uint8)[:, :0],
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_wrong_arrays(array: np.ndarray) -> None:
    with pytest.raises(SourceError, match=r"expected \[H, W\]"):
        load_image(array)


@given(st.binary(min_size=1, max_size=4), st.integers(0, 5_000))
def test_any_damage_is_an_image_or_a_source_error(damage: bytes, place: int) -> None:
    content = bytearray(EXAMPLE.read_bytes())
    content[place : place + len(damage)] = damage
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(SourceError):
            open_image(Path(file.name))
