from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.listing import expand_source


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
