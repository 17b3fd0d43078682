"""Frames are shown as players show them: all eight orientations, and pixels of any shape."""

from __future__ import annotations

import gc
import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs import limits
from fer_edge.runtime.inputs.geometry import nearest_transpose
from fer_edge.runtime.inputs.video import read_frames
from tests.support.processes import resident_bytes
from tests.support.videos import encode_video

COLOURS = np.array([[(200, 30, 30), (30, 200, 30)], [(30, 30, 200), (200, 200, 30)]], np.uint8)
"""Of the four quarters of an image: red, green; blue, yellow."""
ORIENTATIONS = {
    # the matrix (a, b, c, d) shows the pixel (x, y) at (a x + c y, b x + d y)
    (1, 0, 0, 1): lambda image: image,
    (-1, 0, 0, 1): lambda image: image[:, ::-1],
    (1, 0, 0, -1): lambda image: image[::-1],
    (-1, 0, 0, -1): lambda image: image[::-1, ::-1],
    (0, 1, 1, 0): lambda image: image.swapaxes(0, 1),
    (0, -1, -1, 0): lambda image: image[::-1, ::-1].swapaxes(0, 1),
    (0, 1, -1, 0): lambda image: np.rot90(image, -1),
    (0, -1, 1, 0): lambda image: np.rot90(image),
}


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    return Image.fromarray(COLOURS).resize((width, height), Image.Resampling.NEAREST)


def corners(image: Image.Image) -> npt.NDArray[np.uint8]:
    """The index of the colour in the middle of each quarter."""
    small = np.asarray(image.resize((2, 2), Image.Resampling.BOX), float)
    distances = np.abs(small[:, :, None] - COLOURS.reshape(4, 3)).sum(-1)
    return distances.argmin(-1).astype(np.uint8)


def set_matrix(path: Path, matrix: tuple[int, ...]) -> None:
    """Write a display matrix into the track header of an MP4."""
    content = bytearray(path.read_bytes())
    a, b, c, d = (65536 * one for one in matrix)
    place = content.index(b"tkhd") + 4 + 40
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 2**30)
    path.write_bytes(content)


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(2), Fraction(1, 2)])
@pytest.mark.parametrize("matrix", ORIENTATIONS)
def test_orientations_and_pixel_aspects(
    matrix: tuple[int, ...], aspect: Fraction, tmp_path: Path
) -> None:
    path = encode_video(tmp_path / "a.mp4", [quarters()] * 2, sample_aspect_ratio=aspect)
    set_matrix(path, matrix)
    first, second = (frame.image for frame in read_frames(str(path)))
    expected = ORIENTATIONS[matrix](np.arange(4).reshape(2, 2))
    assert corners(first).tolist() == corners(second).tolist() == expected.tolist()
    size = (128, 48) if aspect > 1 else (64, 96) if aspect < 1 else (64, 48)
    assert first.size == (size if matrix[0] else size[::-1])


@pytest.mark.parametrize(
    ("name", "codec", "aspect"),
    [
        ("a.mkv", "libx264", Fraction(16, 11)),
        ("a.mkv", "libx264", Fraction(8, 9)),
        ("a.avi", "mpeg4", Fraction(8, 9)),
        ("a.ts", "mpeg2video", Fraction(12, 11)),
    ],
)
def test_pixel_aspects_of_other_containers(
    name: str, codec: str, aspect: Fraction, tmp_path: Path
) -> None:
    images = [quarters(352, 288)] * 2
    path = encode_video(tmp_path / name, images, codec, sample_aspect_ratio=aspect)
    image = next(read_frames(str(path))).image
    assert image.width / image.height == pytest.approx(352 / 288 * float(aspect), rel=0.01)


def raw_video(path: Path, aspect: str) -> Path:
    """A YUV4MPEG2 file whose header states an aspect."""
    encode_video(path, [quarters()] * 2, "rawvideo")
    path.write_bytes(path.read_bytes().replace(b"A0:0", f"A{aspect}".encode(), 1))
    return path


