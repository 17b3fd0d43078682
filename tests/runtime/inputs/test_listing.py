from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.image_formats import IMAGE_SUFFIXES
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


def test_what_a_folder_leaves_out_is_counted_by_suffix(tmp_path: Path) -> None:
    (tmp_path / "@eaDir").mkdir()
    for name in ("a.JFIF", "b.jpe", "c.mpo", "x.txt", "y.TXT", "z.doc", "README", "@eaDir/s.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "gone.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "up").symlink_to("..")
    (tmp_path / ".hidden.png").touch()
    lines: list[str] = []
    found = [Path(str(one)).name for one in expand_source(tmp_path, lines.append)]
    assert found == ["a.JFIF", "b.jpe", "c.mpo"]
    assert lines == [
        f"{tmp_path}: left out: 2 .txt, 2 that are no files, 1 .doc, 1 linked folder, "
        "1 system or hidden folder, 1 without a suffix"
    ]


def test_folders_that_are_left_out_are_counted(tmp_path: Path) -> None:
    for name in ("@Anna", "deep/__old", ".git"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("up", "deep/up"):
        (tmp_path / name).symlink_to(tmp_path)
    (tmp_path / "a.png").touch()
    lines: list[str] = []
    assert list(expand_source(tmp_path, lines.append)) == [tmp_path / "a.png"]
    assert lines == [f"{tmp_path}: left out: 3 system or hidden folders, 2 linked folders"]


def test_control_characters_of_a_suffix_are_shown_as_escapes(tmp_path: Path) -> None:
    (tmp_path / "a.\x1b[31m").touch()
    lines: list[str] = []
    list(expand_source(tmp_path, lines.append))
    assert lines == [f"{tmp_path}: left out: 1 .\\x1b[31m"]


def test_the_suffixes_are_those_that_pillow_registers() -> None:
    Image.init()
    formats = {"JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "DIB", "PPM"}
    registered = {suffix for suffix, kind in Image.EXTENSION.items() if kind in formats}
    assert registered - {".avif", ".avifs"} <= IMAGE_SUFFIXES
    assert IMAGE_SUFFIXES - registered <= {".jif", ".avif", ".avifs"}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*.png", ["a.png", "b.png"]),
        ("**/**/*.png", ["a.png", "b.png"]),
        ("sub/**", ["b.png"]),
        ("s*/../*.png", ["a.png"]),
        ("**/b.png", ["b.png"]),
    ],
)
def test_a_pattern_does_not_follow_links_in_circles(
    pattern: str, expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("up", "again"):
        (tmp_path / "sub" / name).symlink_to("..")
    (tmp_path / "a.png").touch()
    (tmp_path / "sub" / "b.png").touch()
    assert [Path(str(one)).name for one in expand_source(f"{tmp_path}/{pattern}")] == expected


def test_a_pattern_matches_hidden_names_by_a_dot_alone(tmp_path: Path) -> None:
    for name in (".a.png", "b.png"):
        (tmp_path / name).touch()
    assert list(expand_source(f"{tmp_path}/*.png")) == [tmp_path / "b.png"]
    assert list(expand_source(f"{tmp_path}/.*.png")) == [tmp_path / ".a.png"]
