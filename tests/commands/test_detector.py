"""`fer detector label, train, evaluate, export`: the whole way on synthetic photographs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fer_edge.runtime.formats.spec_reader import read_detector_spec
from tests.support.commands import Fer, plain_text
from tests.support.detectors import save_detector
from tests.support.photographs import write_photographs


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_detector(tmp_path_factory.mktemp("detector"))


def test_label(fer: Fer, yunet: Path, photographs: Path, tmp_path: Path) -> None:
    output = tmp_path / "l.json"
    ran = fer("detector", "label", photographs, "--output", output, "--detector", yunet)
    assert ran.code == 0
    assert ran.out.startswith("labelled 18 photographs")
    assert json.loads(output.read_text())["photographs"].keys() >= {"val/animal/animal-0.png"}


def test_train_and_resume(fer: Fer, photographs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = ["--pieces", 8, "--batch-size", 8, "--piece-side", 64, "--max-face", 60]
    ran = fer(
        *("detector", "train", photographs, "--labels", photographs / "labels.json"),
        *("--epochs", 1, "--workers", 0, "--output", run, *settings),
    )
    assert ran.code == 0
    assert "of 6 marked faces" in ran.out
    assert "train: 12 photographs, 12 faces" in ran.err
    spec = read_detector_spec(run / "model.safetensors")
    assert spec.data.faces == {"train": 12, "val": 6}
    again = fer("detector", "train", "--output", run, "--resume", "--json")
    assert again.code == 0
    assert json.loads(again.out)["metrics"] == list(spec.to_dict()["metrics"])
    ran = fer("detector", "train", photographs, "--output", run)
    assert (ran.code, ran.out) == (2, "")
    assert "PHOTOS and --labels are missing" in ran.err


def test_train_from_a_run(fer: Fer, photographs: Path, checkpoint: Path, tmp_path: Path) -> None:
    """The folder of a run stands for its checkpoint."""
    given = ("detector", "train", photographs, "--labels", photographs / "labels.json")
    settings = ("--pieces", 8, "--batch-size", 8, "--piece-side", 64, "--max-face", 60)
    (tmp_path / "first").mkdir()
    shutil.copy(checkpoint, tmp_path / "first" / "model.safetensors")
    for option, source, output in (("--weights", "first", "second"), ("--from", "second", "int8")):
        ran = fer(
            *(*given, *settings, "--epochs", 1, option, tmp_path / source),
            *("--output", tmp_path / output),
        )
        assert ran.code == 0, ran.err
        # an int8 run keeps the float model's metrics
        assert ran.out.startswith("the float model on val at" if output == "int8" else "val at")
    assert read_detector_spec(tmp_path / "int8" / "model.safetensors").quantization.int8
    ran = fer(*given, "--weights", checkpoint, "--from", checkpoint)
    assert (ran.code, ran.out) == (2, "")
    assert "--weights and --from are both given" in ran.err


def test_evaluate(fer: Fer, photographs: Path, checkpoint: Path) -> None:
    given = ("detector", "evaluate", checkpoint, photographs)
    labels = ("--labels", photographs / "labels.json")
    ran = fer(*given, *labels, "--side", 160, "--side", 96)
    assert ran.code == 0
    assert "false in animal" in plain_text(ran.out)
    ran = fer(*given, *labels, "--side", 96, "--int8", "--score", 0.9, "--json")
    report = json.loads(ran.out)
    assert report["score_threshold"] == 0.9
    assert report["metrics"]["side"] == 96
    assert sum(count for count, _ in report["recall_by_size"].values()) == 6


def test_export(fer: Fer, checkpoint: Path, photographs: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.ncnn.param"
    ran = fer("detector", "export", checkpoint, "--format", "ncnn", "--output", path)
    assert ran.code == 0
    assert f"wrote {path}" in ran.out
    assert "the golden samples alone" in ran.err
    compared = ("--photographs", photographs, "--labels", photographs / "labels.json")
    ran = fer(
        *("detector", "export", checkpoint, "--format", "ncnn", "--output", path),
        *(*compared, "--score", 0.4, "--force", "--json"),
    )
    assert read_detector_spec(path).score_threshold == 0.4
    assert json.loads(ran.out)["parity"]["photographs"] == 6
    ran = fer("detector", "export", checkpoint, "--photographs", photographs)
    assert ran.code == 2
    assert "belong together" in ran.err
