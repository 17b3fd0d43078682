from __future__ import annotations

import json
from pathlib import Path

import pytest

import fer_edge
from fer_edge.runtime.formats.model_files import bundled
from tests.support.commands import Fer
from tests.support.networks import make_checkpoint, with_float32_weights


def test_no_report_replaces_that_of_another_model(
    fer: Fer, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models with one file name: each has a folder, in its run or in the current one."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "away"):
        Path(name).mkdir()
    first = make_checkpoint("tiny", Path("a"))
    second = with_float32_weights(first, Path("away")).rename(Path("b") / first.name)

    def evaluate(*arguments: object) -> int:
        return fer("evaluate", *arguments, "--data", csv_file).code

    assert (evaluate(first), evaluate(second)) == (0, 0)
    folders = list(Path().glob(f"evaluation-{first.name}-test-*"))
    reports = [json.loads((folder / "report.json").read_text()) for folder in folders]
    assert {report["model"] for report in reports} == {str(first), str(second)}
    for run in (first.parent, second.parent):
        (run / "config.json").touch()
    assert (evaluate(first), evaluate(second)) == (0, 0)
    for model in (first, second):
        path = model.parent / "evaluation" / f"{model.name}-test" / "report.json"
        assert json.loads(path.read_text())["model"] == str(model)

    assert evaluate(first, "--output", "one") == 0
    before = Path("one", "report.json").read_bytes()
    assert evaluate(second, "--output", "one") == 2
    assert Path("one", "report.json").read_bytes() == before
    assert evaluate(second, "--output", "one", "--force") == 0
    assert json.loads(Path("one", "report.json").read_text())["model"] == str(second)


def test_no_report_replaces_that_of_another_engine(
    fer: Fer, csv_file: Path, tmp_path: Path
) -> None:
    given = ("evaluate", bundled("model"), "--data", csv_file, "--output", tmp_path)
    assert fer(*given, "--backend", "onnxruntime").code == 0
    ran = fer(*given, "--backend", "openvino")
    assert (ran.code, "under another engine, onnxruntime: name another" in ran.err) == (2, True)
    assert fer(*given, "--backend", "openvino", "--force").code == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["engine"], report["device"]) == ("openvino", "cpu")


def test_a_run_is_named_by_its_folder(fer: Fer, csv_file: Path, tmp_path: Path) -> None:
    model = make_checkpoint("tiny", tmp_path).rename(tmp_path / "model.safetensors")
    (tmp_path / "config.json").touch()
    ran = fer("evaluate", tmp_path, "--data", csv_file, "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert (report["model"], report["engine"]) == (str(model), "pytorch")
    path = tmp_path / "evaluation" / "model.safetensors-test" / "report.json"
    assert json.loads(path.read_text()) == report
    called = fer_edge.evaluate(tmp_path, csv_file)
    assert json.loads(json.dumps(called.to_dict())) == report
    assert fer_edge.export(tmp_path).path.parent == tmp_path
    ran = fer("evaluate", tmp_path, model, "--data", csv_file)
    assert (ran.code, "a model is given twice" in ran.err) == (2, True)
