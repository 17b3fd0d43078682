from __future__ import annotations

import contextlib
import os
import re
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
from fer_edge.runtime.inputs.images import array_to_image, load_image, open_image
from fer_edge.runtime.inputs.listing import expand_source, expand_stdin
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


def test_expand(tmp_path: Path) -> None:
    for folder in ("deep", ".git"):
        (tmp_path / folder).mkdir()
    for name in ("b.png", "a.JPG", "deep/c.webp", "notes.txt", "._a.jpg", ".git/d.png"):
        (tmp_path / name).touch()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path) == ["a.JPG", "b.png", "deep/c.webp"]
    assert [Path(str(p)).name for p in expand_source(f"{tmp_path}/*.png")] == ["b.png"]
    assert [Path(str(p)).name for p in expand_source(f"{tmp_path}/**/*.webp")] == ["c.webp"]


def names(folder: Path) -> list[str]:
    return [Path(str(p)).relative_to(folder).as_posix() for p in expand_source(folder)]


def test_a_file_with_brackets_in_its_name_is_itself(tmp_path: Path) -> None:
    (tmp_path / "a[1].png").touch()
    assert list(expand_source(tmp_path / "a[1].png")) == [tmp_path / "a[1].png"]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("", "the name of a source is empty"),
        ("x" * 300, "File name too long"),
        ("none/*.png", r"none/\*\.png: no file matches"),
        (".", r"\.: no image or video in this folder: it looks for \.avi \.avif"),
    ],
)
def test_nothing_there(
    source: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = expand_source(source)
    assert isinstance(found, SourceError)
    assert re.search(error, str(found))


def test_a_folder_that_can_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "z.png").touch()
    scan = os.scandir

    def refuse(folder: str) -> object:
        if folder.endswith("locked"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    image, error = expand_source(tmp_path)
    assert image == tmp_path / "z.png"
    assert str(error) == f"{tmp_path}/locked: Permission denied"


@pytest.mark.parametrize("lines", [b"a.png\nb c.png\n\n\xe9.png\n", b"a.png\nb c.png\n\xe9.png"])
def test_a_list_on_standard_input(lines: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, other = os.pipe()
    with open(entry) as stdin, open(other, "wb") as writer:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", stdin)
        writer.write(lines)
        writer.close()
        assert list(expand_stdin(["x", "-", Path("-")])) == [
            *("x", "a.png", "b c.png", os.fsdecode(b"\xe9.png")),
            Path("-"),
        ]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tif", "ppm", "pgm"])
def test_an_image_on_standard_input(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a.{suffix}"
    with Image.open(EXAMPLE) as image:
        image.convert("L" if suffix == "pgm" else "RGB").save(path)
    with path.open("rb") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        before, image_source = expand_stdin(["x", "-"])
        loaded = load_image(image_source)
    assert (before, loaded.name) == ("x", "stdin")
    assert loaded.image.tobytes() == open_image(path).tobytes()


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
        with pytest.raises(SourceError, match=r"x\.png: more than 89 megapixels"):
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
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_wrong_arrays(array: np.ndarray) -> None:
    with pytest.raises(SourceError, match="expected uint8"):
        array_to_image(array)


@given(st.binary(min_size=1, max_size=4), st.integers(0, 5_000))
def test_any_damage_is_an_image_or_a_source_error(damage: bytes, place: int) -> None:
    content = bytearray(EXAMPLE.read_bytes())
    content[place : place + len(damage)] = damage
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(SourceError):
            open_image(Path(file.name))
