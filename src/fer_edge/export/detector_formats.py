"""A face detector as an ONNX file, an OpenVINO IR, or ncnn's files, its decoding inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fer_edge.export.exportable import ConvertedModel
from fer_edge.export.formats import FORMATS
from fer_edge.runtime.detection.cells import INPUT, OUTPUT
from fer_edge.spec import Precision
from fer_edge.train.detector.checkpoint import DetectorCheckpoint
from fer_edge.train.detector.network import FaceDetector
from fer_edge.train.networks import quantized
from fer_edge.train.networks.fake_quant import FakeQuantMode

if TYPE_CHECKING:
    import onnx

_EXAMPLE = (1, 64, 96)
"""Images, height and width of the example that a graph is traced with: all three differ."""
_OTHER_EXAMPLE = (1, 96, 160)
"""Another one, for a tracer that has to see what is free."""
_MULTIPLE = 32
"""Stands for the sides of every image: what holds for this one does for its multiples."""


class ExportDetector(nn.Module):
    """The graph's contract, of bytes or of float pixels `[1, 1, H, W]`."""

    def __init__(self, model: FaceDetector, *, pixels: bool = False) -> None:
        super().__init__()
        self.model = model
        self.pixels = pixels

    def forward(self, images: Tensor) -> Tensor:
        """Float32 `[N, 9, cells]`, as `FaceDetector.forward` describes it."""
        found: Tensor = self.model.forward_pixels(images) if self.pixels else self.model(images)
        return found


def detector_to_onnx(checkpoint: DetectorCheckpoint, precision: Precision) -> onnx.ModelProto:
    """Convert to an ONNX graph: `images` uint8 `[N, H, W]`, all free, to `faces`.

    Raises:
        ModelError: the checkpoint has no quantized model for "int8".
        MissingExtraError: a package isn't installed.
    """
    from fer_edge.export.to_onnx import export_graph

    model = checkpoint.int8().model if precision == "int8" else checkpoint.model
    mode = FakeQuantMode.ONNX if precision == "int8" else FakeQuantMode.QUANTIZED
    with quantized.fake_quant_mode(model, mode):
        rows, columns = (torch.export.Dim(name) for name in ("rows", "columns"))
        return export_graph(
            ExportDetector(model).eval(),
            torch.zeros((2, *_EXAMPLE[1:]), dtype=torch.uint8),
            (INPUT, OUTPUT),
            {0: torch.export.Dim("N"), 1: _MULTIPLE * rows, 2: _MULTIPLE * columns},
            (_MULTIPLE, _MULTIPLE),
            exact=True,
        )


def _convert_to_onnx(checkpoint: DetectorCheckpoint, precision: Precision) -> ConvertedModel:
    from fer_edge.export.to_onnx import TOOLS, weights_of, write_onnx

    model = detector_to_onnx(checkpoint, precision)
    return ConvertedModel(partial(write_onnx, model), weights_of(model, precision), TOOLS)


def _convert_to_openvino(checkpoint: DetectorCheckpoint, precision: Precision) -> ConvertedModel:
    from fer_edge.export.to_onnx import TOOLS, weights_of
    from fer_edge.export.to_openvino import write_openvino

    model = detector_to_onnx(checkpoint, precision)
    return ConvertedModel(partial(write_openvino, model), weights_of(model, precision), TOOLS)


def _convert_to_ncnn(checkpoint: DetectorCheckpoint, precision: Precision) -> ConvertedModel:
    from fer_edge.export.to_ncnn import convert_module

    module = ExportDetector(checkpoint.model, pixels=True).eval()
    shapes = [(1, *_EXAMPLE), (1, *_OTHER_EXAMPLE)]
    return convert_module(
        module, checkpoint.spec.name, shapes, {"in0": INPUT, "out0": OUTPUT}, precision
    )


@dataclass(frozen=True)
class DetectorFormat:
    """A format that detectors are exported to.

    Attributes:
        suffix: of the file that the engine opens.
        precisions: those that it has.
        convert: the converter.
        engine: the engine by which it is proved.
    """

    suffix: str
    precisions: tuple[Precision, ...]
    convert: Callable[[DetectorCheckpoint, Precision], ConvertedModel]
    engine: str


DETECTOR_FORMATS = {
    "onnx": DetectorFormat(
        FORMATS["onnx"].suffix, ("fp32", "int8"), _convert_to_onnx, "onnxruntime"
    ),
    "openvino": DetectorFormat(
        FORMATS["openvino"].suffix, ("fp32", "int8"), _convert_to_openvino, "openvino"
    ),
    "ncnn": DetectorFormat(FORMATS["ncnn"].suffix, ("fp32",), _convert_to_ncnn, "ncnn"),
}
"""Formats of detectors, by the names of `FORMATS`."""
