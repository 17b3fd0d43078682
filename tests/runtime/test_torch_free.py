"""The base install's promise: a prediction with none of the heavy packages importable."""

from __future__ import annotations

import json
from pathlib import Path

from fer_edge.runtime.formats.model_files import bundled
from tests.support.files import EXAMPLE
from tests.support.processes import run_base_install


def test_infer_needs_no_torch() -> None:
    done = run_base_install("infer", "--json", EXAMPLE)
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)["faces"]
    assert face["emotion"] == "happy"
    assert abs(sum(face["probabilities"].values()) - 1) < 1e-6


def test_a_video_without_pyav_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    done = run_base_install("infer", tmp_path / "clip.mp4")
    assert (done.returncode, done.stdout) == (1, "")
    assert "MissingExtraError: av is not installed: pip install 'fer-edge[video]'" in done.stderr


def test_info_needs_no_torch() -> None:
    done = run_base_install("info", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["quantization"]["precision"] == "int8"


def test_what_needs_torch_says_how_to_get_it(tmp_path: Path) -> None:
    for command, extra in (
        (["export", "--output", tmp_path], "export"),
        (["parity", bundled("checkpoint"), bundled("model")], "export"),
        (["evaluate", bundled("checkpoint"), "--data", "x.csv"], "train"),
        (["train", "--data", "x.csv"], "train"),
    ):
        # with and without the lightest package of the extra: never a traceback
        for there in ("", "matplotlib"):
            done = run_base_install(*command, extra=there)
            assert done.returncode == 1
            assert done.stdout == ""
            assert f"pip install 'fer-edge[{extra}]'" in done.stderr
            assert "Traceback" not in done.stderr


def test_data_are_inspected_without_torch(csv_file: Path) -> None:
    done = run_base_install("data", "inspect", csv_file)
    assert done.returncode == 0, done.stderr
