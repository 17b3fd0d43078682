"""YuNet's file under ncnn, and graphs that are not YuNet's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_edge.errors import ModelError
from fer_edge.runtime.detection.engines import OUTPUTS, open_network
from fer_edge.runtime.detection.yunet_to_ncnn import MAGIC, translate
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.onnx_reader import read_graph
from fer_edge.spec import NcnnOptions

F = TensorProto.FLOAT
RANDOM = np.random.default_rng(0)


def conv(name: str, taken: str, given: str, weight: tuple[int, ...], **options: object) -> tuple:
    """A node and its constants."""
    values = {
        f"{name}.w": RANDOM.standard_normal(weight, np.float32),
        f"{name}.b": RANDOM.standard_normal(weight[:1], np.float32),
    }
    return helper.make_node("Conv", [taken, *values], [given], **options), values


def save(path: Path, parts: list, outputs: list[str]) -> Path:
    """An .onnx file of nodes, or of nodes with their constants."""
    nodes, constants = [], {}
    for part in parts:
        node, values = part if isinstance(part, tuple) else (part, {})
        nodes.append(node)
        constants |= values
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("pixels", F, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info(name, F, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    return path


def everything(path: Path) -> Path:
    """Each operator that is known, with options that differ between the two directions."""
    scales = {"s": np.array([1, 1, 2, 2], np.float32)}
    shape = {"shape": np.array([1, -1, 4], np.int64)}
    return save(
        path,
        [
            conv("a", "pixels", "a", (4, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["a"], ["a+"]),
            conv("b", "a+", "b", (4, 1, 3, 5), group=4, pads=[1, 2, 1, 2]),
            helper.make_node("MaxPool", ["b"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
            (helper.make_node("Resize", ["half", "", "s"], ["twice"], mode="nearest"), scales),
            helper.make_node("Add", ["twice", "a+"], ["sum"]),
            helper.make_node("Sigmoid", ["sum"], ["share"]),
            helper.make_node("Transpose", ["share"], ["last"], perm=[0, 2, 3, 1]),
            (helper.make_node("Reshape", ["last", "shape"], ["out"]), shape),
        ],
        ["out"],
    )


def test_each_operator_computes_what_onnxruntime_computes(tmp_path: Path) -> None:
    pytest.importorskip("ncnn", reason="ncnn isn't installed")
    import onnxruntime

    from fer_edge.runtime.backends.ncnn_backend import Network

    path = everything(tmp_path / "m.onnx")
    told = translate(read_graph(path))
    (tmp_path / "p").write_text(told.param)
    (tmp_path / "b").write_bytes(told.weights)
    network = Network(tmp_path / "p", tmp_path / "b", NcnnOptions(), 1)
    pixels = RANDOM.uniform(0, 1, (1, 3, 32, 64)).astype(np.float32)
    (out,) = onnxruntime.InferenceSession(path).run(["out"], {"pixels": pixels})
    (blob,) = network(told.input, pixels[0], [told.outputs["out"]])
    np.testing.assert_allclose(blob.reshape(4, -1).T[None], out, rtol=0, atol=1e-5)


def test_the_text_counts_its_layers_and_blobs(tmp_path: Path) -> None:
    magic, counts, *lines = translate(
        read_graph(everything(tmp_path / "m.onnx"))
    ).param.splitlines()
    assert magic == str(MAGIC)
    layers, blobs = map(int, counts.split())
    assert layers == len(lines)
    assert blobs == sum(int(line.split()[3]) for line in lines)
    taken = [name for line in lines for name in line.split()[4 : 4 + int(line.split()[2])]]
    assert len(taken) == len(set(taken))  # in ncnn, one layer reads a blob


@pytest.mark.parametrize("side", [32, 320, 640])
def test_yunet_gives_the_outputs_of_onnxruntime(yunet: Path, side: int) -> None:
    pytest.importorskip("ncnn", reason="ncnn isn't installed")
    pixels = RANDOM.uniform(0, 255, (1, 3, side, 2 * side)).astype(np.float32)
    ours, theirs = (open_network(yunet, engine=name)(pixels) for name in ("ncnn", "onnxruntime"))
    assert ours.keys() == theirs.keys() == set(OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=2e-4, err_msg=name)


def relu(taken: str) -> object:
    return helper.make_node("Relu", [taken], ["out"])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([helper.make_node("Tanh", ["pixels"], ["out"])], "YuNet has no Tanh"),
        ([relu("pixels")], "YuNet's Relu follows a convolution|isn't like YuNet's"),
        (
            [conv("c", "pixels", "out", (4, 3, 3, 3), dilations=[2, 2])],
            "YuNet's convolutions aren't dilated",
        ),
        (
            [conv("c", "pixels", "out", (4, 3, 3, 3), auto_pad="SAME_UPPER")],
            "YuNet's padding is in numbers",
        ),
        (
            [helper.make_node("MaxPool", ["pixels"], ["out"], kernel_shape=[3, 3], pads=[1] * 4)],
            "YuNet's MaxPool has no padding",
        ),
        (
            [
                (
                    helper.make_node("Resize", ["pixels", "", "s"], ["out"], mode="linear"),
                    {"s": np.array([1, 1, 2, 2], np.float32)},
                )
            ],
            "YuNet's Resize repeats pixels",
        ),
        (
            [helper.make_node("Transpose", ["pixels"], ["out"], perm=[0, 1, 3, 2])],
            "YuNet's Transpose puts the channels last",
        ),
        ([helper.make_node("Conv", ["pixels", "none"], ["out"])], "isn't like YuNet's"),
        ([helper.make_node("Sigmoid", ["pixels"], ["other"])], "isn't like YuNet's .*out"),
    ],
)
def test_unsupported_operators_are_refused(parts: list, message: str, tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", parts, ["out"])
    with pytest.raises(ModelError, match=message):
        translate(read_graph(path))


def test_another_model_is_no_detector() -> None:
    pytest.importorskip("ncnn", reason="ncnn isn't installed")
    with pytest.raises(ModelError, match=r"base\.onnx: not a face detector \(YuNet has no "):
        open_network(bundled("model"), engine="ncnn")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x3a\x00", b"\x3a\x02\x0a\x00", b"\xff" * 30])
def test_files_that_are_no_graph(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.onnx: damaged or cut off, or no ONNX file"):
        read_graph(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_detector_that_was_cut_off(part: float, yunet: Path, tmp_path: Path) -> None:
    pytest.importorskip("ncnn", reason="ncnn isn't installed")
    path, whole = tmp_path / "d.onnx", yunet.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ModelError, match=r"d\.onnx: "):
        open_network(path, engine="ncnn")


def test_a_graph_is_read_as_onnx_reads_it(tmp_path: Path) -> None:
    path = everything(tmp_path / "m.onnx")
    graph, expected = read_graph(path), onnx.load(path).graph
    assert [(n.kind, n.inputs, n.outputs) for n in graph.nodes] == [
        (n.op_type, list(n.input), list(n.output)) for n in expected.node
    ]
    assert graph.nodes[2].numbers == {"group": [4], "pads": [1, 2, 1, 2]}
    assert graph.nodes[4].texts == {"mode": "nearest"}
    assert (graph.inputs, graph.outputs) == (["pixels"], ["out"])
    for tensor in expected.initializer:
        if tensor.data_type == F:
            assert np.array_equal(graph.tensors[tensor.name], numpy_helper.to_array(tensor))
        else:
            assert tensor.name not in graph.tensors
