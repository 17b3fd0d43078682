"""`fer infer` on videos: faces that move and change, from the file to the timeline."""

from __future__ import annotations

import json
import math
import os
import pty
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from fer_edge import Recognizer
from fer_edge.runtime.summary import Summary
from fer_edge.runtime.tracking import Tracker
from tests.support.commands import Fer
from tests.support.data import draw_face
from tests.support.files import EXAMPLE
from tests.support.processes import resident_bytes, run_process
from tests.support.videos import write_video

RATE = 25


def two_faces() -> Iterable[Image.Image]:
    """One is there all the time; the other comes after a second, nods, goes and comes back."""
    with Image.open(EXAMPLE) as image:
        face = image.convert("RGB").resize((150, 177))
    for i in range(4 * RATE):
        image = Image.new("RGB", (480, 320), (90, 100, 110))
        image.paste(face, (round(40 + 40 * math.sin(i / 12)), 60))
        if RATE <= i < 2 * RATE or i >= 3.5 * RATE:
            nodding = face.rotate(15 * math.sin(i / 6), fillcolor=(90, 100, 110))
            image.paste(nodding, (300, round(60 + 40 * math.cos(i / 12))))
        yield image


@pytest.mark.parametrize("search_every", [1, 10])
def test_numbers_stay_with_their_faces(
    search_every: int, fer: Fer, yunet: Path, tmp_path: Path
) -> None:
    clip = write_video(tmp_path / "clip.mp4", two_faces())
    arguments = ("infer", clip, "--detector", yunet, "--save", tmp_path, "--plot")
    outputs = (tmp_path / "timeline.png", "-o", tmp_path / "out.jsonl")
    ran = fer(*arguments, *outputs, "--search-every", search_every)
    assert ran.code == 0, ran.err
    assert "100 frames in" in ran.err
    assert "3 tracks: happy" in ran.err
    frames = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [one["frame"] for one in frames] == list(range(100))
    assert frames[50]["time"] == pytest.approx(2.0)
    for one in frames:
        numbers = {face["track"]["number"]: face["box"][0] for face in one["faces"]}
        second = 1 <= one["time"] < 2, one["time"] >= 3.5
        expected = {1, *([2] if second[0] else []), *([3] if second[1] else [])}
        since = (one["frame"] - round((1 if second[0] else 3.5) * RATE)) if any(second) else 99
        assert set(numbers) == expected or (since < search_every - 1 and set(numbers) == {1})
        assert all((x > 240) == (number > 1) for number, x in numbers.items())
    with Image.open(tmp_path / "timeline.png") as plot:
        assert plot.width == 1600
    assert (tmp_path / "clip-2.mp4").exists()


def test_expressions_that_change_are_smoothed(tmp_path: Path) -> None:
    """Two faces of other labels in turn: the raw answer jumps, what is shown waits its hold."""
    recognizer = Recognizer.load(faces="whole")
    with Image.open(EXAMPLE) as image:
        first = image.convert("RGB")
    second = first.copy()
    left, top, right, bottom = (round(first.width * part) for part in (0.2, 0.55, 0.8, 0.9))
    second.paste((160, 160, 160), (left, top, right, bottom))  # the mouth is covered
    clip = write_video(
        tmp_path / "c.mkv", (second if i == 10 or i >= 20 else first for i in range(2 * RATE))
    )
    results = list(recognizer.stream(clip, tracker=Tracker(time_constant=0.2, hold=0.2)))
    faces = [result.faces[0] for result in results]
    assert {face.track.number for face in faces if face.track} == {1}
    raw = [face.emotion for face in faces]
    shown = [face.track.emotion for face in faces if face.track]
    assert raw[9] != raw[10] != raw[11]
    assert len(set(shown[:20])) == 1
    assert shown[20] == shown[0]
    assert shown[-1] == raw[-1] != shown[0]


@pytest.mark.slow
def test_memory_is_flat_over_5000_frames(tmp_path: Path) -> None:
    faces = [Image.fromarray(draw_face(i, i)).convert("RGB") for i in range(7)]
    clip = write_video(tmp_path / "long.mkv", (faces[i // 50 % 7] for i in range(5000)))
    recognizer, summary, used = Recognizer.load(faces="whole"), Summary(), []
    for result in recognizer.stream(clip):
        summary.add(result)
        if result.frame is not None and result.frame % 1000 == 999:
            used.append(resident_bytes())
    assert summary.images == 5000
    assert summary.tracked == 100  # one for each shot of 50 frames
    assert max(used) - used[0] < 8_000_000


@pytest.mark.parametrize("video", [False, True])
def test_a_bar_where_a_person_looks(tmp_path: Path, video: bool) -> None:
    """On a terminal: what is done, of how much; not where results run over the same terminal."""
    source = tmp_path / "faces"
    source.mkdir()
    for i in range(30):
        Image.fromarray(draw_face(i % 7, i)).save(source / f"{i:02}.png")
    if video:
        source = write_video(tmp_path / "c.mkv", (Image.new("RGB", (64, 64)) for _ in range(50)))
    script = "from fer_edge.cli import main; main()"
    options = ("infer", str(source), "--faces", "whole", "-o")
    command = [sys.executable, "-c", script, *options, str(tmp_path / "out.csv")]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    done = run_process(*command, capture_output=False, stderr=theirs, env=environment)
    os.close(theirs)
    output = b""
    try:
        while more := os.read(ours, 65536):
            output += more
    except OSError:  # a closed terminal raises this
        os.close(ours)
    assert done.returncode == 0, output
    assert (b"of 2 seconds of video" if video else b"30 of 30 images") in output
    assert (b"50 frames in" if video else b"30 images in") in output


def test_plots_of_several_videos(fer: Fer, tmp_path: Path) -> None:
    clips = [
        write_video(tmp_path / name, (Image.new("RGB", (64, 64)) for _ in range(9)))
        for name in ("a.mkv", "b.mkv")
    ]
    ran = fer("infer", "--faces", "whole", *clips, EXAMPLE, "--plot", tmp_path / "t.png")
    assert ran.code == 0, ran.err
    assert {p.name for p in tmp_path.glob("*.png")} == {"t.png", "t-2.png"}
    ran = fer("infer", EXAMPLE, "--plot", tmp_path / "u.png")
    assert ran.code == 1
    assert "u.png: nothing to plot, no frame of a video was read" in ran.err
    ran = fer("infer", EXAMPLE, "--plot", tmp_path / "t.xyz")
    assert (ran.code, ran.out) == (2, "")
    assert "not a file name for an image" in ran.err


def test_a_window_needs_a_display(fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    ran = fer("infer", EXAMPLE, "--show")
    assert (ran.code, ran.out) == (1, "")
    assert "DeviceError: --show needs a display" in ran.err
    assert "use --save instead, or a browser, with fer serve" in ran.err
