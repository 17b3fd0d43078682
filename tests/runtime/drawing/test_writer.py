from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fer_edge import Face, Result
from fer_edge.runtime.drawing.writer import ResultWriter
from tests.support.data import LABELS

FACE = Face((50, 50, 200, 200), 0.9, "happy", 0.9, dict.fromkeys(LABELS, 1 / 7))


def result(source: str) -> Result:
    return Result(source, 640, 480, (FACE,), Image.effect_noise((640, 480), 40))


@pytest.mark.parametrize(
    ("source", "name", "kind"),
    [
        ("photos/a.jpg", "a.jpg", "JPEG"),
        ("a.JPEG", "a.JPEG", "JPEG"),
        ("a.webp", "a.webp", "WEBP"),
        ("a.png", "a.png", "PNG"),
        ("a.gif", "a.png", "PNG"),  # its 256 colours would spoil the drawing
        ("a.tif", "a.png", "PNG"),
        ("bytes", "bytes.png", "PNG"),
    ],
)
def test_the_format_of_the_source_is_kept(
    source: str, name: str, kind: str, tmp_path: Path
) -> None:
    with ResultWriter(tmp_path) as writer:
        assert writer.add(result(source)) == tmp_path / name
        stem, suffix = name.split(".")
        assert writer.add(result(source)) == tmp_path / f"{stem}-2.{suffix}"
    with Image.open(tmp_path / name) as image:
        assert image.format == kind


def test_a_jpeg_is_smaller_than_the_png_of_it(tmp_path: Path) -> None:
    with ResultWriter(tmp_path) as writer:
        jpeg, png = writer.add(result("a.jpg")), writer.add(result("a.png"))
    assert jpeg is not None
    assert png is not None
    assert 2 * jpeg.stat().st_size < png.stat().st_size


def test_without_a_folder_nothing_is_written() -> None:
    with ResultWriter(None) as writer:
        assert writer.add(result("a.jpg")) is None
