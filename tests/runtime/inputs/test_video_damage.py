"""What is broken and what only looks so: cut files, damaged packets, long frames, odd streams."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs import containers
from fer_edge.runtime.inputs.frame_clock import FrameClock
from fer_edge.runtime.inputs.truncation import is_cut_off
from fer_edge.runtime.inputs.video import read_frames, video_duration
from tests.support.commands import Fer
from tests.support.files import CASES
from tests.support.videos import encode_video, shaded_image

COUNT = 20


def noise(count: int = COUNT) -> Iterator[Image.Image]:
    """Frames that take some space, so that a part of a file is a part of its frames."""
    return (Image.effect_noise((96, 64), 60).convert("RGB") for _ in range(count))


def read(path: Path) -> tuple[int, str]:
    """How many frames come, and the error after them."""
    count = 0
    try:
        for frame in read_frames(str(path)):
            assert frame.index == count
            count += 1
    except SourceError as error:
        return count, str(error).removeprefix(f"{path}: ")
    return count, ""


def remux(path: Path, **options: str) -> Path:
    """The recording whose last frame lasts 8 s, in another container."""
    with av.open(str(CASES / "still_end.mp4")) as source:
        stream = source.streams.video[0]
        with av.open(str(path), "w", options=options) as target:
            copied = target.add_stream_from_template(stream)
            for packet in source.demux(stream):
                if packet.dts is not None:
                    packet.stream = copied
                    target.mux(packet)
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.flv", "a.ts", "a.nut", "a.h264"])
def test_a_last_frame_may_last_long(name: str, tmp_path: Path) -> None:
    assert read(remux(tmp_path / name)) == (20, "")


def test_the_case_of_a_long_last_frame(fer: Fer) -> None:
    assert video_duration(str(CASES / "still_end.mp4")) == pytest.approx(9.9)
    ran = fer("infer", CASES / "still_end.mp4", "--faces", "whole", "--json")
    assert (ran.code, len(ran.out.splitlines())) == (0, 20)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"movflags": "faststart"}),
        ("a.mp4", {"movflags": "frag_every_frame+empty_moov+skip_trailer"}),
        ("a.flv", {}),
    ],
)
def test_a_cut_file_breaks_off_whatever_its_last_frame_lasts(
    name: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = remux(tmp_path / name, **options)
    path.write_bytes(path.read_bytes()[:-60])
    count, error = read(path)
    assert 5 < count < 20
    assert re.fullmatch(r"breaks off at \d\.\d\d of \d\.\d\d s: the file is cut off", error)


@pytest.mark.parametrize("fraction", [0.95, 0.5])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mkv", "mpeg4"), ("a.avi", "mpeg4"), ("a.flv", "flv"),
        ("a.wmv", "wmv2"), ("a.ivf", "libvpx"),
    ],
)  # fmt: skip
def test_a_cut_file_breaks_off(name: str, codec: str, fraction: float, tmp_path: Path) -> None:
    path = encode_video(tmp_path / name, noise(30), codec, rate=10)
    assert is_cut_off(path) in (False, None)
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    count, error = read(path)
    assert 30 * fraction * 0.8 < count < 30
    assert error.startswith("breaks off at ")
    assert error.endswith(" s: the file is cut off")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.flv", "a.ts"])
def test_trailing_garbage_is_no_cut(name: str, tmp_path: Path) -> None:
    path = encode_video(tmp_path / name, noise(), "flv" if name == "a.flv" else "mpeg4")
    path.write_bytes(path.read_bytes() + b"garbage" * 9 + bytes(64))
    count, error = read(path)
    assert count == COUNT
    assert not error or name == "a.flv"  # whose end is told by its last four bytes


def test_a_live_recording_states_no_size(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mkv", noise())
    content = path.read_bytes()
    place = content.index(b"\x18\x53\x80\x67") + 4
    path.write_bytes(content[:place] + b"\x01" + b"\xff" * 7 + content[place + 8 :])
    assert is_cut_off(path) is None
    assert read(path) == (COUNT, "")


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"RIFF", b"\x1a\x45\xdf\xa3", b"FLV\1" * 3])
def test_headers_that_are_too_short(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    assert isinstance(is_cut_off(path), bool | None)


def test_damaged_packets_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.avi", noise(40))
    content = bytearray(path.read_bytes())
    chunks = [found.start() for found in re.finditer(rb"00dc", bytes(content))][:40]
    for i in (10, 20):
        content[chunks[i] + 8 : chunks[i] + 200] = b"\x55" * 192
    path.write_bytes(content)
    count, error = read(path)
    assert (count, error) == (38, "frames are missing: packets that are damaged: 2")


def test_a_recording_may_begin_between_key_frames(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.ts", noise(60), "libx264", gop_size=20)
    content = path.read_bytes()
    packets = len(content) // 188
    path.write_bytes(content[188 * (packets // 5) :])
    count, error = read(path)
    assert (count >= 40, error) == (True, "")


def two_streams(path: Path, first: str, dispositions: tuple[int, int]) -> Path:
    """A stream of one small frame, then a film of larger ones."""
    make: Any = av.VideoFrame.from_image
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream(name, rate=25) for name in (first, "mpeg4")]
        for stream, size, flags in zip(streams, ((64, 48), (96, 64)), dispositions, strict=True):
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if stream.codec.name == "mjpeg" else "yuv420p"
            stream.disposition = flags
        container.mux(streams[0].encode(make(shaded_image(9))))
        container.mux(streams[0].encode())
        for image in noise():
            container.mux(streams[1].encode(make(image)))
        container.mux(streams[1].encode())
    return path


@pytest.mark.parametrize("dispositions", [(0, 0), (1, 0)])
@pytest.mark.parametrize("first", ["mjpeg", "mpeg4", "libx264"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
def test_a_thumbnail_before_the_film(
    first: str, dispositions: tuple[int, int], suffix: str, tmp_path: Path
) -> None:
    path = two_streams(tmp_path / f"a{suffix}", first, dispositions)
    assert [frame.image.size for frame in read_frames(str(path))] == [(96, 64)] * COUNT


def test_a_cover_is_no_video(fer: Fer) -> None:
    ran = fer("infer", CASES / "cover.mp4")
    assert (ran.code, ran.out) == (1, "")
    assert "cover.mp4: holds no video, only a cover image" in ran.err


def test_tags_that_are_not_utf8(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mkv", noise(3), metadata={"title": "latin-EEE"})
    path.write_bytes(path.read_bytes().replace(b"latin-EEE", b"latin-\xe9\xe9\xe9"))
    assert read(path) == (3, "")


def test_a_place_before_a_file_is_an_error_of_libav(tmp_path: Path) -> None:
    """PyAV prints the traceback of an exception that its callbacks raise."""
    path = encode_video(tmp_path / "a.mkv", noise(3))
    with containers.av_input(str(path)) as (file, _, _):
        assert file.seek(9) == file.tell() == 9
        assert file.seek(-9) < 0
        assert file.tell() == 9


@pytest.mark.parametrize("side", [16384, 65500])
def test_a_header_that_states_a_huge_frame(side: int, tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mjpeg", noise(3), "mjpeg", pix_fmt="yuvj420p")
    content = bytearray(path.read_bytes())
    for found in re.finditer(rb"\xff\xc0\0\x11\x08", bytes(content)):
        content[found.end() : found.end() + 4] = struct.pack(">2H", side, side)
    path.write_bytes(content)
    count, error = read(path)
    assert count == 0
    assert "over the limit of 40 megapixels (--max-pixels)" in error


def test_the_limit_of_pixels_is_the_callers(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mp4", noise(3))
    with pytest.raises(SourceError, match=r"a\.mp4: 96 x 64 px .* over the limit .*--max-pixels"):
        list(read_frames(str(path), max_pixels=96 * 64 - 1))
    assert len(list(read_frames(str(path), max_pixels=96 * 64))) == 3


@pytest.mark.parametrize("rate", ["1000000000:1", "0:0", "1:1000000000", "0:1"])
def test_a_frame_rate_may_be_anything(rate: str, tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.y4m", noise(3), "rawvideo")
    path.write_bytes(path.read_bytes().replace(b"F25:1", f"F{rate}".encode(), 1))
    times = [frame.time for frame in read_frames(str(path))]
    assert times == sorted(times)
    assert times[0] == 0
    assert times[-1] <= 200


@pytest.mark.parametrize("first", [-50, 0, 7_000])
def test_time_stamps_may_begin_anywhere(first: int, tmp_path: Path) -> None:
    times = [first + i for i in range(COUNT)]
    path = encode_video(tmp_path / "a.nut", noise(), "libx264", times=times, max_b_frames=2)
    found = [frame.time for frame in read_frames(str(path))]
    assert found == pytest.approx([i / 25 for i in range(COUNT)], abs=1e-3)


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([5.0, 5.1, 5.3], [0, 0.1, 0.3]),
        ([None, None, None], [0, 0.1, 0.2]),
        ([None, 7.0, 7.5], [0, 0.1, 0.6]),
        ([0.0, None, 0.3], [0, 0.1, 0.3]),
        ([0.0, 0.1, 0.0, 0.1], [0, 0.1, 0.2, 0.3]),  # joined recordings
        ([0.0, 0.1, 1e12, 1e12 + 0.1], [0, 0.1, 0.2, 0.3]),  # a broken clock
        ([-1e9, 0.0], [0, 0.1]),
        ([3.0, 3.0, 3.1], [0, 0, 0.1]),
    ],
)
def test_the_clock_of_frames(stamps: list[float | None], times: list[float]) -> None:
    clock = FrameClock(rate=10)
    assert [clock(stamp) for stamp in stamps] == pytest.approx(times, abs=1e-3)


@pytest.mark.parametrize("rate", [0.0, 1e12, 1e-12])
def test_a_clock_believes_no_odd_rate(rate: float) -> None:
    assert 0.001 <= FrameClock(rate).interval <= 100


def test_the_case_of_a_mirrored_recording(fer: Fer) -> None:
    ran = fer("infer", CASES / "hflip.mp4", "--faces", "whole", "--json")
    documents = [json.loads(line) for line in ran.out.splitlines()]
    assert [one["faces"][0]["emotion"] for one in documents] == ["happy"] * 5
    assert [(one["width"], one["height"]) for one in documents] == [(240, 320)] * 5