@pytest.mark.parametrize(
    ("aspect", "size"),
    [("3:2", (96, 48)), ("2:3", (64, 72)), ("0:0", (64, 48)), ("0:1", (64, 48)), ("1:0", (64, 48))],
)
def test_an_aspect_in_a_raw_video(aspect: str, size: tuple[int, int], tmp_path: Path) -> None:
    assert next(read_frames(str(raw_video(tmp_path / "a.y4m", aspect)))).image.size == size


@pytest.mark.parametrize(
    ("tag", "turns"),
    [("90", -1), ("180", 2), ("270", 1), ("-90", 1), ("450", -1), ("0", 0), ("nan", 0), ("x", 0)],
)
def test_a_rotation_stated_as_a_tag_only(tag: str, turns: int, tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mkv", [quarters()] * 2, metadata={"rotate": tag})
    image = next(read_frames(str(path))).image
    assert corners(image).tolist() == np.rot90(np.arange(4).reshape(2, 2), turns).tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_frames_with_exif_are_shown_as_it_says(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    quarters().save(stream, "jpeg", exif=exif)
    (tmp_path / "a.mjpeg").write_bytes(2 * stream.getvalue())
    for frame in read_frames(str(tmp_path / "a.mjpeg")):
        expected = ImageOps.exif_transpose(Image.open(stream))
        assert frame.image.size == expected.size
        assert (corners(frame.image) == corners(expected)).all()


def test_other_angles_are_those_of_the_nearest_orientation() -> None:
    assert nearest_transpose(0, 0, 0, 0) is None
    assert nearest_transpose(60_000, 20_000, -20_000, 60_000) is None
    assert nearest_transpose(20_000, 60_000, -60_000, 20_000) is Image.Transpose.ROTATE_270


def test_an_aspect_may_not_exceed_the_limit_of_pixels(tmp_path: Path) -> None:
    path = raw_video(tmp_path / "a.y4m", "30000:1")
    with pytest.raises(SourceError, match=r"a\.y4m: 1920000 x 48 px .* over the limit"):
        list(read_frames(str(path)))


@pytest.mark.parametrize(("matrix", "size"), [((1, 0, 0, 1), (64, 48)), ((0, 1, 1, 0), (48, 64))])
def test_a_large_frame_is_reduced(
    matrix: tuple[int, ...], size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FULL_SCALE_PIXELS", 1000)
    path = encode_video(tmp_path / "a.mp4", [quarters()] * 2)
    set_matrix(path, matrix)
    frame = next(read_frames(str(path)))
    assert (frame.size, frame.image.size) == (size, (size[0] // 2, size[1] // 2))


def test_frames_are_freed_without_the_garbage_collector(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mkv", [quarters(1280, 720)] * 60)
    gc.disable()
    try:
        frames = read_frames(str(path))
        used = [resident_bytes() for frame in frames if frame.index % 10 == 9]
    finally:
        gc.enable()
    assert used[-1] - used[0] < 25_000_000  # 50 frames are 69 MB, without their RGB


def test_a_mirrored_recording_is_saved_and_read_as_shown(tmp_path: Path) -> None:
    """What `--save` writes is upright: its own matrix is none."""
    from fer_edge.runtime.drawing.writer import video_file

    path = encode_video(tmp_path / "a.mp4", [quarters()] * 2)
    set_matrix(path, (0, 1, 1, 0))
    with video_file(tmp_path / "out.mp4") as write:
        for frame in read_frames(str(path)):
            write(frame.image, frame.time)
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames: list[Any] = list(container.decode(video=0))
    assert (frames[0].rotation, frames[0].width, frames[0].height) == (0, 48, 64)
    assert corners(frames[0].to_image()).tolist() == [[0, 2], [1, 3]]
