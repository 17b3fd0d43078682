from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.lib.web_site import ENGINE

from fer_edge.errors import ConfigError, ModelError, ParityError
from fer_edge.export import web_exporter
from fer_edge.export.node import NodeModel, find_node
from fer_edge.export.thresholds import Gate
from fer_edge.export.web_exporter import WebExport, export_web
from fer_edge.export.web_page import DETECTOR_NAME, LIST_NAME, MODEL_NAME
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.data.loading import read_data
from tests.support.commands import Fer
from tests.support.web_engine import write_engine

with_node = pytest.mark.skipif(
    ENGINE is None or find_node() is None,
    reason="FER_EDGE_ONNXRUNTIME_WEB isn't set, or Node isn't installed",
)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The names of the engine's files, where Node isn't installed."""
    monkeypatch.setattr(web_exporter, "find_node", lambda: None)
    return write_engine(tmp_path / "npm")


def impossible() -> Gate:
    """Thresholds that no file reaches."""
    return Gate(changes={"max_abs_logit_diff": 1e-12})


def test_the_folder_has_the_page_its_model_and_the_reports(
    source: Path, engine: Path, tmp_path: Path, fer: Fer
) -> None:
    folder = tmp_path / "page"
    options = ("--format", "web", "--onnxruntime-web", engine, "-o", folder)
    ran = fer("export", source, *options, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert document["path"] == str(folder)
    assert (document["format"], document["precision"]) == ("web", "fp32")
    assert document["node"] is None
    assert document["golden"]["passed"]
    files = {path.name for path in folder.iterdir()}
    assert {MODEL_NAME, DETECTOR_NAME, LIST_NAME, "index.html", "reader.js"} <= files
    assert {"model.onnx.parity.json", "model.onnx.parity.html"} <= files
    assert not [name for name in files if name.startswith(".")]
    assert read_spec(folder / MODEL_NAME).parity
    assert "Node 18 or newer isn't installed" in ran.err
    again = fer("export", source, *options)  # in place of itself
    assert again.code == 0, again.err
    assert f"wrote {folder} (" in again.out


def test_nothing_is_left_where_the_model_misses_a_threshold(
    source: Path, engine: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    with pytest.raises(ParityError, match=r"page/model\.onnx is not kept"):
        export_web(source, folder, engine=engine, gate=impossible())
    assert not folder.exists()


def test_a_folder_with_other_files_is_kept(source: Path, engine: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="a folder with other files"):
        export_web(source, tmp_path / "mine", engine=engine)
    with pytest.raises(ConfigError, match="a file: --format web writes a folder"):
        export_web(source, tmp_path / "mine" / "letter.txt", engine=engine)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "web,onnx"), "no other format"),
        (("--format", "web", "--precision", "fp32,int8"), "it takes one --precision"),
        (("--format", "web", "--name", "x"), "no --name"),
        (("--format", "onnx", "--onnxruntime-web", "x"), "is for --format web alone"),
        (("--format", "web", "--onnxruntime-web", "nowhere"), "run npm install onnxruntime-web"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    fer: Fer, source: Path, options: tuple[str, ...], message: str
) -> None:
    ran = fer("export", source, *options)
    assert ran.code == 2
    assert message in ran.err


@pytest.mark.slow
@with_node
def test_node_computes_the_comparison(source: Path, csv_file: Path, tmp_path: Path) -> None:
    assert ENGINE
    done = export_web(source, tmp_path / "page", read_data(csv_file), engine=Path(ENGINE))
    assert isinstance(done, WebExport)
    assert done.node == find_node()
    golden, test = done.model.parities
    assert (golden.n, golden.agreement) == (16, 1.0)
    assert (test.n, test.agreement) == (14, 1.0)


@pytest.mark.slow
@with_node
def test_a_model_under_node_is_that_of_the_runtime(source: Path, tmp_path: Path) -> None:
    assert ENGINE
    node = find_node()
    assert node
    page = tmp_path / "page"
    done = export_web(source, page, engine=Path(ENGINE))
    side = done.model.spec.input.side
    faces = np.random.default_rng(0).integers(0, 256, (300, side, side), np.uint8)  # two batches
    with NodeModel(node, page, page / MODEL_NAME, page / DETECTOR_NAME, done.model.spec) as model:
        found = model(faces)
    expected = open_backend(page / MODEL_NAME, backend="onnxruntime")(faces)
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.slow
@with_node
def test_a_damaged_model_is_an_error_by_name(source: Path, tmp_path: Path) -> None:
    assert ENGINE
    node = find_node()
    assert node
    page = tmp_path / "page"
    spec = export_web(source, page, engine=Path(ENGINE)).model.spec
    model = page / MODEL_NAME
    model.write_bytes(model.read_bytes()[:-100])
    face = np.zeros((1, spec.input.side, spec.input.side), np.uint8)
    with (
        NodeModel(node, page, model, page / DETECTOR_NAME, spec) as broken,
        pytest.raises(ModelError, match="the model: damaged or cut off"),
    ):
        broken(face)
