"""Read the spec of a model file of any format, without an engine."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from fer_edge.detector_spec import DetectorSpec
from fer_edge.documents import parse_json
from fer_edge.errors import ModelError
from fer_edge.runtime.formats import ncnn_files
from fer_edge.runtime.formats.model_files import check_file, model_type
from fer_edge.runtime.formats.onnx_reader import read_header
from fer_edge.spec import KEY, ModelSpec
from fer_edge.spec_document import OtherTaskError

Spec = TypeVar("Spec", ModelSpec, DetectorSpec)

_LONGEST_HEADER = 100_000_000  # the format's own limit


def _safetensors_metadata(path: Path) -> dict[str, str]:
    """The header's `__metadata__`: eight bytes of length, little-endian, then JSON."""
    with path.open("rb") as stream:
        length = stream.read(8)
        size = struct.unpack("<Q", length)[0] if len(length) == 8 else 0
        if not 2 <= size <= _LONGEST_HEADER:
            raise ModelError(f"{path}: not a safetensors file")
        header = stream.read(size)
    try:
        document = parse_json(header)
    except ValueError as error:
        raise ModelError(f"{path}: damaged or cut off ({error}): copy it again") from None
    metadata = document.get("__metadata__") if isinstance(document, dict) else None
    if not isinstance(metadata, dict):
        return {}
    return {str(key): str(value) for key, value in metadata.items()}


def _onnx_metadata(path: Path) -> dict[str, bytes]:
    return read_header(path).metadata


def _openvino_metadata(path: Path) -> dict[str, str]:
    from fer_edge.runtime.formats import openvino_ir  # here: an XML parser, for few starts

    return openvino_ir.read_metadata(path)


_METADATA: dict[str, Callable[[Path], Mapping[str, str | bytes]]] = {
    ".safetensors": _safetensors_metadata,
    ".onnx": _onnx_metadata,
    ".xml": _openvino_metadata,
}
"""By suffix: the metadata that a file holds."""
_NCNN = ".param"


def has_spec(path: Path) -> bool:
    """Whether a `.safetensors` file is a checkpoint of fer-edge, not another's.

    Raises:
        ModelError: there is no such file, or it is damaged.
    """
    check_file(path)
    return KEY in _safetensors_metadata(path)


def read_spec(path: Path) -> ModelSpec:
    """The spec inside a checkpoint or an exported model, or beside it.

    Raises:
        ModelError: there is no such file, its kind isn't known, or it is damaged.
        SpecError: it holds no spec, a newer one, a damaged one, or that of a face detector.
    """
    return _read(path, ModelSpec)


def read_detector_spec(path: Path) -> DetectorSpec:
    """The same of a face detector.

    Raises:
        ModelError, SpecError: as `read_spec`; the spec of a model of expressions is refused.
    """
    return _read(path, DetectorSpec)


def read_any_spec(path: Path) -> ModelSpec | DetectorSpec:
    """The same of a model of expressions or of a face detector.

    Raises:
        ModelError, SpecError: as `read_spec`.
    """
    try:
        return read_spec(path)
    except OtherTaskError:
        return read_detector_spec(path)


def _read(path: Path, kind: type[Spec]) -> Spec:
    known = (*_METADATA, _NCNN)
    if model_type(path) not in known:
        *others, last = known
        raise ModelError(f"{path}: a model file ends in {', '.join(others)} or {last}")
    check_file(path)
    if model_type(path) == _NCNN:
        return ncnn_files.read_spec(path, kind)
    return kind.from_metadata(_METADATA[model_type(path)](path), str(path))
