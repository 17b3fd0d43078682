"""A small model in every exported format, and a small face detector: some kilobytes each."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_edge.runtime.formats.ncnn_files import format_document
from fer_edge.spec import (
    KEY,
    CropSpec,
    DataSpec,
    GoldenSample,
    InputSpec,
    Metrics,
    ModelSpec,
    NcnnOptions,
    ParitySummary,
)

SIDE = 16
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_CHANNELS = 4

Floats = npt.NDArray[np.float32]


def make_weights() -> dict[str, Floats]:
    """Weights of a convolution and a linear layer, the same every time."""
    random = np.random.default_rng(0)
    shapes = {
        "conv": (_CHANNELS, 1, 3, 3),
        "bias": (_CHANNELS,),
        "head": (7, _CHANNELS),
        "out": (7,),
    }
    return {name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def make_spec() -> ModelSpec:
    """The spec of the small model, every part of it filled, with the logits of its graph."""
    faces = np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE), np.uint8)
    return ModelSpec(
        name="fuzz",
        architecture="tiny",
        labels=LABELS,
        input=InputSpec(side=SIDE, network_side=SIDE, mean=0.5, std=0.25),
        crop=CropSpec(margin=0.1),
        temperature=1.5,
        data=DataSpec("synthetic", "none", {"train": 42, "val": 7}),
        metrics=(Metrics("test", 100, 0.7, 0.6, 0.6, 0.02),),
        intended_use="tests",
        tools={"torch": "2.9"},
        parity=ParitySummary("golden", 4, 1.0, 1e-6, None, None, passed=True),
        golden=tuple(
            GoldenSample(base64.b64encode(face.tobytes()).decode(), tuple(_logits(face).tolist()))
            for face in faces
        ),
        source_sha256="0" * 64,
    )


def _logits(face: npt.NDArray[np.uint8]) -> Floats:
    """What the graph computes: a convolution of stride 2, ReLU, the mean, a linear layer."""
    weights = make_weights()
    scaled = face.astype(np.float32) / 255
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (3, 3))[::2, ::2]
    maps = np.einsum("yxij,cij->cyx", windows, weights["conv"][:, 0])
    pooled = np.maximum(maps + weights["bias"][:, None, None], 0).mean((1, 2))
    logits: Floats = weights["head"] @ pooled + weights["out"]
    return logits


def make_onnx(spec: ModelSpec | None = None) -> Any:
    """The model as an `onnx.ModelProto`, with its spec."""
    from onnx import TensorProto, helper, numpy_helper

    weights = make_weights()
    constants = {**weights, "scale": np.float32(255), "axes": np.array([1])}
    nodes = [
        helper.make_node("Cast", ["faces"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["cast", "scale"], ["scaled"]),
        helper.make_node("Unsqueeze", ["scaled", "axes"], ["channel"]),
        helper.make_node("Conv", ["channel", "conv", "bias"], ["maps"], strides=[2, 2]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head", "out"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "fuzz",
        [helper.make_tensor_value_info("faces", TensorProto.UINT8, ["N", SIDE, SIDE])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(LABELS)])
            for name in ("logits", "probabilities")
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {KEY: (spec or make_spec()).to_json()})
    return model


def write_onnx(folder: Path) -> Path:
    """Write the model, which loads in a fiftieth of base's time; return its path."""
    path = folder / "small.onnx"
    path.write_bytes(make_onnx().SerializeToString())
    return path


def write_openvino(folder: Path) -> Path:
    """Write the model as OpenVINO IR; return the path of its `.xml`."""
    import openvino

    source = folder / "source.onnx"
    source.write_bytes(make_onnx().SerializeToString())
    model = openvino.convert_model(source)
    model.set_rt_info(make_spec().to_json(), KEY)
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    source.unlink()
    return folder / "model.xml"


PARAM = f"""7767517
7 7
Input faces 0 1 faces
BinaryOp scale 1 1 faces scaled 0=3 1=1 2=255.0
Convolution conv 1 1 scaled maps 0={_CHANNELS} 1=3 3=2 5=1 6={9 * _CHANNELS}
ReLU relu 1 1 maps active
Pooling pool 1 1 active pooled 0=1 4=1
InnerProduct head 1 1 pooled logits 0=7 1=1 2={7 * _CHANNELS}
Softmax softmax 1 1 logits probabilities 0=0 1=1
"""


def make_ncnn() -> tuple[bytes, bytes]:
    """The model's graph and weights for ncnn."""
    weights = make_weights()
    flag = b"\0\0\0\0"  # plain float32
    parts = [flag, weights["conv"], weights["bias"], flag, weights["head"], weights["out"]]
    return PARAM.encode(), b"".join(
        bytes(p) if isinstance(p, bytes) else p.tobytes() for p in parts
    )


def ncnn_document(graph: bytes, weights: bytes) -> dict[str, Any]:
    """The `.json` that belongs to these files."""
    digests = {".param": graph, ".bin": weights}
    spec = replace(make_spec(), ncnn=NcnnOptions())
    found = {suffix: hashlib.sha256(content).hexdigest() for suffix, content in digests.items()}
    document: dict[str, Any] = json.loads(format_document(spec, found))
    return document


def make_detector() -> Any:
    """A graph with YuNet's inputs and outputs and random weights, as an `onnx.ModelProto`."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(2)
    nodes, outputs, constants = [], [], {"flat": np.array([0, -1, 0])}
    for stride in (8, 16, 32):
        for kind, size in {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}.items():
            name = f"{kind}_{stride}"
            constants[f"w_{name}"] = random.normal(0, 1e-3, (size, 3, stride, stride)).astype("f4")
            strides = [stride, stride]
            nodes += [
                helper.make_node("Conv", ["input", f"w_{name}"], [f"c_{name}"], strides=strides),
                helper.make_node("Transpose", [f"c_{name}"], [f"t_{name}"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"t_{name}", f"s_{name}"], [f"r_{name}"]),
                helper.make_node("Sigmoid" if size == 1 else "Identity", [f"r_{name}"], [name]),
            ]
            constants[f"s_{name}"] = np.array([1, -1, size])
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, size]))
    del constants["flat"]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "H", "W"])]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "detector", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
