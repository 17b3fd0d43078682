from __future__ import annotations

import errno
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs import containers, video
from fer_edge.runtime.inputs.video import (
    Cut,
    read_frames,
    video_duration,
)
from tests.support.commands import Fer
from tests.support.videos import lavfi_camera, shaded_image, write_clip


def until_error(items: Iterator[Any]) -> tuple[list[Any], Exception | None]:
    found = []
    try:
        for item in items:
            found.append(item)  # noqa: PERF402 - a list made at once loses what came before
    except SourceError as error:
        return found, error
    return found, None


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at ten frames each."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mkv", 40)


def test_every_frame_comes_once_and_in_order(clip: Path) -> None:
    found = list(read_frames(str(clip)))
    assert [frame.index for frame in found] == list(range(40))
    assert [frame.time for frame in found] == pytest.approx([i / 10 for i in range(40)], abs=1e-3)
    shades = [np.asarray(frame.image).mean() for frame in found]
    assert shades == pytest.approx([5 * i for i in range(40)], abs=7)
    assert found[0].image.size == (64, 48)


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (Cut(every=7), [0, 7, 14, 21, 28, 35]),
        (Cut(max_fps=2), [0, 5, 10, 15, 20, 25, 30, 35]),
        (Cut(max_fps=100), list(range(40))),
        (Cut(start=1, duration=0.5), [10, 11, 12, 13, 14]),
    ],
)
def test_cuts(clip: Path, cut: Cut, expected: list[int]) -> None:
    assert [frame.index for frame in read_frames(str(clip), cut)] == expected


def test_a_cut_beyond_the_end_is_an_error(clip: Path) -> None:
    with pytest.raises(SourceError, match=r"no frame to read: it ends before 9 s"):
        list(read_frames(str(clip), Cut(start=9)))


@given(
    st.lists(st.floats(0.001, 0.4), min_size=1, max_size=60),
    st.floats(0.5, 50),
    st.floats(0, 3),
)
def test_max_fps_limits_the_frames_of_each_second(
    gaps: list[float], most: float, start: float
) -> None:
    times = np.cumsum(gaps).tolist()
    chosen = list(Cut(max_fps=most, start=start).select((i, t, None) for i, t in enumerate(times)))
    kept = [t for _, t, _ in chosen]
    assert all(t >= start for t in kept)
    for first in kept:
        inside = [t for t in kept if first <= t < first + 1]
        assert len(inside) <= np.ceil(most) + 1


@pytest.mark.parametrize(
    "options", [{"every": 0}, {"max_fps": -1.0}, {"start": float("nan")}, {"duration": -0.1}]
)
def test_wrong_cuts(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(options))} must be "):
        Cut(**options)


