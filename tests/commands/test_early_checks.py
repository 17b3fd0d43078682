"""A command that can't write its results fails before the long work."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_edge.export import int8_search
from fer_edge.train.data import loading
from fer_edge.train.evaluation import evaluate
from tests.support.commands import Fer
from tests.support.networks import make_checkpoint


def test_a_report_that_cannot_be_written(
    fer: Fer, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = make_checkpoint("tiny", tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr(evaluate, "evaluate", pytest.fail)
    ran = fer("evaluate", checkpoint, "--data", csv_file, "--output", tmp_path / "file" / "report")
    assert (ran.code, ran.out) == (1, "")
    assert "Not a directory" in ran.err
    assert str(tmp_path / "file") in ran.err


def test_an_average_that_cannot_be_written(
    fer: Fer, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = make_checkpoint("tiny", tmp_path)
    output = tmp_path / "file" / "mean"
    output.parent.touch()
    monkeypatch.setattr(loading, "read_data", pytest.fail)
    ran = fer("average", checkpoint, checkpoint, "--data", csv_file, "--output", output)
    assert (ran.code, ran.out) == (1, "")
    assert "Not a directory" in ran.err
    assert str(output.parent) in ran.err


def test_an_export_that_would_replace_another_file(
    fer: Fer, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = make_checkpoint("tiny", tmp_path)
    path = tmp_path / "m.onnx"
    path.write_text("notes")
    monkeypatch.setattr(int8_search, "search_int8_recipe", pytest.fail)
    options = ("--precision", "int8", "--int8-search", "--data", csv_file, "--output", path)
    ran = fer("export", checkpoint, *options)
    assert (ran.code, ran.out) == (2, "")
    assert "m.onnx exists and has no readable spec" in ran.err
    assert path.read_text() == "notes"
