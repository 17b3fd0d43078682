"""The table of export formats. A new format is one entry and a converter module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fer_edge.export.exportable import ConvertedModel
from fer_edge.export.to_onnx import convert_to_onnx
from fer_edge.runtime.formats.ncnn_files import SUFFIX
from fer_edge.spec import Precision
from fer_edge.train.networks.checkpoint import Checkpoint

Converter = Callable[[Checkpoint, Precision], ConvertedModel]


def _load_openvino() -> Converter:
    from fer_edge.export.to_openvino import convert_to_openvino

    return convert_to_openvino


def _load_ncnn() -> Converter:
    from fer_edge.export.to_ncnn import convert_to_ncnn

    return convert_to_ncnn


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes:
        suffix: of the file that the engine opens; `COMPANIONS` lists the files beside it.
        load_converter: imports and returns the converter; raises MissingExtraError where a package
            of the format isn't installed.
        no_int8: why the format has no int8; None: it has.
    """

    suffix: str
    load_converter: Callable[[], Converter]
    no_int8: str | None = None

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions that the format supports."""
        return ("fp32", "fp16") if self.no_int8 else ("fp32", "fp16", "int8")


FORMATS = {
    "onnx": Format(".onnx", lambda: convert_to_onnx),
    "openvino": Format(".xml", _load_openvino),
    "ncnn": Format(
        SUFFIX,
        _load_ncnn,
        no_int8="ncnn quantizes activations differently from the trained model: "
        "use --format onnx, or --precision fp16",
    ),
}
