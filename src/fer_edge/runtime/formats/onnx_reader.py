"""Read an `.onnx` file's operator set, metadata and graph without an engine.

An engine that is missing or crashes on this machine must not hide what a file is. Field numbers are
those of `onnx.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.errors import ModelError

FLOAT32 = 1  # TensorProto.DataType.FLOAT
FIXED_SIZES = {1: 8, 5: 4}  # bytes of a value, by protobuf's wire type
OWN_DOMAINS = (b"", b"ai.onnx")

# field numbers of each message
MODEL_GRAPH, MODEL_OPSET, MODEL_METADATA = 7, 8, 14
OPSET_DOMAIN, OPSET_VERSION = 1, 2
ENTRY_KEY, ENTRY_VALUE = 1, 2
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
VALUE_NAME = 1
NODE_INPUT, NODE_OUTPUT, NODE_OP_TYPE, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_INTS = 1, 3, 4, 8
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_DATA = 1, 2, 8, 9

Floats = npt.NDArray[np.float32]
Field = int | memoryview
Message = dict[int, list[Field]]


@dataclass(frozen=True)
class Node:
    """One operator: the names of its tensors, and its attributes by name.

    Attributes:
        numbers: attributes that hold one or more integers.
        texts: attributes that hold a string.
    """

    kind: str
    inputs: list[str]
    outputs: list[str]
    numbers: dict[str, list[int]]
    texts: dict[str, str]


@dataclass(frozen=True)
class OnnxGraph:
    """Operators in topological order, the float32 constants by name, and the names of the inputs
    and outputs."""

    nodes: list[Node]
    tensors: dict[str, Floats]
    inputs: list[str]
    outputs: list[str]


@dataclass(frozen=True)
class OnnxHeader:
    """What a file says of itself beside its graph.

    Attributes:
        opset: version of ONNX's own operator set.
        metadata: the `metadata_props`, which are UTF-8 unless they are damaged.
    """

    opset: int
    metadata: dict[str, bytes]


def read_header(path: Path) -> OnnxHeader:
    """Read a file's operator set and metadata.

    Raises:
        ModelError: the file can't be read, or is damaged.
    """
    opset, metadata = 0, {}
    try:
        for number, value in _fields(_content(path)):
            if number == MODEL_OPSET:
                entry = dict(_fields(_bytes(value)))
                if entry.get(OPSET_DOMAIN, b"") in OWN_DOMAINS:
                    opset = max(opset, _integer(entry.get(OPSET_VERSION, 0)))
            elif number == MODEL_METADATA:
                entry = dict(_fields(_bytes(value)))
                key = _text(entry.get(ENTRY_KEY, b""))
                if key in metadata:
                    raise ValueError(f"{key!r} is there twice")
                metadata[key] = bytes(_bytes(entry.get(ENTRY_VALUE, b"")))
        if not opset:
            raise ValueError("it names no operator set")
    except _DAMAGE:
        raise _damaged(path) from None
    return OnnxHeader(opset, metadata)


def read_graph(path: Path) -> OnnxGraph:
    """The graph of a file that holds its weights itself.

    Raises:
        ModelError: the file can't be read, or isn't an ONNX graph.
    """
    try:
        graph = _message(_message(_content(path))[MODEL_GRAPH][0])
        tensors = (_tensor(_message(one)) for one in graph.get(GRAPH_INITIALIZER, []))
        return OnnxGraph(
            nodes=[_node(_message(one)) for one in graph[GRAPH_NODE]],
            tensors=dict(filter(None, tensors)),
            inputs=[_text(_message(one)[VALUE_NAME][0]) for one in graph[GRAPH_INPUT]],
            outputs=[_text(_message(one)[VALUE_NAME][0]) for one in graph[GRAPH_OUTPUT]],
        )
    except _DAMAGE:
        raise _damaged(path) from None


def _content(path: Path) -> memoryview:
    try:
        return memoryview(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None


_DAMAGE = (IndexError, KeyError, OverflowError, TypeError, ValueError)
"""What reading a damaged file raises: cut off, a number out of range, a field of another type."""


def _damaged(path: Path) -> ModelError:
    return ModelError(
        f"{path}: damaged or cut off, or no ONNX file: copy it again, or export it again"
    )


def _node(message: Message) -> Node:
    numbers, texts = {}, {}
    for one in message.get(NODE_ATTRIBUTE, []):
        attribute = _message(one)
        name = _text(attribute[ATTRIBUTE_NAME][0])
        if ATTRIBUTE_STRING in attribute:
            texts[name] = _text(attribute[ATTRIBUTE_STRING][0])
        values = attribute.get(ATTRIBUTE_INTS) or attribute.get(ATTRIBUTE_INT, [])
        numbers[name] = [number for value in values for number in _integers(value)]
    return Node(
        _text(message[NODE_OP_TYPE][0]),
        [_text(name) for name in message.get(NODE_INPUT, [])],
        [_text(name) for name in message[NODE_OUTPUT]],
        numbers,
        texts,
    )


def _tensor(message: Message) -> tuple[str, Floats] | None:
    """A float32 constant; None: it has another type, or its bytes aren't in the file."""
    if message[TENSOR_TYPE][0] != FLOAT32 or TENSOR_DATA not in message:
        return None
    shape = [number for value in message.get(TENSOR_DIMS, []) for number in _integers(value)]
    data = np.frombuffer(_bytes(message[TENSOR_DATA][0]), "<f4")
    return _text(message[TENSOR_NAME][0]), data.reshape(shape)


def _message(value: Field) -> Message:
    """The fields of a message, by number."""
    message: Message = {}
    for number, field in _fields(_bytes(value)):
        message.setdefault(number, []).append(field)
    return message


def _bytes(value: Field | bytes) -> memoryview:
    if isinstance(value, int):
        raise TypeError("an integer where bytes are expected")
    return memoryview(value)


def _integer(value: Field) -> int:
    if not isinstance(value, int):
        raise TypeError("bytes where an integer is expected")
    return value


def _text(value: Field | bytes) -> str:
    return str(_bytes(value), "utf-8")


def _fields(data: memoryview) -> Iterator[tuple[int, Field]]:
    """Number and value of each field of a protobuf message.

    Raises:
        IndexError, KeyError: it is cut off, or no protobuf.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        size, at = _varint(data, at) if wire == 2 else (FIXED_SIZES[wire], at)
        if size > len(data) - at:
            raise IndexError("cut off")
        yield number, data[at : at + size]
        at += size


def _integers(value: Field) -> list[int]:
    """One entry of a repeated integer field: a single integer, or a run of packed ones.

    Raises:
        IndexError: the run is cut off.
    """
    if isinstance(value, int):
        return [value]
    numbers, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        numbers.append(number)
    return numbers


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """An integer in groups of seven bits, lowest first, and the offset after it."""
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
