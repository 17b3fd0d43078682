from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from fer_edge.atomic import check_writable
from fer_edge.errors import ConfigError, DataError
from fer_edge.export.exporter import export_checkpoint
from fer_edge.export.output import check_output, check_replaceable, resolve_output
from fer_edge.export.thresholds import Gate
from fer_edge.export.to_onnx import write_onnx
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec, ParitySummary, Quantization
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.loading import read_data
from fer_edge.train.networks import checkpoint as checkpoints

WAYS_OUT = "pass --force to replace it, or choose another file with --output or --name"


@pytest.fixture
def data(csv_file: Path) -> FaceData:
    """14 faces in test."""
    return read_data(csv_file)


def existing(path: Path, spec: ModelSpec, source: Path, proof: ParitySummary | None) -> Path:
    """A file with nothing but a spec: what `check_output` looks at."""
    graph = onnx.helper.make_graph([], "empty", [], [])
    spec = replace(
        spec,
        source_sha256=checkpoints.sha256(source),
        quantization=Quantization("fp32", "fp32"),
        parity=proof,
    )
    write_onnx(onnx.helper.make_model(graph), spec, path)
    return path


GOLDEN = ParitySummary("golden", 16, 1.0, 0.0, None, None, passed=True)
SPLIT = ParitySummary("test", 14, 1.0, 0.0, 0.5, 0.5, passed=True)
LARGE = replace(SPLIT, n=3589)
LOOSE = Gate(changes={"agreement": 0.5})
OFF = Gate(enforced=False)


@pytest.mark.parametrize(
    ("proof", "with_data", "gate", "reason"),
    [
        (None, False, Gate(), None),
        (GOLDEN, False, Gate(), None),
        (GOLDEN, True, Gate(), None),
        (SPLIT, True, Gate(), None),
        (replace(SPLIT, passed=False, gate="off"), False, Gate(), None),
        (replace(GOLDEN, gate="changed"), False, LOOSE, None),
        (replace(SPLIT, gate="off"), True, OFF, None),
        (SPLIT, False, Gate(), "14 faces of test, this export would be on 16 golden samples al"),
        (
            LARGE,
            True,
            Gate(),
            "3,589 faces of test, this export would be on 14 faces of test",
        ),
        (
            replace(SPLIT, faces="val", n=10),
            True,
            Gate(),
            "10 faces of val, this export would be on 14 faces of test",
        ),
        (SPLIT, True, LOOSE, "reached the default thresholds, this export would be checked by"),
        (SPLIT, True, OFF, "is proved, this export would be kept unproved"),
    ],
)
def test_a_stronger_proof_is_not_replaced(
    proof: ParitySummary | None, with_data: bool, gate: Gate, reason: str | None,
    source: Path, spec: ModelSpec, data: FaceData, tmp_path: Path,
) -> None:  # fmt: skip
    path = existing(tmp_path / "m.onnx", spec, source, proof)
    given = data if with_data else None
    if reason is None:
        check_output(path, source, given, gate=gate)
        return
    with pytest.raises(ConfigError, match=rf"m\.onnx exists and .*{reason}.*: {WAYS_OUT}"):
        check_output(path, source, given, gate=gate)


def test_another_models_file_is_not_replaced(source: Path, spec: ModelSpec, tmp_path: Path) -> None:
    path = existing(tmp_path / "m.onnx", spec, source, None)
    other = tmp_path / "other.safetensors"
    other.write_bytes(source.read_bytes() + b" ")
    digest = checkpoints.sha256(source)[:16]
    with pytest.raises(ConfigError, match=f"comes from another checkpoint \\(sha256 {digest}"):
        check_output(path, other)
    with pytest.raises(ConfigError, match="is fp32, not int8"):
        check_output(path, source, precision="int8")
    (tmp_path / "m.bin").touch()
    with pytest.raises(ConfigError, match=r"m\.bin exists without m\.xml: pass --force"):
        check_output(tmp_path / "m.xml", source)
    path.write_text("notes")
    with pytest.raises(ConfigError, match="exists and has no readable spec"):
        check_output(path, source)


def test_the_refusal_comes_before_the_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: FaceData
) -> None:
    path = tmp_path / "m.onnx"
    export_checkpoint(source, path, data)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.setattr(checkpoints, "load", pytest.fail)
    with pytest.raises(ConfigError, match="is proved on 14 faces"):
        export_checkpoint(source, path)
    with pytest.raises(DataError):
        export_checkpoint(source, tmp_path / "m.onnx", replace(data, splits={}))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    monkeypatch.undo()
    export_checkpoint(source, path, force=True)
    proof = read_spec(path).parity
    assert proof is not None
    assert proof.faces == "golden"
    export_checkpoint(source, path, data)
    assert read_spec(path).parity == replace(SPLIT, **{
        name: getattr(read_spec(path).parity, name)
        for name in ("max_abs_logit_diff", "accuracy_reference", "accuracy_exported")
    })  # fmt: skip


def test_the_default_output(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run" / "model.safetensors"
    run.parent.mkdir()
    run.write_bytes(source.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert resolve_output(run) == Path("fer-tiny-fp32.onnx")
    (run.parent / "config.json").write_text("{}")
    assert resolve_output(run) == run.parent / "fer-tiny-fp32.onnx"
    path = resolve_output(run, format="openvino", precision="fp16", name="second")
    assert path == run.parent / "second-fp16.xml"


def test_only_a_checkpoint_is_exported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"m\.onnx: only a checkpoint can be exported"):
        resolve_output(tmp_path / "m.onnx")


def test_an_output_that_is_named(source: Path, tmp_path: Path) -> None:
    folder, file = tmp_path / "exports", tmp_path / "m.onnx"
    assert resolve_output(source, output=tmp_path) == tmp_path / "fer-tiny-fp32.onnx"
    assert resolve_output(source, output=folder, name="a") == folder / "a-fp32.onnx"
    assert resolve_output(source, output=file) == file
    for options, message in (
        (
            {"output": tmp_path / "m.xml"},
            r"m\.xml: --format onnx writes a file that ends in \.onnx",
        ),
        ({"output": file, "name": "a"}, "--name has no effect where --output names a file"),
        ({"name": "a/b"}, "--name must be a file name without a folder, not 'a/b'"),
        ({"name": ""}, "--name must be a file name"),
        ({"precision": "int4"}, "unknown precision 'int4': the precisions are fp32, fp16, int8"),
        ({"format": "tflite"}, "unknown format 'tflite': the formats are onnx, openvino, ncnn"),
    ):
        with pytest.raises(ConfigError, match=message):
            resolve_output(source, **options)  # type: ignore[arg-type]


def test_what_is_no_file_is_not_replaced(source: Path, tmp_path: Path) -> None:
    """A named pipe would be waited for."""
    os.mkfifo(tmp_path / "m.onnx")
    for check in (check_replaceable, lambda path: check_output(path, source)):
        with pytest.raises(ConfigError, match=r"m\.onnx: a folder or a device"):
            check(tmp_path / "m.onnx")


def test_a_folder_that_cannot_be_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "new" / "folder")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"Not a directory: '.*/file'"):
        check_output(tmp_path / "file" / "m.onnx", source)

    def refuse(folder: Path, *_: object) -> None:  # root may write anywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match=rf"Permission denied: '{tmp_path}'$"):
        export_checkpoint(source, tmp_path / "new" / "m.onnx", force=True)
    assert not (tmp_path / "new").exists()
