"""PyTorch to ncnn, through pnnx: a graph, its weights, and the spec beside them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.jit._trace import TracerWarning

from fer_edge.errors import MissingExtraError, ModelError
from fer_edge.export.exportable import ConvertedModel, ExportModule
from fer_edge.runtime.device.packages import find_package
from fer_edge.runtime.formats.ncnn_files import describe
from fer_edge.spec import ModelSpec, NcnnOptions, Precision
from fer_edge.train.networks.checkpoint import Checkpoint

try:
    import pnnx
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "export") from None
if find_package("ncnn") is None:  # said before minutes go into a file that can't be proved
    raise MissingExtraError("ncnn", "ncnn")

OPTIONS = NcnnOptions()
NAMES = {"in0": "faces", "out0": "logits", "out1": "probabilities"}
"""By pnnx's names: the contract's."""

HALF = 0x01306B47
"""What stands in the file of weights before those of half precision; before float32 stands 0."""
LARGEST_WHOLE = 10_000
"""Weights of a layer with at most so many numbers stay in float32 where the others are halved: they
are 6 % of MobileNetV2's, and cause nine tenths of the rounding's error."""


@dataclass(frozen=True)
class _Weighted:
    """Where ncnn's layers say how many numbers they have: keys of their parameters.

    Attributes:
        outputs: of the number of outputs, each of which has a bias where there is one.
        bias: whether there is one.
        size: of the number of weights.
    """

    outputs: str
    bias: str
    size: str


WEIGHTED = {
    "Convolution": _Weighted("0", "5", "6"),
    "ConvolutionDepthWise": _Weighted("0", "5", "6"),
    "InnerProduct": _Weighted("0", "1", "2"),
}


def convert_to_ncnn(checkpoint: Checkpoint, precision: Precision) -> ConvertedModel:
    """The checkpoint as a graph of one face: `faces` to `logits` and `probabilities`.

    pnnx folds the batch norms into the weights, so that what half precision held exactly it holds
    no more; "fp32" is stored in full. Resize and normalisation are in the graph.

    Args:
        checkpoint: what to export.
        precision: "fp32"; or "fp16": the larger layers' weights are halved. The arithmetic is
            float32 either way.

    Raises:
        ModelError: pnnx can't convert it.
    """
    with tempfile.TemporaryDirectory() as folder:
        answers = ExportModule(checkpoint, pixels=True).eval()
        graph, weights = _converted(answers, checkpoint.spec, Path(folder))
    graph = rename_blobs(graph)
    weights = encode_weights(graph, weights, half=precision == "fp16")

    def write(spec: ModelSpec, path: Path) -> None:
        contents = {".param": graph.encode(), ".bin": weights}
        digests = {suffix: hashlib.sha256(data).hexdigest() for suffix, data in contents.items()}
        for suffix, data in {**contents, ".json": describe(spec, digests).encode()}.items():
            path.with_suffix(suffix).write_bytes(data)

    tools = {name: importlib.metadata.version(name) for name in ("ncnn", "pnnx")}
    return ConvertedModel(write, "fp16" if precision == "fp16" else "fp32", tools, OPTIONS)


def _converted(module: nn.Module, spec: ModelSpec, folder: Path) -> tuple[str, bytes]:
    """What pnnx makes of a module: the graph's text, and float32 weights."""
    side = spec.input.side
    with warnings.catch_warnings():
        # torch's own of the trace that pnnx reads, and of what depends on the input's shape
        warnings.filterwarnings("ignore", category=FutureWarning, module="torch.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch.*")
        warnings.filterwarnings("ignore", category=TracerWarning)
        traced = torch.jit.trace(module, torch.zeros(1, 1, side, side))  # type: ignore[no-untyped-call]
        # not its own save: where the disk is full, that ends the process
        (folder / "m.pt").write_bytes(traced.save_to_buffer())
    # not pnnx.export: it talks on standard output, and runs the Python code that it generates
    command = [pnnx.EXEC_PATH, "m.pt", f"inputshape=[1,1,{side},{side}]f32", "fp16=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    files = folder / "m.ncnn.param", folder / "m.ncnn.bin"
    if done.returncode or not all(file.is_file() for file in files):
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise ModelError(f"{spec.name}: pnnx can't convert it: {said[-1][:200]}")
    return files[0].read_text("utf-8"), files[1].read_bytes()


def rename_blobs(graph: str) -> str:
    """ncnn's text with the contract's names for what goes in and comes out."""
    lines = graph.splitlines()
    head, layers = lines[:2], [line.split() for line in lines[2:]]
    for words in layers:
        blobs = slice(4, 4 + int(words[2]) + int(words[3]))
        words[blobs] = [NAMES.get(name, name) for name in words[blobs]]
    return "\n".join([*head, *map(" ".join, layers), ""])


def encode_weights(graph: str, weights: bytes, *, half: bool) -> bytes:
    """The weights as they will lie in the file; all of them must be there.

    Args:
        graph: ncnn's text, which tells how many numbers each layer has.
        weights: what pnnx wrote for it: for each layer with weights, in order, 0 in four bytes, its
            weights, and its bias where it has one, in float32.
        half: whether those of the larger layers are halved.

    Raises:
        ModelError: the weights aren't the graph's.
    """
    done = bytearray()
    at = 0
    for line in graph.splitlines()[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        if kind not in WEIGHTED:
            continue
        keys = WEIGHTED[kind]
        given = dict(word.split("=", 1) for word in rest[int(inputs) + int(outputs) :])
        size, bias = int(given[keys.size]), int(given[keys.outputs]) * int(given.get(keys.bias, 0))
        tag, full = weights[at : at + 4], weights[at + 4 : at + 4 + 4 * size]
        at += 4 + 4 * size
        if tag.strip(bytes(1)):
            raise ModelError(f"{kind}: its weights aren't plain float32")
        if half and size > LARGEST_WHOLE:
            tag, full = HALF.to_bytes(4, "little"), _half(full)
        done += tag + full + weights[at : at + 4 * bias]
        at += 4 * bias
    if at != len(weights):
        raise ModelError(
            f"pnnx wrote {len(weights)} bytes of weights, but the layers that are known here have "
            f"{at}: a full disk, or another kind of layer"
        )
    return bytes(done)


def _half(numbers: bytes) -> bytes:
    with np.errstate(over="ignore"):  # infinities fail the comparison
        half = np.frombuffer(numbers[: len(numbers) // 4 * 4], "<f4").astype("<f2").tobytes()
    return half + bytes(-len(half) % 4)
