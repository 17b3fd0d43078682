from __future__ import annotations

from pathlib import Path

import pytest

from fer_edge.runtime.inputs.video_source import is_live, is_video


def test_which_sources_are_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("a.mp4", "b/C.MKV", "0", "/dev/video2", "rtsp://x/y", "http://x/y.mjpg"):
        assert is_video(source)
    for source in ("a.png", "photos", "*.jpg", "-", ""):
        assert not is_video(source)
    assert is_live("0")
    assert is_live("rtsp://x")
    assert not is_live("a.mp4")
    monkeypatch.chdir(tmp_path)
    Path("0").mkdir()  # a folder named like a camera is a folder
    assert not is_video("0")


@pytest.mark.parametrize(
    ("source", "live"),
    [
        ("rtsp://cam/1", True), ("srt://cam:9", True), ("http://cam/mjpeg", False),
        ("http://host/a.mp4", False), ("https://host/x/b.webm", False), ("7", True),
        ("7" * 300, False), ("a.mp4", False),
    ],
)  # fmt: skip
def test_is_live(source: str, live: bool) -> None:
    assert is_live(source) == live
