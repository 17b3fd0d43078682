"""Graphs of PyTorch's exporter, cached while the tests run: one takes 8 s."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from fer_edge.atomic import whole_file
from fer_edge.export import to_onnx as of_onnx
from fer_edge.export import to_openvino as of_openvino
from fer_edge.export.to_onnx import to_onnx
from fer_edge.spec import Precision
from fer_edge.train.networks.checkpoint import Checkpoint

Build = Callable[[Checkpoint, Precision], onnx.ModelProto]


def replace_exporter(patch: pytest.MonkeyPatch, build: Build) -> None:
    """Make both formats that start from an ONNX graph use `build` instead of `to_onnx`."""
    for module in (of_onnx, of_openvino):
        patch.setattr(module, "to_onnx", build)


class CachedExporter:
    """`to_onnx` with a cache by network and precision.

    Attributes:
        folder: the cache, which other processes share.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, checkpoint: Checkpoint, precision: Precision = "fp32") -> onnx.ModelProto:
        path = self.folder / f"{precision}-{_key(checkpoint, precision)}.onnx"
        if not path.exists():
            model = to_onnx(checkpoint, precision)
            with whole_file(path) as beside:
                beside.write_bytes(model.SerializeToString())
        return onnx.load(path)


def _key(checkpoint: Checkpoint, precision: Precision) -> str:
    """A digest of everything that determines the graph."""
    spec, int8 = checkpoint.spec, precision == "int8"
    model = checkpoint.int8().model if int8 else checkpoint.model
    made_of = spec.architecture, spec.input, spec.temperature, model.scale, model.shift
    found = hashlib.sha256(repr((made_of, spec.quantization.int8 if int8 else None)).encode())
    for name, tensor in model.state_dict().items():
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()[:32]
