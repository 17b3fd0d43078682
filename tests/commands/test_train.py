"""`fer train`, and what is done with its checkpoint, on a tiny architecture."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fer_edge.runtime.formats.spec_reader import read_spec
from tests.support.commands import Fer, plain_text
from tests.support.data import write_votes
from tests.support.files import EXAMPLE

pytestmark = pytest.mark.usefixtures("exporter")


def test_train_evaluate_export_parity(
    fer: Fer, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way once, small."""
    monkeypatch.chdir(tmp_path)
    ran = fer(
        *("train", "--data", csv_file, "--arch", "tiny", "--weights", "none"),
        *("--epochs", 1, "--batch-size", 14, "--output", "run", "--version", "0.1"),
    )
    assert ran.code == 0, ran.err
    assert "epoch 1/1" in ran.err
    assert "fer-tiny" in ran.out
    assert "version 0.1" in plain_text(fer("info", "run").out)
    ran = fer("train", "--data", csv_file, "--output", "run")
    assert ran.code == 2
    assert "--resume" in ran.err

    checkpoint, model = Path("run/model.safetensors"), Path("run/fer-tiny-fp32.onnx")
    ran = fer("export", checkpoint, "--data", csv_file, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert document["path"] == str(model)
    assert document["parity"]["n"] == 14
    assert model.exists()
    assert Path(document["report"]).exists()
    assert Path(document["html_report"]).exists()

    ran = fer("parity", checkpoint, model, "--data", csv_file, "--json")
    assert ran.code == 0
    golden, test = map(json.loads, ran.out.splitlines())
    assert golden["passed"]
    assert test["passed"]
    assert set(test) >= {
        "n", "agreement", "max_abs_logit_diff", "accuracy_reference", "accuracy_exported",
        "passed", "failures",
    }  # fmt: skip

    reports = []
    for file in (checkpoint, model):
        ran = fer("evaluate", file, "--data", csv_file, "--json")
        assert ran.code == 0, ran.err
        reports.append(json.loads(ran.out))
        assert reports[-1]["size"] == file.stat().st_size
    for file in (checkpoint, model):
        folder = Path("run", "evaluation", f"{file.name}-test")
        assert (folder / "confusion.png").exists()
    ran = fer("evaluate", model, "--data", csv_file, "--split", "val", "--output", folder)
    assert (ran.code, "--force" in ran.err) == (2, True)
    assert reports[0]["confusion"] == reports[1]["confusion"]
    assert reports[0]["accuracy"] == test["accuracy_exported"]

    ran = fer("evaluate", model, "--data", csv_file, "--without-duplicates", "--json")
    assert json.loads(ran.out)["split"] == "test"
    assert json.loads(ran.out)["left_out"] == 14 - json.loads(ran.out)["n"]
    ran = fer("evaluate", model, "--data", csv_file, "--without-duplicates", "--split", "train")
    assert (ran.code, "copies of train" in ran.err) == (2, True)
    ran = fer("evaluate", model, checkpoint, "--data", csv_file, "--json", "--output", "both")
    first, second, both = map(json.loads, ran.out.splitlines())
    assert (first["confusion"], first["model"]) == (second["confusion"], str(model))
    assert both["models"] == [str(model), str(checkpoint)]
    assert both["variation"]["accuracy"]["std"] == 0
    assert both["variation"]["accuracy"]["mean"] == pytest.approx(test["accuracy_exported"])
    assert {path.name for path in Path("both").iterdir()} == {
        model.name, checkpoint.name,
    }  # fmt: skip
    ran = fer("evaluate", model, Path(model).absolute(), "--data", csv_file)
    assert (ran.code, "given twice" in ran.err) == (2, True)
    people = write_votes(tmp_path / "votes.csv")
    ran = fer("evaluate", model, "--data", csv_file, "--ferplus", people, "--json")
    found = json.loads(ran.out)["annotators"]
    assert found["n"] + sum(found["left_out"].values()) == 14
    assert (folder / "annotators.png").exists()
    ran = fer("evaluate", model, checkpoint, "--data", csv_file, "--ferplus", people)
    assert "FER+'s ten annotators" in ran.out
    assert "2 models" in ran.out

    ran = fer("parity", checkpoint, checkpoint)
    assert (ran.code, "the second file is the exported one" in ran.err) == (2, True)
    ran = fer("parity", model, model)
    assert (ran.code, "the first file is the checkpoint" in ran.err) == (2, True)
    ran = fer("export", model)
    assert (ran.code, "only a checkpoint can be exported" in ran.err) == (2, True)

    assert fer("infer", "--model", model, EXAMPLE).code == 0
    ran = fer("export", checkpoint, "--output", "x.xml")
    assert ran.code == 2
    assert "writes a file that ends in .onnx" in ran.err


def test_int8_as_it_is_typed(
    fer: Fer, larger_csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A float run, its QAT model, and both kinds of int8 file."""
    monkeypatch.chdir(tmp_path)
    # the search is the same without the slow ways to set ranges, which have tests of their own
    monkeypatch.setattr("fer_edge.export.int8_search._RANGES", ("mse", "minmax"))
    data = ("--data", larger_csv_file)
    ran = fer(
        *("train", *data, "--arch", "tiny", "--weights", "none"),
        *("--epochs", 1, "--batch-size", 21, "--output", "run"),
    )
    assert ran.code == 0, ran.err
    named = ("--name", "face", "--version", "7")
    ran = fer("train", "--qat", "--from", "run", *data, "--epochs", 1, "--output", "qat", *named)
    assert ran.code == 0, ran.err
    assert [read_spec(Path(f"{run}/model.safetensors")).title for run in ("run", "qat")] == [
        "fer-tiny",
        "face 7",
    ]
    assert "next: fer export qat/model.safetensors --precision int8 --data" in ran.err
    ran = fer("train", "--qat", "--from", "run/config.json", *data, "--output", "x")
    assert (ran.code, "--from run/config.json: neither a run's folder nor a .saf" in ran.err) == (
        2,
        True,
    )
    ran = fer("train", "--qat", "--resume", "--output", "run")
    assert (ran.code, "run: not a run of --qat" in ran.err) == (2, True)
    ran = fer("train", "--qat", "--resume", "--from", "run", "--output", "qat")
    assert ran.code == 0, ran.err

    any_gate = ("--min-agreement", 0, "--max-accuracy-loss", 1, "--max-recall-loss", 1)
    export = ("export", "--precision", "int8", *any_gate)
    ran = fer(*export, "qat/model.safetensors", "--output", "qat.onnx")
    assert ran.code == 0, ran.err
    assert "only the golden samples were compared: add --data" in ran.err
    assert "times as fast" in ran.out
    assert "accuracy: float " in fer("parity", "qat/model.safetensors", "qat.onnx", *data).out

    ran = fer(*export, "run/model.safetensors", *data, "--int8-search", "--output", "found.onnx")
    assert ran.code == 0, ran.err
    assert "int8 search on val" in ran.err
    ran = fer(*export, "run/model.safetensors", *data, "--int8-like", "found.onnx")
    assert ran.code == 0, ran.err
    assert re.search(r"calibration on \d+ faces of .* train, up to \d+ per label", ran.err)
    again = Path("run/fer-tiny-int8.onnx")
    recipes = [read_spec(path).quantization.int8 for path in (again, Path("found.onnx"))]
    assert recipes[0] == recipes[1]


def test_wrong_usage(fer: Fer) -> None:
    for arguments, message in (
        ((), "--data is missing"),
        (("--data", "x", "--from", "y"), "--from needs --qat"),
        (("--data", "x", "--epochs", 0), "epochs must be at least 1, not 0"),
        (("--data", "x", "--recipe", "fine"), "the recipes are base, "),
    ):
        ran = fer("train", *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err
