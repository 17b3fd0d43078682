from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_edge.errors import DeviceError, ModelError
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats.ncnn_files import format_document, read_verified_spec
from fer_edge.spec import ModelSpec, NcnnOptions

ncnn = pytest.importorskip("ncnn", reason="ncnn isn't installed")
from fer_edge.runtime.backends import ncnn_backend  # noqa: E402 - it isn't there without ncnn
from fer_edge.runtime.backends.ncnn_backend import Network  # noqa: E402

Captured = pytest.CaptureFixture[str]
GRAPH = """7767517
5 6
Input faces 0 1 faces
Split both 1 2 faces a b
Pooling most 1 1 a most 0=0 4=1
Pooling mean 1 1 b mean 0=1 4=1
Concat logits 2 1 most mean logits 0=0
"""
"""The largest of the pixels and their mean: what goes in is seen in what comes out."""


def write(folder: Path, graph: str, spec: ModelSpec, weights: bytes = b"") -> Path:
    path = folder / "m.ncnn.param"
    path.write_text(graph)
    path.with_suffix(".bin").write_bytes(weights)
    digests = {
        suffix: hashlib.sha256(path.with_suffix(suffix).read_bytes()).hexdigest()
        for suffix in (".param", ".bin")
    }
    path.with_suffix(".json").write_text(format_document(spec, digests))
    return path


@pytest.fixture
def small(spec: ModelSpec) -> ModelSpec:
    """Of that graph."""
    return replace(spec, labels=("most", "mean"), ncnn=NcnnOptions())


def test_the_cpu_is_its_only_device(ncnn_model: Path) -> None:
    assert ncnn_backend.devices() == ("cpu",)
    for backend in ("auto", "ncnn"):
        with pytest.raises(DeviceError, match=r"the device 'gpu' isn't here: .*ncnn has cpu"):
            open_backend(ncnn_model, backend=backend, device="gpu")


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
def test_no_face_and_more_faces_than_threads(ncnn_model: Path, threads: int) -> None:
    backend = open_backend(ncnn_model, threads=threads)
    assert backend.engine == "ncnn"
    faces, expected = backend.spec.golden_faces(), backend.spec.golden_logits()
    assert backend(faces[:0]).shape == (0, 7)
    np.testing.assert_allclose(backend(faces[:11]), expected[:11], rtol=0, atol=1e-4)
    # a slice that isn't contiguous
    np.testing.assert_allclose(backend(faces[::-2]), expected[::-2], rtol=0, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 4])
def test_answers_do_not_depend_on_threads_and_batch(ncnn_model: Path, threads: int) -> None:
    one = open_backend(ncnn_model)
    faces = one.spec.golden_faces()
    alone = np.concatenate([one(face[None]) for face in faces])
    assert np.array_equal(open_backend(ncnn_model, threads=threads)(faces), alone)


def test_faces_are_not_changed(ncnn_model: Path) -> None:
    backend = open_backend(ncnn_model)
    faces = backend.spec.golden_faces().copy()
    before = faces.copy()
    backend(faces)
    assert np.array_equal(faces, before)


def test_options_are_those_of_the_spec(monkeypatch: pytest.MonkeyPatch, ncnn_model: Path) -> None:
    made = []
    net = ncnn.Net
    monkeypatch.setattr(ncnn, "Net", lambda: made.append(net()) or made[-1])
    weights = ncnn_model.with_suffix(".bin")
    for options in (
        NcnnOptions(),
        NcnnOptions(packing=False, winograd=False),
        NcnnOptions(arithmetic="fp16"),
    ):
        network = Network(ncnn_model, weights, options, 3)
        opt, half = made[-1].opt, options.arithmetic == "fp16"
        assert opt.use_packing_layout is options.packing
        assert opt.use_winograd_convolution is options.winograd
        assert (opt.use_fp16_arithmetic, opt.use_fp16_storage, opt.use_fp16_packed) == (half,) * 3
        assert not opt.use_vulkan_compute
        assert not opt.use_bf16_storage
        assert opt.num_threads == 3
        (answer,) = network("faces", np.zeros((1, 48, 48), np.float32), ["logits"])
        assert answer.shape == (7,)


def test_bytes_become_pixels_from_0_to_255(small: ModelSpec, tmp_path: Path) -> None:
    backend = open_backend(write(tmp_path, GRAPH, small))
    faces = np.zeros((3, 48, 48), np.uint8)
    faces[1] = 255
    faces[2, :24] = 128
    assert backend(faces).tolist() == [[0, 0], [255, 255], [128, 64]]


def test_a_graph_that_is_none(small: ModelSpec, tmp_path: Path, capfd: Captured) -> None:
    path = write(tmp_path, "hello", small)
    assert read_verified_spec(path, ModelSpec) == small
    with pytest.raises(ModelError, match=r"m\.ncnn\.param: ncnn .* can't load it: update ncnn"):
        open_backend(path)
    capfd.readouterr()  # ncnn says why in its own words


def test_a_graph_of_a_layer_that_this_ncnn_lacks(
    small: ModelSpec, tmp_path: Path, capfd: Captured
) -> None:
    path = write(tmp_path, GRAPH.replace("Concat", "FutureLayer"), small)
    with pytest.raises(ModelError, match="can't load it: update ncnn"):
        open_backend(path)
    capfd.readouterr()


@pytest.mark.parametrize(("old", "new"), [("faces", "pixels"), ("logits", "numbers")])
def test_a_graph_without_the_names_of_the_contract(
    old: str, new: str, small: ModelSpec, tmp_path: Path, capfd: Captured
) -> None:
    with pytest.raises(ModelError, match=r"its graph doesn't take what its spec says: .*can't"):
        open_backend(write(tmp_path, GRAPH.replace(old, new), small))
    capfd.readouterr()


def test_a_graph_that_breaks_its_spec(small: ModelSpec, tmp_path: Path) -> None:
    wider = replace(small, labels=("a", "b", "c"))
    with pytest.raises(ModelError, match=r"its graph|its spec has 3 labels"):
        open_backend(write(tmp_path, GRAPH, wider))
