"""What `-` reads: one image, or names; anything else is one error of one line."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.images import load_image, open_image
from fer_edge.runtime.inputs.standard_input import expand_stdin
from tests.support.files import EXAMPLE
from tests.support.videos import write_clip

Feed = Callable[..., list[Any]]


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Feed:
    """What `-` becomes, for the parts that are written to a pipe; without an end if `endless`."""
    monkeypatch.chdir(tmp_path)

    def expand(*parts: bytes, endless: bool = False) -> list[Any]:
        entry, other = os.pipe()

        def write() -> None:
            try:
                for part in parts:
                    os.write(other, part)
                while endless:
                    os.write(other, parts[-1])
            except BrokenPipeError:
                pass
            finally:
                os.close(other)

        writer = threading.Thread(target=write)
        with open(entry) as stdin:  # noqa: PTH123 - a descriptor
            monkeypatch.setattr("sys.stdin", stdin)
            writer.start()
            found = list(expand_stdin(["-"]))
        writer.join()
        return found

    return expand


def only_error(found: list[Any]) -> str:
    (error,) = found
    assert isinstance(error, SourceError)
    text = str(error)
    assert text.isprintable()
    return text


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


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"a.png\0b c.png\0", ["a.png", "b c.png"]),
        (b"a.png\0b.png", ["a.png", "b.png"]),
        (b"one name", ["one name"]),
        (b"\n\n a.png \r\nb.png\r\n", [" a.png ", "b.png"]),
        (b"\xef\xbb\xbfa.png\n", ["a.png"]),
        (b"BMW.jpg\nP1 x.jpg\nGIF89a.jpg\n", ["BMW.jpg", "P1 x.jpg", "GIF89a.jpg"]),
        (b"latin-\xe9.png\0x.png\0", [os.fsdecode(b"latin-\xe9.png"), "x.png"]),
        (b"rtsp://host/a\nphotos/*.jpg\n0\n", ["rtsp://host/a", "photos/*.jpg", "0"]),
        (b"tab\there.png\n", ["tab\there.png"]),
    ],
)
def test_names(content: bytes, names: list[str], feed: Feed) -> None:
    assert feed(content) == names
    assert feed(*(bytes([one]) for one in content)) == names


def test_names_of_existing_files_may_hold_anything(feed: Feed, tmp_path: Path) -> None:
    names = ["a\nb.png", "\x1b[31m.png", "<a>.png", "\n"]
    for name in names:
        (tmp_path / name).touch()
    assert feed(b"".join(os.fsencode(name) + b"\0" for name in names)) == names[:3]
    assert feed(b"<a>.png\nb.png") == ["<a>.png", "b.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input is empty"),
        (b"\n \n", "standard input is empty"),
        (bytes(range(256)) * 9, "neither an image nor a list of names, but other binary data"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "but other binary data"),
        ("a.png\n".encode("utf-16"), "but other binary data"),
        (b"<!doctype html>\n<title>404</title>", "but HTML or XML"),
        (b"%PDF-1.7\nx\n", "standard input: a PDF document cannot be read"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "standard input: HEIC cannot be read"),
    ],
)
def test_what_is_neither(content: bytes, message: str, feed: Feed) -> None:
    assert message in only_error(feed(content))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_a_video_is_named(suffix: str, feed: Feed, tmp_path: Path) -> None:
    content = write_clip(tmp_path / f"a{suffix}", 2).read_bytes()
    assert "standard input holds a video: give its path" in only_error(feed(content))


@pytest.mark.parametrize("part", [b"\0", b"\n", b"x", b"\xff", b"a" * 999])
def test_an_endless_input_without_names_ends(part: bytes, feed: Feed) -> None:
    assert "neither an image nor a list of names" in only_error(feed(part * 1000, endless=True))


@pytest.mark.parametrize(
    "rest",
    [EXAMPLE.read_bytes(), b"\0" * 200_000, b"\n" * 200_000, b"y" * 200_000, b"a\x1b[31m\nb\n"],
)
def test_what_follows_names_is_bounded(rest: bytes, feed: Feed) -> None:
    *names, error = feed(b"a.png\nb.png\n" * 50, rest)
    assert names[:100] == ["a.png", "b.png"] * 50
    assert len(names) <= 101  # an image's first bytes may pass for a name
    only_error([error])


@pytest.mark.parametrize("content", [b"a.png\nb.png\0c.png\0", b"a.png\0b.png\nc.png\0"])
def test_newlines_and_nul_bytes_cannot_be_mixed(content: bytes, feed: Feed) -> None:
    name, error = feed(content)
    assert name == "a.png"
    assert "name 2 holds control characters" in only_error([error])


def test_what_cannot_be_read_is_named(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Open for writing only; or a disk, or a terminal, that fails after the first name."""
    with (tmp_path / "out").open("w") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        text = only_error(list(expand_stdin(["-"])))
    assert text.startswith("standard input can't be read (Bad file descriptor): name the sources")
    read, count = os.read, 0

    def fail_at_second(descriptor: int, size: int) -> bytes:
        nonlocal count
        count += 1
        if count == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, size)

    monkeypatch.setattr("os.read", fail_at_second)
    name, error = feed(b"a.png\n")
    assert name == "a.png"
    assert str(error).startswith("standard input can't be read (Input/output error)")
