from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import ConfigError
from fer_edge.train.data.dataset import Faces
from fer_edge.train.data.ferplus import COLUMNS, Votes
from fer_edge.train.evaluation import plots
from fer_edge.train.evaluation.annotator_agreement import compare_with_annotators
from fer_edge.train.evaluation.evaluate import Model, evaluate
from fer_edge.train.evaluation.report_folder import (
    check_report_folder,
    default_report_folder,
    write_report,
)


def check(folder: Path, model: Model, faces: Faces, split: str = "test", **votes: bool) -> None:
    sha256, of_faces = model.sha256, faces.sha256()
    engine, device = model.engine, model.device
    check_report_folder(folder, sha256, of_faces, split, engine=engine, device=device, **votes)


def test_report_and_figures(model: Model, faces: Faces, tmp_path: Path) -> None:
    report = evaluate(model, faces, "test")
    files = write_report(report, faces, tmp_path / "a" / "b")
    assert [file.name for file in files] == [
        "report.json", "confusion.png", "reliability.png", "gallery.png",
    ]  # fmt: skip
    assert sorted(files) == sorted((tmp_path / "a" / "b").iterdir())
    assert json.loads(files[0].read_text()) == json.loads(json.dumps(report.to_dict()))
    for path in files[1:]:
        with Image.open(path) as image:
            assert min(image.size) > 300
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "b"]


def test_the_report_of_another_evaluation_is_kept(
    model: Model, faces: Faces, tmp_path: Path
) -> None:
    report = evaluate(model, faces, "test")
    write_report(report, faces, tmp_path)
    before = (tmp_path / "report.json").read_bytes()
    fewer = faces.take(np.arange(len(faces) - 1))
    for other, on, split, message in (
        (replace(model, sha256="bb"), faces, "test", r"of another model, m\.onnx"),
        (model, fewer, "test", r"on other faces \(other data, or another --faces\)"),
        (model, faces, "val", "on another split, test"),
        (replace(model, engine="openvino"), faces, "test", "under another engine, onnxruntime"),
        (replace(model, device="gpu"), faces, "test", "on another device, cpu"),
    ):
        expected = rf"{tmp_path}: holds a report {message}: .*--output.*--force"
        with pytest.raises(ConfigError, match=expected):
            check(tmp_path, other, on, split)
        with pytest.raises(ConfigError, match=expected):
            write_report(evaluate(other, on, split), on, tmp_path)
    assert (tmp_path / "report.json").read_bytes() == before
    write_report(evaluate(model, fewer, "test"), fewer, tmp_path, force=True)
    assert json.loads((tmp_path / "report.json").read_text())["n"] == len(fewer)


def test_the_same_evaluation_replaces_its_report(
    model: Model, faces: Faces, tmp_path: Path
) -> None:
    report = evaluate(model, faces, "test")
    votes = Votes(np.eye(len(COLUMNS), dtype=np.int64)[[0] * len(faces)] * 10)
    agreement = compare_with_annotators(report, votes)
    write_report(report, faces, tmp_path)
    moved = replace(model, name="elsewhere/m.onnx")
    check(tmp_path, moved, faces)
    files = write_report(evaluate(moved, faces, "test"), faces, tmp_path, agreement)
    document = json.loads(files[0].read_text())
    assert (document["model"], document["annotators"]["n"]) == ("elsewhere/m.onnx", 14)
    assert files[-1].name == "annotators.png"
    with pytest.raises(ConfigError, match="holds a report with FER\\+'s votes"):
        check(tmp_path, model, faces)
    check(tmp_path, model, faces, has_votes=True)


@pytest.mark.parametrize("content", ["", "[]", '{"model": "m"}'])
def test_a_foreign_report_is_kept(model: Model, faces: Faces, tmp_path: Path, content: str) -> None:
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ConfigError, match="holds a report of another model"):
        check(tmp_path, model, faces)


def test_a_failure_leaves_the_old_report(
    model: Model, faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = evaluate(model, faces, "test")
    write_report(report, faces, tmp_path / "r")
    before = {file: file.read_bytes() for file in (tmp_path / "r").iterdir()}

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(plots, "save_figure", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(report, faces, tmp_path / "r")
    assert {file: file.read_bytes() for file in (tmp_path / "r").iterdir()} == before
    assert list(tmp_path.iterdir()) == [tmp_path / "r"]


def test_default_folders_differ(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").touch()
    in_run = [run / "model.safetensors", run / "fer.onnx"]
    outside = [(tmp_path / "a" / "m.onnx", "1" * 64), (tmp_path / "b" / "m.onnx", "2" * 64)]
    folders = [
        *(default_report_folder(path, "0" * 64, split) for path in in_run for split in "ab"),
        *(default_report_folder(path, sha256, "a") for path, sha256 in outside),
        default_report_folder(in_run[0], "0" * 64, "a", without_duplicates=True),
        default_report_folder(*outside[0], "a", without_duplicates=True),
    ]
    assert len(set(folders)) == len(folders)
    assert folders[0] == run / "evaluation" / "model.safetensors-a"
    assert folders[4] == Path("evaluation-m.onnx-a-11111111")


def test_a_label_without_a_font_is_logged(
    model: Model, faces: Faces, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = ("\ue123", *model.spec.labels[1:])  # private use: in no font
    named = replace(model, spec=replace(model.spec, labels=labels))
    write_report(evaluate(named, faces, "test"), faces, tmp_path)
    assert "no font here has \ue123 (U+E123)" in caplog.text
    assert "apt install fonts-noto" in caplog.text
