from __future__ import annotations

import signal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.processes import Script


def test_camera_loop_says_each_change(clip: Path, script: Script) -> None:
    out, err = (process := script("camera_loop.py", clip)).communicate()
    assert (process.returncode, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split()[:5] == ["0.00", "s", "face", "1:", "happy"]
    assert len(lines) > 1
    assert all(float(line.split()[0]) > 2 for line in lines[1:])
    shown = [line.split()[4] for line in lines]
    assert all(one != other for one, other in pairwise(shown))


def test_camera_loop_without_its_source(script: Script) -> None:
    out, err = (process := script("camera_loop.py", "none.mp4")).communicate()
    assert (process.returncode, out, err) == (1, "", "none.mp4: there is no such file\n")


@pytest.mark.usefixtures("fake_camera")
def test_camera_loop_reads_a_camera_module_until_it_stops(script: Script) -> None:
    process = script("camera_loop.py", FAKE_PICAMERA2_FRAMES="30")
    out, err = process.communicate()
    assert process.returncode == 1
    assert err == (
        "camera 0: stopped after frame 29 at 0.97 s (no frame for 10 s): is it unplugged?\n"
    )
    assert "face 1: happy" in out


@pytest.mark.usefixtures("fake_camera")
def test_camera_loop_ends_with_control_c(script: Script) -> None:
    process = script("camera_loop.py")
    assert process.stdout
    assert "face 1: happy" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (130, "")


@pytest.mark.usefixtures("fake_camera")
def test_picamera2_loop(script: Script) -> None:
    process = script("picamera2_loop.py", "--seconds", 0.49)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == [f"{i / 30:8.2f} s  face 1: happy" for i in range(15)]
