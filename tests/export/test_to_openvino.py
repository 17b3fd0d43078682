from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from fer_edge.errors import DamagedSpecError, MissingSpecError, ModelError
from fer_edge.export.exporter import export_checkpoint
from fer_edge.export.golden import draw_faces
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.networks import checkpoint


@pytest.fixture(scope="module")
def ir(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("out") / "m.xml"
    return export_checkpoint(source, path, format="openvino").path


def test_the_spec_comes_back_with_and_without_the_engine(ir: Path, source: Path) -> None:
    spec = open_backend(ir).spec
    assert spec == read_spec(ir)
    assert spec.source_sha256 == checkpoint.sha256(source)
    assert {p.name for p in ir.parent.iterdir()} == {
        "m.xml", "m.bin", "m.xml.parity.json", "m.xml.parity.html",
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 7, 64])
def test_any_number_of_faces(ir: Path, source: Path, count: int) -> None:
    faces = np.resize(draw_faces(48), (count, 48, 48))
    expected = checkpoint.load(source).predict(faces)
    np.testing.assert_allclose(open_backend(ir)(faces), expected, rtol=0, atol=1e-4)


def test_an_ir_that_cannot_be_used(ir: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.xml"
    text, weights = ir.read_text("utf-8"), ir.with_suffix(".bin").read_bytes()
    path.write_text(text, "utf-8")
    with pytest.raises(ModelError, match=r"m\.xml: its \.bin is missing: copy both"):
        open_backend(path)
    path.with_suffix(".bin").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError, match=r"m\.xml: OpenVINO can't load it"):
        open_backend(path)
    path.with_suffix(".bin").write_bytes(weights)
    path.write_text(text[: len(text) // 2], "utf-8")
    for read in (open_backend, read_spec):
        with pytest.raises(ModelError, match=r"m\.xml: "):
            read(path)
    for change, error in (
        (text.replace("fer_edge", "other"), MissingSpecError),
        (text.replace("temperature", "heat"), DamagedSpecError),
    ):
        path.write_text(change, "utf-8")
        for read in (open_backend, read_spec):
            with pytest.raises(error):
                read(path)


def test_a_disk_that_is_full(source: Path, tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # Python ignores the signal
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            export_checkpoint(source, tmp_path / "m.xml", format="openvino")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert caught.value.filename == str(tmp_path / "m.xml")
    assert list(tmp_path.iterdir()) == []