def test_a_truncated_file_gives_its_frames_before_the_error(clip: Path, tmp_path: Path) -> None:
    content = clip.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(content[: len(content) // 2])
    found, error = until_error(read_frames(str(cut)))
    assert re.search(r"cut\.mkv: breaks off at \d\.\d\d of 4\.00 s", str(error))
    assert [frame.index for frame in found] == list(range(len(found)))
    assert 5 < len(found) < 35


def test_sources_without_video_are_named(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    for content, message in ((b"", "empty"), (b"no video " * 100, "not a video that can be read")):
        text.write_bytes(content)
        with pytest.raises(SourceError, match=rf"text\.mp4: {message}"):
            list(read_frames(str(text)))
    with pytest.raises(SourceError, match=r"none\.mp4: there is no such file"):
        list(read_frames(str(tmp_path / "none.mp4")))
    with pytest.raises(SourceError, match="camera 97: cannot be opened"):
        list(read_frames("97"))
    sound = tmp_path / "sound.mkv"
    with av.open(str(sound), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")  # type: ignore[no-untyped-call]
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceError, match=r"sound\.mkv: holds no video"):
        list(read_frames(str(sound)))


def test_a_consumer_that_stops_closes_the_file(clip: Path) -> None:
    reading = read_frames(str(clip))
    assert next(reading).index == 0
    reading.close()


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """FFmpeg's test pattern in place of a V4L2 camera."""

    def plugged(pattern: str) -> None:
        monkeypatch.setattr(containers, "av_input", lavfi_camera(pattern))

    plugged("testsrc=size=320x240:rate=30")
    return plugged


def decoders() -> int:
    return sum("_run" in thread.name for thread in threading.enumerate())


@pytest.mark.usefixtures("camera")
def test_a_camera_drops_frames_for_a_slow_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    decode, is_ahead = video._decode, threading.Event()

    def decode_ahead(*arguments: Any) -> Iterator[tuple[int, float, Any]]:
        for frame in decode(*arguments):
            yield frame
            if frame[0] == 30:
                is_ahead.set()

    monkeypatch.setattr(video, "_decode", decode_ahead)
    reading = read_frames("0")
    found = [next(reading)]
    assert is_ahead.wait(30)
    found += [next(reading) for _ in range(5)]
    reading.close()
    times = [frame.time for frame in found]
    assert times == sorted(set(times))
    assert times == pytest.approx([frame.index / 30 for frame in found], abs=1e-3)
    assert found[1].index >= 30
    assert {frame.image.size for frame in found} == {(320, 240)}


@pytest.mark.usefixtures("camera")
@pytest.mark.parametrize("cut", [Cut(every=7, duration=9), Cut(max_fps=30 / 7, duration=9)])
def test_cuts_of_a_camera(cut: Cut) -> None:
    found = list(read_frames("/dev/video0", cut))
    assert found
    assert all(frame.index % 7 == 0 and frame.time < 9 for frame in found)


@pytest.mark.usefixtures("camera")
def test_a_consumer_that_stops_stops_the_camera() -> None:
    before = decoders()
    reading = read_frames("0")
    next(reading)
    assert decoders() == before + 1
    reading.close()
    assert decoders() == before


def test_a_camera_that_is_unplugged(
    camera: Callable[[str], None], fer: Fer, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera("testsrc=size=320x240:rate=30:duration=1")
    found, error = until_error(read_frames("0"))
    assert str(error) == "camera 0: stopped after frame 29 at 0.97 s: is it unplugged?"
    assert found
    ran = fer("infer", "0", "--faces", "whole", "--json")
    assert ran.code == 1
    assert "SourceError: camera 0: stopped after frame 29 at 0.97 s: is it unplugged?" in ran.err
    camera("testsrc=size=320x240:rate=30:duration=0")
    found, error = until_error(read_frames("/dev/video0"))
    assert (found, str(error)) == ([], "camera /dev/video0: sends no frame: is it unplugged?")

    def unplugged(container: Any, *arguments: Any) -> Any:
        return timed(Unplugged(container), *arguments)

    class Unplugged:
        """A container whose device is unplugged after eight frames, with V4L2's error."""

        def __init__(self, container: Any) -> None:
            self.container = container

        def demux(self, stream: Any) -> Iterator[Any]:
            for i, packet in enumerate(self.container.demux(stream)):
                if i == 8:
                    av.error.err_check(-errno.ENODEV)
                yield packet

    camera("testsrc=size=320x240:rate=30")
    timed = video._decode_stream
    monkeypatch.setattr(video, "_decode_stream", unplugged)
    _, error = until_error(read_frames("0"))
    assert str(error) == (
        "camera 0: stopped after frame 7 at 0.23 s (No such device): is it unplugged?"
    )


def test_duration_ends_a_camera_without_an_error(camera: Callable[[str], None], fer: Fer) -> None:
    camera("testsrc=size=320x240:rate=30:duration=3")
    ran = fer("infer", "0", "--faces", "whole", "--json", "--duration", 2, "--max-fps", 5)
    assert ran.code == 0
    assert "SourceError" not in ran.err
    assert 1 <= len(ran.out.splitlines()) <= 10


def test_recordings_that_were_joined(tmp_path: Path) -> None:
    """The time stamps start again in the middle: no frame is lost, and time increases."""
    parts = [write_clip(tmp_path / name, 20).read_bytes() for name in ("a.ts", "b.ts")]
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    found = list(read_frames(str(tmp_path / "joined.ts")))
    assert [frame.index for frame in found] == list(range(40))
    times = np.array([frame.time for frame in found])
    assert np.diff(times) == pytest.approx(0.1, abs=0.06)
    assert len(list(read_frames(str(tmp_path / "joined.ts"), Cut(max_fps=5)))) == pytest.approx(
        20, abs=2
    )


def test_sound_may_be_longer_than_the_images(tmp_path: Path) -> None:
    path = tmp_path / "long-sound.mp4"
    make: Any = av.VideoFrame.from_image
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream("aac", rate=8000)
        for i in range(20):
            container.mux(video.encode(make(shaded_image(i))))
        container.mux(video.encode())
        for i in range(40):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")  # type: ignore[no-untyped-call]
            frame.rate, frame.pts = 8000, 1024 * i
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    assert len(list(read_frames(str(path)))) == 20
    assert video_duration(str(path)) == pytest.approx(2, abs=0.2)
