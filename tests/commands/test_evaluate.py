from __future__ import annotations

import json
from pathlib import Path

import pytest

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
