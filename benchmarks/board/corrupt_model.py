"""Make a wrong model, to test that the checks find it.

    python -m benchmarks.board.corrupt_model WRONG.onnx

A copy of base in which one layer's scales are doubled. Its shapes, its spec and its
golden samples are right.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
from onnx import numpy_helper

from fer_edge.runtime.formats.model_files import bundled


def corrupt(source: Path, target: Path) -> str:
    """Write the copy and return the name of the changed tensor."""
    model = onnx.load(source)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = [
        tensors[node.input[1]]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[1] in tensors
    ]
    layer = max(layers, key=lambda scales: scales.dims[0] if scales.dims else 0)
    layer.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(layer), layer.name))
    onnx.save(model, target)
    return layer.name


if __name__ == "__main__":
    print(f"{corrupt(bundled('model'), Path(sys.argv[1]))} has twice the right values")
