from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from fer_edge.export.exporter import export_checkpoint
from fer_edge.export.golden import draw_faces
from fer_edge.export.to_onnx import store_as_float16, to_onnx
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.results import softmax
from fer_edge.train.networks import checkpoint
from tests.support.networks import make_checkpoint


@pytest.fixture(scope="module")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_checkpoint(source, tmp_path_factory.mktemp("out") / "m.onnx").path


def test_the_graph_keeps_its_contract(exported: Path) -> None:
    graph = onnx.load(exported).graph
    (faces,) = graph.input
    assert faces.name == "faces"
    assert faces.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    n, height, width = faces.type.tensor_type.shape.dim
    assert n.dim_param
    assert (height.dim_value, width.dim_value) == (48, 48)
    assert [output.name for output in graph.output] == ["logits", "probabilities"]
    for output in graph.output:
        assert output.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    onnx.checker.check_model(onnx.load(exported), full_check=True)


@pytest.mark.parametrize("count", [1, 7, 64])
def test_any_number_of_faces_and_probabilities_at_the_temperature(
    exported: Path, source: Path, count: int
) -> None:
    faces = np.random.default_rng(count).integers(0, 256, (count, 48, 48), dtype=np.uint8)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    logits, probabilities = session.run(None, {"faces": faces})
    loaded = checkpoint.load(source)
    np.testing.assert_allclose(logits, loaded.predict(faces), rtol=0, atol=1e-4)
    np.testing.assert_allclose(probabilities, softmax(logits / 1.5), rtol=0, atol=1e-6)


def test_the_spec_and_golden_samples_are_inside(exported: Path, source: Path) -> None:
    backend = open_backend(exported)
    spec = backend.spec
    assert spec.source_sha256 == checkpoint.sha256(source)
    assert spec.parity is not None
    assert spec.parity.passed
    assert np.array_equal(spec.golden_faces(), draw_faces(48))
    np.testing.assert_allclose(
        backend(spec.golden_faces()), spec.golden_logits(), rtol=0, atol=1e-4
    )


def test_the_spec_describes_the_weights(exported: Path, tmp_path: Path) -> None:
    assert open_backend(exported).spec.quantization.weights == "fp16-exact"
    done = export_checkpoint(make_checkpoint("tiny", tmp_path, half=False), tmp_path / "m.onnx")
    assert done.spec.quantization.weights == "fp32"


def test_half_storage_is_lossless(source: Path) -> None:
    """With every float16 weight stored as float32 instead, the logits are the same bit for bit."""
    graph = to_onnx(checkpoint.load(source))
    halved = {t.name for t in graph.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16}
    assert halved
    before = _logits(graph)
    widened = [n for n in graph.graph.node if n.op_type == "Cast" and n.input[0] in halved]
    for node in widened:
        tensor = next(t for t in graph.graph.initializer if t.name == node.input[0])
        full = onnx.numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(full, node.output[0]))
        graph.graph.node.remove(node)
    assert np.array_equal(_logits(graph), before)


def test_weights_that_float16_cannot_hold_stay_in_float32() -> None:
    values = np.linspace(0, 1, 5000, dtype=np.float32).reshape(10, 500)
    tensors = [
        onnx.numpy_helper.from_array(values, "fine"),
        onnx.numpy_helper.from_array(values * 1e6, "large"),
        onnx.numpy_helper.from_array(values[:, 1:], "early"),
        onnx.numpy_helper.from_array(np.ones((10, 100), np.float32), "exact"),
        onnx.numpy_helper.from_array(np.ones((2, 5), np.float32), "small"),
        onnx.numpy_helper.from_array(np.ones(1000, np.float32), "bias"),
    ]
    for exact, halved in ((True, {"exact"}), (False, {"exact", "fine", "large"})):
        graph = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], tensors))
        store_as_float16(graph, exact=exact)
        names = {t.name for t in graph.graph.initializer}
        assert {name.removesuffix(".half") for name in names if name.endswith(".half")} == halved
        assert len(names) == len(tensors)


def _logits(graph: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(["logits"], {"faces": draw_faces(48)})[0])
