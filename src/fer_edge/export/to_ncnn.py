"""Converts a checkpoint to ncnn through pnnx: graph, weights and spec in three files."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.jit._trace import TracerWarning

from fer_edge.errors import MissingExtraError, ModelError
from fer_edge.export.exportable import ConvertedModel, ExportModule
from fer_edge.runtime.device.packages import find_package
from fer_edge.runtime.formats.ncnn_files import format_document
from fer_edge.spec import NcnnOptions, Precision
from fer_edge.spec_document import SpecDocument
from fer_edge.train.networks.checkpoint import Checkpoint

try:
    import pnnx
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "export") from None
if find_package("ncnn") is None:  # needed to prove the file: fail before the conversion
    raise MissingExtraError("ncnn", "ncnn")

OPTIONS = NcnnOptions()
NAMES = {"in0": "faces", "out0": "logits", "out1": "probabilities"}
"""pnnx's blob names and those of the graph's contract."""

_SHAPE_OPTIONS = ("inputshape", "inputshape2")
"""pnnx's options; what differs between the two shapes is free."""

FLOAT16_TAG = 0x01306B47
"""ncnn's tag before float16 weights; float32 weights have the tag 0."""
MAX_FLOAT32_SIZE = 10_000
"""Layers with at most this many weights stay in float32: they hold 6 % of MobileNetV2's weights and
would cause nine tenths of the rounding error."""


WEIGHTED_LAYERS = {
    "Convolution": ("0", "5", "6"),
    "ConvolutionDepthWise": ("0", "5", "6"),
    "InnerProduct": ("0", "1", "2"),
}
"""ncnn's parameter keys: number of outputs, which biases share; whether there are biases; number of
weights."""


def convert_to_ncnn(checkpoint: Checkpoint, precision: Precision) -> ConvertedModel:
    """Convert to a graph for one face, float32 pixels `[1, S, S]` to `logits` and `probabilities`.

    pnnx folds the batch norms into the weights, which float16 then no longer holds exactly: "fp32"
    stores every weight in float32. Resize and normalization are in the graph.

    Args:
        checkpoint: the checkpoint.
        precision: "fp32", or "fp16", which stores the weights of large layers in float16. The
            arithmetic is float32 in both.

    Raises:
        ModelError: pnnx can't convert it.
    """
    side = checkpoint.spec.input.side
    module = ExportModule(checkpoint, pixels=True).eval()
    return convert_module(module, checkpoint.spec.name, [(1, 1, side, side)], NAMES, precision)


def convert_module(
    module: nn.Module,
    title: str,
    shapes: Sequence[tuple[int, ...]],
    names: Mapping[str, str],
    precision: Precision,
) -> ConvertedModel:
    """Convert a module of one input.

    Args:
        module: in evaluation mode; takes float pixels `[1, 1, H, W]`.
        title: the model's name, for errors.
        shapes: the input's shape, or two of them where its sides are free.
        names: by pnnx's names of blobs, those of the graph's contract.
        precision: as in `convert_to_ncnn`.

    Raises:
        ModelError: pnnx can't convert it.
    """
    with tempfile.TemporaryDirectory() as folder:
        graph, weights = _run_pnnx(module, title, shapes, Path(folder))
    graph = rename_blobs(graph, names)
    weights = encode_weights(graph, weights, half=precision == "fp16")

    def write(spec: SpecDocument, path: Path) -> None:
        contents = {".param": graph.encode(), ".bin": weights}
        digests = {suffix: hashlib.sha256(data).hexdigest() for suffix, data in contents.items()}
        for suffix, data in {**contents, ".json": format_document(spec, digests).encode()}.items():
            path.with_suffix(suffix).write_bytes(data)

    tools = {name: importlib.metadata.version(name) for name in ("ncnn", "pnnx")}
    return ConvertedModel(write, "fp16" if precision == "fp16" else "fp32", tools, OPTIONS)


def _run_pnnx(
    module: nn.Module, title: str, shapes: Sequence[tuple[int, ...]], folder: Path
) -> tuple[str, bytes]:
    """Trace and convert a module; returns the text of the graph and its float32 weights."""
    with warnings.catch_warnings():
        # of torch.jit, the only format that pnnx reads, and of shapes that the trace fixes
        warnings.filterwarnings("ignore", category=FutureWarning, module="torch.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch.*")
        warnings.filterwarnings("ignore", category=TracerWarning)
        traced = torch.jit.trace(module, torch.zeros(shapes[0]))  # type: ignore[no-untyped-call]
        # not traced.save: it ends the process where the disk is full
        (folder / "m.pt").write_bytes(traced.save_to_buffer())
    # not pnnx.export: it prints to standard output and runs Python code that it generates
    texts = ("[" + ",".join(map(str, shape)) + "]f32" for shape in shapes)
    options = (f"{name}={text}" for name, text in zip(_SHAPE_OPTIONS, texts, strict=False))
    command = [pnnx.EXEC_PATH, "m.pt", *options, "fp16=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    files = folder / "m.ncnn.param", folder / "m.ncnn.bin"
    if done.returncode or not all(file.is_file() for file in files):
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise ModelError(f"{title}: pnnx can't convert it: {lines[-1][:200]}")
    return files[0].read_text("utf-8"), files[1].read_bytes()


def rename_blobs(graph: str, names: Mapping[str, str] = NAMES) -> str:
    """The text of an ncnn graph with the contract's names for inputs and outputs."""
    lines = graph.splitlines()
    head, layers = lines[:2], [line.split() for line in lines[2:]]
    for fields in layers:
        blobs = slice(4, 4 + int(fields[2]) + int(fields[3]))
        fields[blobs] = [names.get(name, name) for name in fields[blobs]]
    return "\n".join([*head, *map(" ".join, layers), ""])


def encode_weights(graph: str, weights: bytes, *, half: bool) -> bytes:
    """The contents of the `.bin` file, checked to be complete.

    Args:
        graph: the text of the graph, which gives the number of weights of each layer.
        weights: pnnx's output: for each layer with weights, in order, a tag of four zero bytes, the
            weights, and the biases if any, in float32.
        half: store the weights of large layers in float16.

    Raises:
        ModelError: the weights don't fit the graph.
    """
    encoded = bytearray()
    at = 0
    for line in graph.splitlines()[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        if kind not in WEIGHTED_LAYERS:
            continue
        values = dict(field.split("=", 1) for field in rest[int(inputs) + int(outputs) :])
        count, has_bias, size = (int(values.get(key, 0)) for key in WEIGHTED_LAYERS[kind])
        bias = count * has_bias
        tag, full = weights[at : at + 4], weights[at + 4 : at + 4 + 4 * size]
        at += 4 + 4 * size
        if tag.strip(bytes(1)):
            raise ModelError(f"{kind}: its weights aren't float32")
        if half and size > MAX_FLOAT32_SIZE:
            tag, full = FLOAT16_TAG.to_bytes(4, "little"), _to_float16(full)
        encoded += tag + full + weights[at : at + 4 * bias]
        at += 4 * bias
    if at != len(weights):
        raise ModelError(
            f"pnnx wrote {len(weights)} bytes of weights, but the known layers have {at}: the "
            "disk is full, or the network has an unsupported layer"
        )
    return bytes(encoded)


def _to_float16(weights: bytes) -> bytes:
    with np.errstate(over="ignore"):  # infinities fail the comparison
        half = np.frombuffer(weights[: len(weights) // 4 * 4], "<f4").astype("<f2").tobytes()
    return half + bytes(-len(half) % 4)
