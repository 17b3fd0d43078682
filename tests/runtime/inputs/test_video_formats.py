"""Every suffix that is read as a video, and content without one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from fer_edge.runtime.inputs.video import read_frames
from fer_edge.runtime.inputs.video_formats import DEMUXERS
from fer_edge.runtime.inputs.video_source import is_video
from tests.support.files import EXAMPLE
from tests.support.videos import encode_video, shaded_image

COUNT = 12
WRITERS = {
    ".3g2": ("mpeg4", None), ".3gp": ("mpeg4", None), ".f4v": ("libx264", None),
    ".m4v": ("mpeg4", None), ".mov": ("mpeg4", None), ".mp4": ("libx264", None),
    ".qt": ("mpeg4", "mov"), ".mkv": ("libx264", None), ".webm": ("libvpx-vp9", None),
    ".avi": ("mpeg4", None), ".divx": ("mpeg4", "avi"), ".asf": ("mpeg4", None),
    ".wmv": ("wmv2", None), ".m2t": ("libx264", None), ".m2ts": ("libx264", None),
    ".mts": ("libx264", "mpegts"), ".ts": ("mpeg2video", None), ".mpeg": ("mpeg1video", None),
    ".mpg": ("mpeg1video", None), ".vob": ("mpeg2video", None), ".m1v": ("mpeg1video", None),
    ".m2v": ("mpeg2video", None), ".264": ("libx264", "h264"), ".avc": ("libx264", "h264"),
    ".h264": ("libx264", None), ".265": ("libx265", "hevc"), ".h265": ("libx265", "hevc"),
    ".hevc": ("libx265", None), ".mjpeg": ("mjpeg", None), ".mjpg": ("mjpeg", None),
    ".dv": ("dvvideo", None), ".flv": ("flv", None), ".ivf": ("libvpx", None),
    ".mxf": ("mpeg2video", None), ".nut": ("mpeg4", None), ".obu": ("libsvtav1", None),
    ".ogv": ("libvpx", None), ".y4m": ("rawvideo", None),
}  # fmt: skip
"""An encoder for each suffix, and the format where PyAV doesn't choose it by the suffix."""

SETTINGS: dict[str, dict[str, Any]] = {
    "mjpeg": {"pix_fmt": "yuvj420p"},
    # with its pool of threads it once crashed, in thousands of runs
    "libx265": {"options": {"x265-params": "pools=none:frame-threads=1:log-level=error"}},
    "libsvtav1": {"bit_rate": 0},  # constant quality: it has no rate control for small frames
}


def test_every_suffix_has_a_writer() -> None:
    assert WRITERS.keys() == DEMUXERS.keys()


def make(folder: Path, suffix: str) -> Path:
    codec, format = WRITERS[suffix]
    settings = SETTINGS.get(codec, {})
    images = (shaded_image(2 * i) for i in range(COUNT))
    if suffix == ".dv":  # one size only
        images = (image.resize((720, 576)) for image in images)
    path = folder / f"clip{suffix}"
    return encode_video(path, images, codec, format=format, **settings)


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_frame_of_every_format_is_read(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SVT_LOG", "0")
    path = make(tmp_path, suffix)
    assert is_video(str(path))
    frames = list(read_frames(str(path)))
    assert [frame.index for frame in frames] == list(range(COUNT))
    times = [frame.time for frame in frames]
    assert times[:-1] == pytest.approx([i / 25 for i in range(COUNT - 1)], abs=0.005)
    # libav states the last time of a raw MPEG-1 stream one frame late
    assert times[-1] == pytest.approx(0.44, abs=0.041 if suffix == ".m1v" else 0.005)
    bare = shutil.copy(path, tmp_path / "bare")
    assert is_video(str(bare))
    assert len(list(read_frames(str(bare)))) == COUNT
    named = shutil.copy(path, tmp_path / f"CLIP{suffix.upper()}")
    assert is_video(str(named))


def test_content_without_a_suffix(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"text", EXAMPLE.read_bytes(), b"\xff\xd8\xff", b"RIFF1234WEBP", b"G" * 9):
        path.write_bytes(content)
        assert not is_video(str(path))
    assert not is_video(str(tmp_path))
    assert not is_video(str(tmp_path / "none"))
