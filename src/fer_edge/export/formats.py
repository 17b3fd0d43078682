"""The kinds of files that a checkpoint is exported to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fer_edge.export.exportable import Graph
from fer_edge.export.to_onnx import onnx_graph
from fer_edge.runtime.formats.ncnn_files import SUFFIX
from fer_edge.spec import Precision
from fer_edge.train.networks.checkpoint import Checkpoint

Build = Callable[[Checkpoint, Precision], Graph]


def _openvino() -> Build:
    from fer_edge.export.to_openvino import openvino_graph

    return openvino_graph


def _ncnn() -> Build:
    from fer_edge.export.to_ncnn import ncnn_graph

    return ncnn_graph


@dataclass(frozen=True)
class Format:
    """How a kind of file is made.

    Attributes:
        suffix: of the file that the engine is given; what belongs beside it, `COMPANIONS` says.
        builder: gives the function that turns a checkpoint into what is written; it raises
            MissingExtraError where the format's package isn't installed.
        no_int8: why it can't be int8; None: it can.
    """

    suffix: str
    builder: Callable[[], Build]
    no_int8: str | None = None

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """What it may be exported in."""
        return ("fp32", "fp16") if self.no_int8 else ("fp32", "fp16", "int8")


FORMATS = {
    "onnx": Format(".onnx", lambda: onnx_graph),
    "openvino": Format(".xml", _openvino),
    "ncnn": Format(
        SUFFIX,
        _ncnn,
        no_int8="ncnn rounds activations to other steps than the twin was trained for: "
        "--format onnx, or --precision fp16",
    ),
}
