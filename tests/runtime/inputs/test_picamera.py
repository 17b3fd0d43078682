"""Picamera2 is replaced by a fake: the tests need no camera module."""

from __future__ import annotations

import sys
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs import containers
from fer_edge.runtime.inputs.picamera import capture_frames
from fer_edge.runtime.inputs.video import Cut, read_frames
from tests.support import fake_picamera2
from tests.support.commands import Fer
from tests.support.fake_picamera2 import MODULE, USB
from tests.support.files import EXAMPLE
from tests.support.videos import lavfi_camera


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The fake installed, with one module that shows an image with more red than blue."""
    monkeypatch.setitem(sys.modules, "picamera2", fake_picamera2)
    monkeypatch.setattr(fake_picamera2.Picamera2, "opened", [])
    monkeypatch.setattr(fake_picamera2.Picamera2, "frames", 3000)  # so that a failing test ends
    Image.new("RGB", (64, 48), (250, 120, 10)).save(tmp_path / "red.png")
    monkeypatch.setenv("FAKE_PICAMERA2", str(tmp_path / "red.png"))
    return fake_picamera2.Picamera2


def test_frames_are_rgb_and_timed_by_the_sensor(fake: Any) -> None:
    reading = read_frames("0")
    found = [next(reading) for _ in range(12)]
    reading.close()
    for frame in found:
        assert frame.image.size == (640, 480)
        assert frame.image.mode == "RGB"
        assert frame.image.getpixel((320, 240)) == (250, 120, 10)
        assert frame.time == pytest.approx(frame.index / 30, abs=1e-6)
    indices = [frame.index for frame in found]
    assert indices == sorted(set(indices))
    (camera,) = fake.opened
    assert (camera.state, camera.out) == ("closed", 0)


@pytest.mark.usefixtures("fake")
def test_time_begins_at_the_first_frame() -> None:
    with closing(capture_frames(0, 1)) as frames:  # no thread, which may drop the first frames
        found = [(index, time) for index, time, _ in islice(frames, 3)]
    assert found == [(0, 0), (1, pytest.approx(1 / 30)), (2, pytest.approx(2 / 30))]


def test_cuts_hold(fake: Any) -> None:
    for cut in (Cut(every=5, duration=1.9), Cut(max_fps=6, duration=1.9)):
        found = [frame.index for frame in read_frames("0", cut)]
        assert found
        assert {index % 5 for index in found} == {0}
        assert max(found) < 57
    assert [one.state for one in fake.opened] == ["closed", "closed"]


def test_a_camera_module_that_stops(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "frames", 30)
    message = (
        r"^camera 0: stopped after frame 29 at 0\.97 s \(no frame for 10 s\): is it unplugged\?$"
    )
    with pytest.raises(SourceError, match=message):
        list(read_frames("0"))
    monkeypatch.setattr(fake, "frames", 0)
    with pytest.raises(SourceError, match=r"^camera 0: sends no frame \(no frame for 10 s\): is"):
        list(read_frames("0"))
    assert [one.state for one in fake.opened] == ["closed", "closed"]


def test_a_camera_that_cannot_be_opened(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        SourceError, match=r"^camera 1: the camera modules here are 0 to 0; give a USB"
    ):
        list(read_frames("1"))
    other = fake(0)
    message = r"^camera 0: Camera __init__ sequence did not complete: does another program use it\?"
    with pytest.raises(SourceError, match=message):
        list(read_frames("0"))
    other.close()
    monkeypatch.setattr(fake, "start_error", "Failed to start camera")
    with pytest.raises(SourceError, match=r"^camera 0: Failed to start camera: does another"):
        list(read_frames("0"))
    assert {one.state for one in fake.opened} == {"closed"}


@pytest.mark.parametrize("cameras", [[], [USB]])
def test_without_a_module_a_number_is_v4l2(
    fake: Any, monkeypatch: pytest.MonkeyPatch, cameras: list[Any]
) -> None:
    monkeypatch.setattr(fake, "cameras", cameras)
    monkeypatch.setattr(containers, "av_input", lavfi_camera())
    assert next(read_frames("0")).image.size == (320, 240)
    assert fake.opened == []


def test_a_usb_camera_beside_a_module_is_given_by_its_path(
    fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "cameras", [MODULE, USB])
    monkeypatch.setattr(containers, "av_input", lavfi_camera())
    assert next(read_frames("0")).image.size == (640, 480)
    with pytest.raises(
        SourceError, match=r"^camera 1: the camera modules here are 0 to 0; give a USB"
    ):
        list(read_frames("1"))
    assert next(read_frames("/dev/video0")).image.size == (320, 240)
    assert len(fake.opened) == 1


def test_where_picamera2_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr(containers, "av_input", lavfi_camera())
    with pytest.raises(ImportError):
        __import__("picamera2")
    assert next(read_frames("0")).image.size == (320, 240)


def test_a_picamera2_that_was_built_for_another_numpy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed, may ...')")
    monkeypatch.syspath_prepend(tmp_path)
    message = (
        r"^camera 0: picamera2 is installed but doesn't work \(numpy\.dtype size changed, may \): "
        "repair it, or read /dev/video0$"
    )
    with pytest.raises(SourceError, match=message):
        list(read_frames("0"))
    (tmp_path / "picamera2.py").write_text("import libcamera_that_is_missing")
    with pytest.raises(SourceError, match="No module named 'libcamera_that_is_missing'"):
        list(read_frames("0"))


def test_infer_reads_it_and_exits_1_when_it_stops(
    fake: Any, monkeypatch: pytest.MonkeyPatch, fer: Fer
) -> None:
    monkeypatch.setenv("FAKE_PICAMERA2", str(EXAMPLE))
    monkeypatch.setattr(fake, "frames", 5)
    ran = fer("infer", "0", "--faces", "whole", "--csv")
    assert ran.code == 1
    assert "camera 0: stopped after frame 4 at 0.13 s" in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.out.splitlines()) > 1
    assert [one.state for one in fake.opened] == ["closed"]
