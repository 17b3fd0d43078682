from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.images import load_image, open_image
from fer_edge.runtime.inputs.listing import expand_source, expand_stdin
from tests.support.files import EXAMPLE


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
        (".", r"\.: no image or video in this folder: it looks for \.264 \.265 "),
    ],
)
def test_nothing_there(
    source: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = expand_source(source)
    assert isinstance(found, SourceError)
    assert re.search(error, str(found))


def test_a_folder_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
