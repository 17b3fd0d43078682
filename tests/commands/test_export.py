"""`fer export`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fer_edge.train.networks import checkpoint as checkpoints
from tests.support.commands import Fer, plain_text
from tests.support.requirements import needs_ncnn

pytestmark = pytest.mark.usefixtures("exporter")


@pytest.fixture
def other_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint of the same name with other weights."""
    other = checkpoints.load(tiny_checkpoint)
    for parameter in other.model.parameters():
        parameter.data *= 1.25
    path = tmp_path / "other" / "model.safetensors"
    checkpoints.save(other, path)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--int8-search",), "need --precision int8"),
        (("--precision", "int8", "--int8-search"), "--int8-search needs --data"),
        (
            ("--precision", "int8", "--int8-search", "--data", "x", "--split", "val"),
            "the comparison must use --split test",
        ),
        (("--format", "onnx,tflite"), "--format 'tflite': choose from onnx, openvino, ncnn"),
        (("--precision", "int4"), "--precision 'int4': choose from fp32, fp16, int8"),
        (("--precision", "fp32,fp16", "--output", "x.onnx"), "--output must be a folder"),
        (("--format", "ncnn", "--precision", "int8"), "ncnn has no int8"),
    ],
)
def test_wrong_usage(
    fer: Fer, tiny_checkpoint: Path, arguments: tuple[str, ...], message: str
) -> None:
    ran = fer("export", tiny_checkpoint, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_a_matrix_keeps_what_works(fer: Fer, tiny_checkpoint: Path, tmp_path: Path) -> None:
    """int8 without data fails, ncnn has no int8; the other files are written all the same."""
    needs_ncnn()
    matrix = ("--format", "onnx,openvino,ncnn", "--precision", "fp32", "--precision", "int8")
    ran = fer("export", tiny_checkpoint, *matrix, "--output", tmp_path)
    assert ran.code == 1
    shown = plain_text(ran.out)
    for name in ("onnx", "xml", "ncnn.param"):
        assert (tmp_path / f"fer-tiny-fp32.{name}").is_file()
        assert not (tmp_path / f"fer-tiny-int8.{name}").exists()
    assert (shown.count(" written "), shown.count("failed: ")) == (3, 2)
    assert "skipped: ncnn quantizes activations differently" in shown
    assert ran.err.count("Error: ") == 2

    ran = fer("export", tiny_checkpoint, "--format", "onnx,openvino", "--json", "-o", tmp_path)
    assert ran.code == 0, ran.err
    assert [json.loads(line)["format"] for line in ran.out.splitlines()] == ["onnx", "openvino"]


def test_json_has_a_document_for_every_file(
    fer: Fer, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    matrix = ("--format", "onnx,ncnn", "--precision", "int8")
    ran = fer("export", tiny_checkpoint, *matrix, "--json", "--output", tmp_path)
    assert ran.code == 1
    failed, skipped = map(json.loads, ran.out.splitlines())
    assert failed.pop("error").startswith("ConfigError: ")
    assert skipped.pop("skipped").startswith("ncnn quantizes activations differently")
    for document, format, suffix in ((failed, "onnx", "onnx"), (skipped, "ncnn", "ncnn.param")):
        path = str(tmp_path / f"fer-tiny-int8.{suffix}")
        assert document == {"path": path, "format": format, "precision": "int8"}


def test_every_output_is_checked_before_the_first_is_written(
    fer: Fer, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    protected = tmp_path / "fer-tiny-fp16.onnx"
    protected.write_text("notes")
    matrix = ("--precision", "fp32,fp16", "--output", tmp_path)
    ran = fer("export", tiny_checkpoint, *matrix)
    assert (ran.code, ran.out) == (2, "")
    assert f"ConfigError: {protected} exists and has no readable spec" in ran.err
    assert list(tmp_path.iterdir()) == [protected]
    assert fer("export", tiny_checkpoint, *matrix, "--force").code == 0


def test_no_file_is_lost(
    fer: Fer,
    tiny_checkpoint: Path,
    other_checkpoint: Path,
    csv_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither one of another checkpoint nor one compared on more faces, unless with --force."""
    monkeypatch.chdir(tmp_path)
    model = Path("fer-tiny-fp32.onnx")
    data = ("--data", csv_file)
    for _ in range(2):  # the same command again replaces its own file
        assert fer("export", tiny_checkpoint, *data).code == 0
    content = model.read_bytes()
    for arguments, reason in (
        ((other_checkpoint, *data), "comes from another checkpoint"),
        ((tiny_checkpoint,), "this export would be on 16 golden samples alone"),
    ):
        ran = fer("export", *arguments)
        assert (ran.code, ran.out) == (2, "")
        for text in (f"ConfigError: {model} exists and ", reason, "--force", "--output"):
            assert text in ran.err
        assert model.read_bytes() == content
    assert fer("export", other_checkpoint, "--name", "mine").code == 0
    assert Path("mine-fp32.onnx").is_file()
    assert fer("export", other_checkpoint, "--force").code == 0
    assert model.read_bytes() != content


def test_export_without_the_gate(fer: Fer, tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    export = ("export", tiny_checkpoint, "--output", path)
    for options in (("--min-agreement", 1), ("--gate", tmp_path / "none.toml")):
        ran = fer(*export, "--no-gate", *options)
        assert (ran.code, "ConfigError: --no-gate" in ran.err) == (2, True)
    ran = fer(*export, "--max-logit-diff", 1e-12)
    assert ran.code == 1
    assert "times the threshold of 1e-12. What to try: " in ran.err
    assert list(tmp_path.iterdir()) == []

    ran = fer(*export, "--no-gate")
    assert ran.code == 0
    assert "--no-gate: no file was refused; thresholds missed: 0" in ran.err
    assert f"{path}.parity.json and {path}.parity.html" in ran.out
    ran = fer("info", path)
    assert "gate off: no threshold was enforced" in plain_text(ran.out)
