"""The table of export formats. A new format is one entry and a converter module."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fer_edge.runtime.formats.ncnn_files import SUFFIX
from fer_edge.spec import Precision

if TYPE_CHECKING:  # the command line lists the formats, and doesn't load PyTorch for it
    from fer_edge.export.exportable import ConvertedModel
    from fer_edge.train.networks.checkpoint import Checkpoint

    Converter = Callable[[Checkpoint, Precision], ConvertedModel]


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes:
        suffix: of the file that the engine opens; `COMPANIONS` lists the files beside it.
        module, function: the converter.
        no_int8: why the format has no int8; None: it has.
    """

    suffix: str
    module: str
    function: str
    no_int8: str | None = None

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions that the format supports."""
        return ("fp32", "fp16") if self.no_int8 else ("fp32", "fp16", "int8")

    def load_converter(self) -> Converter:
        """Import the converter.

        Raises:
            MissingExtraError: a package of the format isn't installed.
        """
        converter: Converter = getattr(importlib.import_module(self.module), self.function)
        return converter


FORMATS = {
    "onnx": Format(".onnx", "fer_edge.export.to_onnx", "convert_to_onnx"),
    "openvino": Format(".xml", "fer_edge.export.to_openvino", "convert_to_openvino"),
    "ncnn": Format(
        SUFFIX,
        "fer_edge.export.to_ncnn",
        "convert_to_ncnn",
        no_int8="ncnn quantizes activations differently from the trained model: "
        "use --format onnx, or --precision fp16",
    ),
}

WEB = "web"
"""The format that is a folder: the ONNX file with a page for browsers; see `web_exporter`."""
