"""An `.onnx` file's protobuf fields; and its operator set, which OpenVINO doesn't tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

OPSET_IMPORT = 8  # field of a ModelProto
DOMAIN, VERSION = 1, 2  # fields of an OperatorSetIdProto
OWN_DOMAINS = (b"", b"ai.onnx")
FIXED_SIZES = {1: 8, 5: 4}  # bytes of a value, by protobuf's wire type


def opset(path: Path) -> int:
    """Version of ONNX's own operators in that file; 0 when it names none, or is damaged."""
    found = 0
    for number, value in fields(memoryview(path.read_bytes())):
        if number == OPSET_IMPORT and isinstance(value, memoryview):
            entry = dict(fields(value))
            domain, version = entry.get(DOMAIN, b""), entry.get(VERSION, 0)
            if domain in OWN_DOMAINS and isinstance(version, int):
                found = max(found, version)
    return found


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a protobuf message, up to where it stops making sense."""
    at = 0
    try:
        while at < len(data):
            key, at = _varint(data, at)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, at = _varint(data, at)
                yield number, value
                continue
            if wire == 2:
                size, at = _varint(data, at)
            else:
                size = FIXED_SIZES[wire]
            yield number, data[at : at + size]
            at += size
    except (IndexError, KeyError):  # cut off, or no protobuf
        return


def integers(value: int | memoryview) -> list[int]:
    """One entry of a repeated field of integers: one of them, or a run of packed ones.

    Raises:
        IndexError: the run is cut off.
    """
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(number)
    return found


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """An integer in groups of seven bits, lowest first, and where the next value starts."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift >= 70:
            raise IndexError
