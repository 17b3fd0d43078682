"""A command is killed at each file to which it gives its final name, and started again."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.runtime.inputs.video import read_frames
from tests.support.networks import make_checkpoint
from tests.support.processes import KILL_AT_RENAME, run_python
from tests.support.videos import write_clip

KILL = f"""{KILL_AT_RENAME}
import shutil
from fer_edge.cli import main

folder, arguments = Path(sys.argv[1]), sys.argv[2:]


def run(name, number=0):
    kill_at(number)
    (folder / name).mkdir(exist_ok=True)
    os.chdir(folder / name)
    sys.argv = ["fer", *arguments]
    main()


assert in_child(run, "unbroken") == 0
number = 1
while (code := in_child(run, str(number), number)) == -signal.SIGKILL:
    shutil.copytree(folder / str(number), folder / ("killed " + str(number)))
    assert in_child(run, str(number)) == 0, number
    number += 1
assert code == 0, code
"""


def run_killed(folder: Path, *arguments: object) -> tuple[Path, list[Path], list[Path]]:
    """The folders of an unbroken run, of the killed ones, and of these after another run."""
    folder.mkdir()
    done = run_python("-c", KILL, folder, *arguments)
    assert done.returncode == 0, done.stderr
    folders = sorted(folder.iterdir())
    killed = [one for one in folders if one.name.startswith("killed")]
    completed = [one for one in folders if one.name.isdecimal()]
    for one in (folder / "unbroken", *completed):
        assert not list(one.rglob(".fer-*"))
    return folder / "unbroken", killed, completed


@pytest.mark.slow
def test_results_and_what_is_drawn(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", 4)
    options = ("-o", "out.csv", "--resume", "--save", "drawn", "--plot", "plot.png")
    unbroken, killed, completed = run_killed(
        tmp_path / "runs", "infer", "--faces", "whole", clip, *options
    )
    assert len(killed) == 3
    for run in (unbroken, *completed):
        assert (run / "out.csv").read_bytes() == (unbroken / "out.csv").read_bytes()
    for run in (unbroken, *killed, *completed):
        for video in run.rglob("*.mp4"):
            if video.parent.name == "drawn":
                assert len(list(read_frames(str(video)))) == 4
        for plot in run.glob("*.png"):
            with Image.open(plot) as image:
                image.load()


@pytest.mark.slow
def test_an_exported_file(tmp_path: Path) -> None:
    source = make_checkpoint("tiny", tmp_path)
    unbroken, killed, completed = run_killed(tmp_path / "runs", "export", source, "--name", "m")
    assert len(killed) == 3
    for run in killed:  # no model without its reports
        assert not (run / "m-fp32.onnx").exists()
    for run in (unbroken, *completed):
        assert read_spec(run / "m-fp32.onnx").parity
        assert (run / "m-fp32.onnx.parity.json").is_file()
