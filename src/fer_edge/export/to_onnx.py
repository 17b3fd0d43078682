"""Converts a checkpoint to one ONNX file, with the spec in its metadata."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fer_edge.errors import MissingExtraError
from fer_edge.export.exportable import ConvertedModel, ExportModule
from fer_edge.spec import KEY, Precision, Weights
from fer_edge.spec_document import SpecDocument
from fer_edge.train.networks import quantized
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.fake_quant import FakeQuantMode

try:
    import onnx
    import onnxscript
    import onnxscript.optimizer
    from onnx import TensorProto, helper, numpy_helper

    from fer_edge.export.onnx_rewrites import rewrite_graph
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "export") from None

OPSET = 20
TOOLS = {"onnx": onnx.__version__, "onnxscript": onnxscript.__version__}
_INSIDE = "model.network."
"""Prefix of weights in `ExportModule`, before their name in the checkpoint."""
_MIN_SIZE = 256
"""Smaller tensors stay in float32: float16 would save less than its Cast node costs."""
_MIN_ROUNDED_SIZE = 5_000
"""Smaller tensors (2 % of MobileNetV2's weights) are never rounded. They include the first layers:
rounding these moves logits by up to 0.05, rounding all others by 0.004 (FER2013 val)."""


def convert_to_onnx(checkpoint: Checkpoint, precision: Precision) -> ConvertedModel:
    """Convert to an `.onnx` file; see `to_onnx`."""
    model = to_onnx(checkpoint, precision)
    return ConvertedModel(partial(write_onnx, model), weights_of(model, precision), TOOLS)


def weights_of(model: onnx.ModelProto, precision: Precision) -> Weights:
    """How a graph stores its weights."""
    if precision != "fp32":
        return precision
    halved = any(t.data_type == TensorProto.FLOAT16 for t in model.graph.initializer)
    return "fp16-exact" if halved else "fp32"


def to_onnx(checkpoint: Checkpoint, precision: Precision = "fp32") -> onnx.ModelProto:
    """Convert to an ONNX graph: `faces` uint8 `[N, S, S]`, N free, to `logits`, `probabilities`.

    Convolutions with float16 weights keep their batch norm as a node, which the engine folds when
    it loads the file: the stored weights stay those of the checkpoint, which float16 may hold
    without loss. Folding before rounding changes the label of 8 of 3,589 test faces.

    Args:
        checkpoint: the checkpoint.
        precision: "fp32" stores in float16 only what it holds exactly, "fp16" every large weight;
            the arithmetic is float32. "int8" converts the quantized model, with QuantizeLinear and
            DequantizeLinear nodes.

    Raises:
        ModelError: the checkpoint has no quantized model for "int8".
    """
    if precision == "int8":
        int8 = checkpoint.int8()
        with quantized.fake_quant_mode(int8.model, FakeQuantMode.ONNX):
            return _convert(int8, exact=True)
    return _convert(checkpoint, exact=precision == "fp32")


def _convert(checkpoint: Checkpoint, *, exact: bool) -> onnx.ModelProto:
    side = checkpoint.spec.input.side
    return export_graph(
        ExportModule(checkpoint).eval(),
        torch.zeros((2, side, side), dtype=torch.uint8),
        ("faces", "logits", "probabilities"),
        {0: torch.export.Dim("N")},
        (side, checkpoint.spec.input.network_side),
        exact=exact,
    )


def export_graph(
    module: nn.Module,
    example: torch.Tensor,
    names: Sequence[str],
    free: dict[int, Any],
    sides: tuple[int, int],
    *,
    exact: bool,
) -> onnx.ModelProto:
    """Export a module of one input to ONNX, with every rewrite.

    Args:
        module: in evaluation mode; its network is `module.model.network`.
        example: an input.
        names: of the input and the outputs.
        free: the input's dimensions of any size, as `torch.export` takes them.
        sides: see `rewrite_graph`.
        exact: see `store_as_float16`.
    """
    with _quiet():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            optimize=False,
            opset_version=OPSET,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_shapes=(free,),
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    store_as_float16(model, exact=exact)
    model = onnxscript.optimizer.optimize(model, input_size_limit=_MIN_SIZE - 1)
    with _quiet():
        model = rewrite_graph(model, *sides)
    _strip(model)
    return model


def store_as_float16(model: onnx.ModelProto, *, exact: bool) -> None:
    """Store large float32 weights as float16 with a Cast, in place: half the bytes.

    The arithmetic stays float32: the engine converts the weights once, when it loads the file.

    Args:
        model: the graph.
        exact: only weights that float16 holds without loss, so that no output changes by a bit.
            Otherwise the large remaining ones are rounded too; infinities fail the comparison.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        full = numpy_helper.to_array(tensor)
        if full.size < _MIN_SIZE or full.ndim < 2:
            continue
        with np.errstate(over="ignore"):
            half = full.astype(np.float16)
        rounds = not np.array_equal(half.astype(np.float32), full)
        if rounds and (exact or full.size < _MIN_ROUNDED_SIZE):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *rest])


def write_onnx(model: onnx.ModelProto, spec: SpecDocument, path: Path) -> None:
    """Write one `.onnx` file with the spec in `metadata_props`."""
    kept = [p for p in model.metadata_props if p.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=KEY, value=spec.to_json())
    path.write_bytes(model.SerializeToString())


def _strip(model: onnx.ModelProto) -> None:
    """Drop debugging information, a tenth of an int8 file."""
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
        for names in (node.input, node.output):
            names[:] = [name.removeprefix(_INSIDE) for name in names]
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.removeprefix(_INSIDE)
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which prints its steps to standard output."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings(
            "ignore", category=DeprecationWarning, module="torch.*|onnxscript.*|copyreg"
        )
        yield
    log.setLevel(level)
