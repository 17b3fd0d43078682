"""`fer infer --output`: files that hold every result so far and can be resumed."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fer_edge.commands.results_file import KINDS, ResultsFile
from fer_edge.errors import ConfigError
from fer_edge.runtime.inputs.video import read_frames
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.runtime.results import Result
from tests.support.commands import Fer
from tests.support.data import draw_face
from tests.support.processes import run_process, run_python
from tests.support.videos import write_clip

SCRIPT = "from fer_edge.cli import main; main()"
STOPPED = """
import signal
from fer_edge.cli import main
from fer_edge.commands import interrupts
from fer_edge.commands.annotated_output import AnnotatedOutput
from fer_edge.runtime.drawing.timeline import Timeline

add, plot = AnnotatedOutput.add, Timeline.plot

def stop_after(self, result):
    is_open = add(self, result)
    if result.frame == {frames} - 1:
        signal.raise_signal({stop})
    return is_open

def stop_again(self):
    for number in interrupts.SIGNALS:
        signal.raise_signal(number)
    return plot(self)

AnnotatedOutput.add, Timeline.plot = stop_after, stop_again
interrupts.BURST = 600  # on a busy machine, more than 2 s may pass
main()
"""
"""A run, in a process of its own, that gets signals after some frames and as it draws its plot."""
COUNT = 6


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(COUNT):
        Image.fromarray(draw_face(i, i)).save(folder / f"{i}.png")
    return folder


def sources(path: Path) -> list[str]:
    text = path.read_text("utf-8", "surrogateescape")
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return [row["source"] for row in csv.DictReader(stream)]
    return [json.loads(line)["source"] for line in text.splitlines()]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_file_cut_anywhere_is_resumed(fer: Fer, faces: Path, tmp_path: Path, suffix: str) -> None:
    odd = [b"a\nb.png", b"a\rb.png", b"a\xff.png", b'a",b.png']
    for i, name in enumerate(odd):
        (faces / f"{i}.png").rename(faces / os.fsdecode(name))
    whole = tmp_path / f"whole{suffix}"
    ran = fer("infer", "--faces", "whole", faces, "-o", whole)
    assert (ran.code, ran.out) == (0, "")
    assert "6 images in" in ran.err
    content = whole.read_bytes()
    assert len(set(sources(whole))) == COUNT
    cuts = [0, 1, len(content) // 3, len(content) // 2, len(content) - 1, len(content)]
    for cut in cuts:
        for name in (f"cut{suffix}", f"cut{suffix}.part"):
            (tmp_path / name).write_bytes(content[:cut])
            ran = fer(
                "infer", "--faces", "whole", faces, "-o", tmp_path / f"cut{suffix}", "--resume"
            )
            assert ran.code == 0, ran.err
            assert (tmp_path / f"cut{suffix}").read_bytes() == content
            if cut == len(content):
                assert "1 image in" in ran.err
                assert f"{COUNT - 1} were already in" in ran.err
            (tmp_path / f"cut{suffix}").unlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["faces", f"whole{suffix}"]


def test_what_is_never_overwritten(fer: Fer, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    ran = fer("infer", faces, "-o", out)
    assert (ran.code, ran.out) == (2, "")
    assert "out.csv exists: continue it with --resume" in ran.err
    ran = fer("infer", faces, "-o", out, "--resume")
    assert ran.code == 2
    assert "cannot be resumed: its columns differ" in ran.err
    assert out.read_text() == "mine"
    (tmp_path / "out.csv.part").touch()
    assert "both exist" in fer("infer", faces, "-o", out, "--resume").err
    (tmp_path / "x.jsonl").write_text('{"no": 1}\n{"source": "a"}\n')
    assert (
        "x.jsonl cannot be resumed"
        in fer("infer", faces, "-o", tmp_path / "x.jsonl", "--resume").err
    )


def test_wrong_usage(fer: Fer, faces: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("--resume",), "--resume needs --output"),
        (("-o", tmp_path / "x.txt"), "end it in .jsonl, .ndjson, .csv, or add --json"),
        (("-o", tmp_path / "x.json"), "end it in .jsonl"),
        (("--csv", "-o", tmp_path / "x.jsonl"), "--csv and --output"),
        (
            ("-o", tmp_path / "x.csv", "--resume", "0"),
            "a camera or a live stream cannot be",
        ),
    ):
        ran = fer("infer", faces, *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err
    assert [p.name for p in tmp_path.iterdir()] == ["faces"]
    ran = fer("infer", faces, "-o", tmp_path / "x.txt", "--csv")
    assert ran.code == 0
    assert len(sources_of_csv(tmp_path / "x.txt")) == COUNT


def sources_of_csv(path: Path) -> list[str]:
    return [row["source"] for row in csv.DictReader(path.read_text().splitlines())]


def test_a_picture_without_a_face_is_held_too(fer: Fer, tmp_path: Path, yunet: Path) -> None:
    Image.new("RGB", (300, 200), "green").save(tmp_path / "green.png")
    Image.new("RGB", (300, 200), "blue").save(tmp_path / "red.png")
    out = tmp_path / "out.csv"
    for _ in range(2):
        ran = fer("infer", "--detector", yunet, tmp_path / "*.png", "-o", out, "--resume")
        assert ran.code == 0, ran.err
        rows = list(csv.DictReader(out.read_text().splitlines()))
        assert [Path(row["source"]).name for row in rows] == ["green.png", "red.png"]
        assert rows[0]["emotion"] == rows[0]["happy"] == rows[0]["x"] == ""
    assert "1 image in" in ran.err


def test_a_video_is_done_whole_or_anew(fer: Fer, faces: Path, tmp_path: Path) -> None:
    clip, out = write_clip(tmp_path / "clip.mkv", 8), tmp_path / "out.jsonl"
    assert fer("infer", "--faces", "whole", faces / "1.png", clip, "-o", out).code == 0
    content = out.read_bytes()
    out.write_bytes(b"".join(content.splitlines(keepends=True)[:5]))
    ran = fer("infer", "--faces", "whole", faces / "1.png", clip, "-o", out, "--resume")
    assert ran.code == 0
    assert "8 frames in" in ran.err
    assert out.read_bytes() == content


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_a_complete_file(
    faces: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    out = tmp_path / "out.csv"
    process = begun(tmp_path, faces, out)
    process.send_signal(stop)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"interrupted: the results so far are complete" in complaint
    assert b"Traceback" not in complaint
    assert sources(out) == [str(faces / f"{i}.png") for i in range(COUNT)]


def test_a_run_that_is_killed_loses_and_doubles_nothing(
    fer: Fer, faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    process = begun(tmp_path, faces, out)
    process.kill()
    process.communicate(timeout=60)
    assert not out.exists()
    assert fer("infer", "--faces", "whole", faces, "-o", out, "--resume").code == 0
    assert sources(out) == [str(faces / f"{i}.png") for i in range(COUNT)]


@pytest.mark.parametrize("stop", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_what_is_drawn_is_finished_when_a_run_is_stopped(
    tmp_path: Path, stop: signal.Signals
) -> None:
    """Also where further signals come meanwhile: the terminal closes, then the machine stops."""
    frames, out = 6, tmp_path / "out.jsonl"
    clip = write_clip(tmp_path / "clip.mkv", 20)
    options = ("--save", tmp_path / "drawn", "--plot", tmp_path / "plot.png", "-o", out)
    stopped = STOPPED.format(stop=int(stop), frames=frames)
    ran = run_python("-c", stopped, "infer", "--faces", "whole", clip, *options)
    assert ran.returncode == 1
    assert "interrupted: the results so far are complete" in ran.stderr
    assert len(sources(out)) == frames
    assert len(list(read_frames(str(tmp_path / "drawn" / "clip.mp4")))) == frames
    with Image.open(tmp_path / "plot.png") as image:
        image.load()
    names = ["clip.mkv", "drawn", "out.jsonl", "plot.png"]
    assert sorted(one.name for one in tmp_path.iterdir()) == names


def test_a_long_name_is_shortened_where_it_gets_a_number(fer: Fer, tmp_path: Path) -> None:
    names = ["é" * 125 + ".png", "é" * 125 + "a.gif", "b" * 251 + ".jpg", "b" * 250 + ".jpeg"]
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in names:
            Image.fromarray(draw_face(1, 1)).save(tmp_path / folder / name)
    ran = fer("infer", "--faces", "whole", tmp_path / "*" / "*", "--save", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert len(list((tmp_path / "out").iterdir())) == 2 * len(names)


def begun(folder: Path, faces: Path, out: Path) -> subprocess.Popen[bytes]:
    """A run that has written a result for each face, and waits for more on standard input."""
    command = [sys.executable, "-c", SCRIPT, "infer", "--faces", "whole", "-", "-o", str(out)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin
    for i in range(COUNT):
        process.stdin.write(os.fsencode(faces / f"{i}.png") + b"\n")
    process.stdin.flush()
    part = folder / "out.csv.part"
    for _ in range(600):
        if part.exists() and part.read_bytes().count(b"\n") == COUNT + 1:
            return process
        time.sleep(0.1)
    process.kill()
    raise AssertionError(process.communicate())


def test_a_full_disk(tmp_path: Path) -> None:
    """What was written in part is taken away again, the rest stays."""
    recognizer = Recognizer.load(faces="whole")
    result = recognizer(draw_face(1, 1))

    class Full:
        """The disk takes half a line more."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, content: memoryview) -> int:
            if len(content) < 20:
                raise OSError(28, "No space left on device")
            return int(self.file.write(content[: len(content) // 2]))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    def fill() -> None:
        with ResultsFile(tmp_path / "x.csv", "csv", recognizer.spec, resume=False) as output:
            output.add(result)
            output._file = Full(output._file)  # type: ignore[assignment]
            output.add(result)

    with pytest.raises(OSError, match=r"No space left on device: '.*x.csv'$"):
        fill()
    assert sources(tmp_path / "x.csv") == ["array"]
    assert (tmp_path / "x.csv").read_bytes().endswith(b"\n")


def test_a_full_disk_behind_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stdout", Full())
    with pytest.raises(OSError, match=r"No space left on device: 'standard output'$"):
        ResultsFile(None, "json", Recognizer.load().spec, resume=False)


def test_every_kind_has_a_line_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    recognizer = Recognizer.load(faces="whole")
    for kind in KINDS:
        with ResultsFile(None, kind, recognizer.spec, resume=False) as output:
            output.add(recognizer(draw_face(1, 1)))
        assert "array" in capsys.readouterr().out


def test_a_folder_that_can_not_be_written(fer: Fer, faces: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option in ("--output", "--save"):
        ran = fer("infer", faces, option, tmp_path / "file" / "x.csv")
        assert ran.code == 1
        assert str(tmp_path / "file") in ran.err
        assert "Traceback" not in ran.err


def test_config_errors_leave_nothing(tmp_path: Path) -> None:
    spec = Recognizer.load().spec
    (tmp_path / "x.csv").write_text("source,a\nb,1,2\n")
    with pytest.raises(ConfigError, match="its columns differ"):
        ResultsFile(tmp_path / "x.csv", "csv", spec, resume=True)
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"]


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    recognizer = Recognizer.load(faces="whole")
    path = tmp_path / "x.csv"
    with ResultsFile(path, "csv", recognizer.spec, resume=False) as output:
        output.add(recognizer(draw_face(1, 1)))
        with pytest.raises(ConfigError, match="another process is writing it"):
            ResultsFile(path, "csv", recognizer.spec, resume=True)
    assert sources(path) == ["array"]


@pytest.mark.parametrize("name", ["", ".", "/dev/null"])
def test_what_is_no_file(fer: Fer, faces: Path, name: str) -> None:
    ran = fer("infer", faces, "--csv", "-o", name)
    assert (ran.code, ran.out) == (2, "")
    assert "not a file" in ran.err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams(faces: Path, tmp_path: Path, closed: str) -> None:
    """As a service or cron may start it."""
    out = tmp_path / "out.csv"
    command = f'"$0" -c "{SCRIPT}" infer --faces whole "$1" -o "$2" {closed}'
    done = run_process("sh", "-c", command, sys.executable, faces, out, text=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert len(sources(out)) == COUNT


def test_a_closed_list() -> None:
    command = ["sh", "-c", f'"$0" -c "{SCRIPT}" infer - <&-', sys.executable]
    done = run_process(*command, text=False)
    assert done.returncode == 1
    assert b"SourceError: standard input is closed" in done.stderr


def test_a_picture_that_is_gone_when_it_is_drawn(
    fer: Fer, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plot = Result.plot

    def gone(self: Result) -> Image.Image:
        if self.source.endswith("2.png"):
            Path(self.source).unlink()
        return plot(self)

    monkeypatch.setattr(Result, "plot", gone)
    ran = fer("infer", "--faces", "whole", faces, "--save", tmp_path / "out")
    assert ran.code == 1
    assert "2.png: there is no such file" in ran.err
    assert len(list((tmp_path / "out").iterdir())) == COUNT - 1
