"""Read the spec of a model file of any format, without an engine."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from fer_edge.documents import parse_json
from fer_edge.errors import ModelError
from fer_edge.runtime.formats import ncnn_files
from fer_edge.runtime.formats.model_files import check_file, model_type
from fer_edge.runtime.formats.onnx_reader import read_header
from fer_edge.spec import KEY, ModelSpec

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


def _inside(find: Callable[[Path], Mapping[str, str | bytes]]) -> Callable[[Path], ModelSpec]:
    return lambda path: ModelSpec.from_metadata(find(path), str(path))


_READERS: dict[str, Callable[[Path], ModelSpec]] = {
    ".safetensors": _inside(_safetensors_metadata),
    ".onnx": _inside(_onnx_metadata),
    ".xml": _inside(_openvino_metadata),
    ".param": ncnn_files.read_spec,
}


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
        SpecError: it holds no spec, a newer one, or a damaged one.
    """
    if model_type(path) not in _READERS:
        *others, last = _READERS
        raise ModelError(f"{path}: a model file ends in {', '.join(others)} or {last}")
    check_file(path)
    return _READERS[model_type(path)](path)
