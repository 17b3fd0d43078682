from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_edge.errors import ModelError
from fer_edge.export.exporter import export_checkpoint
from fer_edge.export.formats import FORMATS
from fer_edge.export.golden import draw_faces
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats.ncnn_files import read_verified_spec
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec, NcnnOptions
from fer_edge.train.networks import checkpoint
from tests.support.commands import Fer
from tests.support.requirements import needs_ncnn

needs_ncnn()
from fer_edge.export import to_ncnn  # noqa: E402 - it isn't there without pnnx


@pytest.fixture(scope="module")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_checkpoint(
        source, tmp_path_factory.mktemp("out") / "m.ncnn.param", format="ncnn"
    ).path


def test_three_files_with_the_spec_beside(exported: Path, source: Path) -> None:
    assert {path.name for path in exported.parent.iterdir()} == {
        "m.ncnn.param", "m.ncnn.bin", "m.ncnn.json",
        "m.ncnn.param.parity.json", "m.ncnn.param.parity.html",
    }  # fmt: skip
    spec = open_backend(exported).spec
    assert spec == read_spec(exported) == read_verified_spec(exported, ModelSpec)
    assert spec.source_sha256 == checkpoint.sha256(source)
    assert spec.quantization.weights == "fp32"
    assert spec.ncnn == NcnnOptions(packing=True, winograd=True, arithmetic="fp32")
    assert {"ncnn", "pnnx", "torch"} <= spec.tools.keys()
    assert spec.parity is not None
    assert spec.parity.passed
    report = json.loads(exported.with_name("m.ncnn.param.parity.json").read_text())
    assert report["bytes"] == sum(
        exported.with_suffix(suffix).stat().st_size for suffix in (".param", ".bin", ".json")
    )


def test_the_graph_has_the_names_of_the_contract(exported: Path) -> None:
    layers = [line.split() for line in exported.read_text().splitlines()[2:]]
    blobs = {name for fields in layers for name in fields[4 : 4 + int(fields[2]) + int(fields[3])]}
    assert set(to_ncnn.NAMES.values()) <= blobs
    assert not blobs & set(to_ncnn.NAMES)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [1, 7, 64])
def test_any_number_of_faces(exported: Path, source: Path, count: int, threads: int) -> None:
    faces = np.random.default_rng(count).integers(0, 256, (count, 48, 48), dtype=np.uint8)
    expected = checkpoint.load(source).predict(faces)
    got = open_backend(exported, threads=threads)(faces)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)


def test_int8_is_refused_with_the_reason(fer: Fer, source: Path, tmp_path: Path) -> None:
    assert FORMATS["ncnn"].precisions == ("fp32", "fp16")
    ran = fer("export", source, "--format", "ncnn", "--precision", "int8", "--output", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"ConfigError: ncnn has no int8: {FORMATS['ncnn'].no_int8}\n"
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_is_refused(fer: Fer, source: Path, tmp_path: Path) -> None:
    ran = fer("export", source, "--format", "ncnn", "--output", tmp_path / "m.param")
    assert ran.code == 2
    assert "--format ncnn writes a file that ends in .ncnn.param" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_all_three_files_are_written_or_none(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.ncnn.param"
    export_checkpoint(source, path, format="ncnn")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.suffix == ".json":  # the last of the three
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        export_checkpoint(source, path, format="ncnn", precision="fp16", force=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo about to fail; echo 'no such operator' >&2; exit 1", "it: no such operator"),
        ("exit 0", "it: no message"),
        ("kill -SEGV $$", "it: no message"),
    ],
)
def test_a_converter_that_fails_is_named(
    script: str, message: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converter = tmp_path / "pnnx"
    converter.write_text(f"#!/bin/sh\nulimit -c 0\n{script}\n")
    converter.chmod(0o755)
    monkeypatch.setattr(to_ncnn.pnnx, "EXEC_PATH", str(converter))
    with pytest.raises(ModelError, match=f"fer-tiny: pnnx can't convert .*{message}"):
        export_checkpoint(source, tmp_path / "m.ncnn.param", format="ncnn")
    assert [path.name for path in tmp_path.iterdir()] == ["pnnx"]


LINES = """7767517
3 3
Input         in0  0 1 in0
Convolution   c    1 1 in0 1 0=2 1=3 5=1 6=18
InnerProduct  d    1 1 1 out0 0=4 1=0 2=12000
"""


def numbers(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def test_small_layers_stay_in_float32_where_others_are_stored_in_float16() -> None:
    small = bytes(4) + numbers(*range(18)) + numbers(0.1, 0.2)
    large = np.linspace(-1, 1, 12000, dtype="<f4")
    whole = small + bytes(4) + large.tobytes()
    assert to_ncnn.encode_weights(LINES, whole, half=False) == whole
    half = to_ncnn.encode_weights(LINES, whole, half=True)
    assert half[: len(small)] == small
    assert half[len(small) :] == b"\x47\x6b\x30\x01" + large.astype("<f2").tobytes()


@pytest.mark.parametrize("half", [False, True])
def test_weights_that_are_not_the_graphs(half: bool) -> None:
    whole = bytes(4) + numbers(*range(20)) + bytes(4) + numbers(*[1] * 12000)
    for other in (whole[:-4], whole[:-1], whole[:30], b"", whole + bytes(4)):
        with pytest.raises(ModelError, match="bytes of weights, but the known layers"):
            to_ncnn.encode_weights(LINES, other, half=half)
    with pytest.raises(ModelError, match="Convolution: its weights aren't float32"):
        to_ncnn.encode_weights(LINES, b"x" + whole[1:], half=half)


def test_names_are_those_of_blobs_alone() -> None:
    renamed = to_ncnn.rename_blobs(LINES.replace("Input         in0", "Input in0")).splitlines()
    assert renamed[:2] == ["7767517", "3 3"]
    assert renamed[2:] == [
        "Input in0 0 1 faces",
        "Convolution c 1 1 faces 1 0=2 1=3 5=1 6=18",
        "InnerProduct d 1 1 1 logits 0=4 1=0 2=12000",
    ]


@pytest.mark.parametrize(("package", "extra"), [("pnnx", "export"), ("ncnn", "ncnn")])
def test_a_missing_package_is_named_at_once(
    package: str, extra: str, source: Path, fer: Fer, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, to_ncnn.__name__)
    monkeypatch.setattr(checkpoint, "load", pytest.fail)
    ran = fer("export", source, "--format", "ncnn", "--output", tmp_path)
    assert (ran.code, ran.out) == (1, "")
    wanted = f"MissingExtraError: {package} is not installed: pip install 'fer-edge[{extra}]'"
    assert ran.err.startswith(wanted)
    assert list(tmp_path.iterdir()) == []


def test_a_copied_model_is_the_same(exported: Path, tmp_path: Path) -> None:
    """A board gets it under another name and without the reports."""
    for suffix in (".param", ".bin", ".json"):
        shutil.copy(exported.with_suffix(suffix), tmp_path / f"face.ncnn{suffix}")
    faces = draw_faces(48)
    copy = open_backend(tmp_path / "face.ncnn.param")
    assert np.array_equal(copy(faces), open_backend(exported)(faces))
