"""Images as bytes, file objects and Pillow images: read and refused as their files are."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fer_edge import Recognizer
from fer_edge.errors import SourceError
from fer_edge.runtime.inputs import images
from fer_edge.runtime.inputs.images import ImageSource, load_image
from tests.support.files import EXAMPLE

CONTENT = EXAMPLE.read_bytes()
WRAPPED: dict[str, Callable[[bytes], ImageSource]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "BytesIO": io.BytesIO,
    "reversed memoryview": lambda content: memoryview(content[::-1])[::-1],
}


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(faces="whole")


@pytest.mark.parametrize("kind", WRAPPED)
def test_bytes_are_read_as_their_file(recognizer: Recognizer, kind: str) -> None:
    result = recognizer(WRAPPED[kind](CONTENT))
    assert result.faces == recognizer(EXAMPLE).faces
    assert result.source == "bytes"
    assert list(recognizer.stream(WRAPPED[kind](CONTENT))) == [result]
    assert result.plot().size == recognizer(EXAMPLE).plot().size


def test_a_file_object_is_named_and_read_from_where_it_is(
    recognizer: Recognizer, tmp_path: Path
) -> None:
    path = tmp_path / "packed"
    path.write_bytes(b"header" + CONTENT)
    with path.open("rb") as file:
        file.seek(6)
        result = recognizer(file)
    assert result.source == str(path)
    assert result.faces == recognizer(EXAMPLE).faces
    assert result.image.size == (result.width, result.height)  # after the file is closed


def test_a_pipe_that_gives_a_little_at_a_time(recognizer: Recognizer) -> None:
    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.content = io.BytesIO(CONTENT)

        def read(self, size: int = -1) -> bytes:
            return self.content.read(min(size, 1000))

    assert recognizer(Slow()).faces == recognizer(EXAMPLE).faces  # type: ignore[arg-type]


def test_a_buffer_may_be_filled_again(recognizer: Recognizer) -> None:
    buffer = bytearray(CONTENT)

    def frames() -> Iterator[bytearray]:
        for _ in range(6):
            buffer[:] = CONTENT
            yield buffer
            buffer[:] = bytes(len(CONTENT))

    results = list(recognizer.stream(frames()))
    assert [one.faces for one in results] == [recognizer(EXAMPLE).faces] * 6
    assert all(one.image.size == (one.width, one.height) for one in results)


def cut_off_image(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("wrap", [bytes, io.BytesIO, cut_off_image])
def test_a_truncated_image_is_one_error_among_others(
    recognizer: Recognizer, wrap: Callable[[bytes], ImageSource]
) -> None:
    half = CONTENT[: len(CONTENT) // 2]
    with pytest.raises(SourceError, match=r"^(bytes|image): cannot be read \("):
        recognizer(wrap(half))
    errors: list[SourceError] = []
    results = list(recognizer.stream([CONTENT, wrap(half), EXAMPLE], on_error=errors.append))
    assert [one.source for one in results] == ["bytes", str(EXAMPLE)]
    assert len(errors) == 1
    assert list(recognizer.stream(wrap(half), on_error=errors.append)) == []
    assert len(errors) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "bytes: empty"), (b"\0" * 99, "bytes: not an image"), (b"text", "bytes: not an image")],
)
def test_what_holds_no_image(content: bytes, message: str) -> None:
    for wrap in WRAPPED.values():
        with pytest.raises(SourceError, match=f"^{message}$"):
            load_image(wrap(content))


@pytest.mark.parametrize("source", [None, [[0, 255]], 7.5])
def test_other_objects_are_named(source: object) -> None:
    with pytest.raises(SourceError, match=r"^an object of type \w+: expected a path, bytes"):
        load_image(source)  # type: ignore[arg-type]


def test_file_objects_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(CONTENT)
    with (
        path.open(encoding="latin-1") as text,
        pytest.raises(SourceError, match=r'a\.png: opened as text: .* mode "rb"'),
    ):
        load_image(text)  # type: ignore[arg-type]
    closed = path.open("rb")
    closed.close()
    with pytest.raises(SourceError, match=r"a\.png: cannot be read \(.*closed file"):
        load_image(closed)
    with path.open("ab") as writer, pytest.raises(SourceError, match=r"a\.png: cannot be read \("):
        load_image(writer)


def test_no_more_than_the_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 3 * 2**20)
    with (
        Path("/dev/zero").open("rb") as endless,
        pytest.raises(SourceError, match="/dev/zero: more than 3 MiB: shrink it or give its path"),
    ):
        load_image(endless)


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    image = io.BytesIO()
    Image.new("1", (10_000, 9_000)).save(image, "PNG")
    with warnings.catch_warnings():  # Pillow's own
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(SourceError, match=r"bytes: 10000 x 9000 px are 90\.0 megapixels"):
            load_image(image.getvalue())


def by_pillow(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content))
    except Exception:  # the caller's own error: nothing reaches the recognizer
        return Image.new("L", (1, 1))


@given(
    st.binary(min_size=1, max_size=8),
    st.integers(0, 5_000),
    st.none() | st.integers(0, 40_000),
    st.sampled_from([bytes, bytearray, io.BytesIO, by_pillow]),
)
def test_any_damage_is_an_image_or_a_source_error(
    damage: bytes, place: int, end: int | None, wrap: Callable[[bytes], bytes | BinaryIO]
) -> None:
    content = bytearray(CONTENT[:end])
    content[place : place + len(damage)] = damage
    with contextlib.suppress(SourceError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own
        loaded = load_image(wrap(bytes(content)))
        assert loaded.name in ("bytes", "image")
