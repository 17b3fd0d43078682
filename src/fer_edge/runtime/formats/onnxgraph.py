"""An `.onnx` file's graph, read without an engine and without the package onnx."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.errors import ModelError
from fer_edge.runtime.formats.onnx_reader import fields, integers

Floats = npt.NDArray[np.float32]
FLOAT32 = 1
"""ONNX's number for it."""

# numbers of fields: of a ModelProto, a GraphProto, a NodeProto, an AttributeProto, a TensorProto
GRAPH = 7
NODE, TENSOR, INPUT, OUTPUT = 1, 5, 11, 12
TAKES, GIVES, KIND, ATTRIBUTE = 1, 2, 4, 5
NAME, NUMBER, TEXT, NUMBERS = 1, 3, 4, 8
SHAPE, TYPE, TENSOR_NAME, DATA = 1, 2, 8, 9


@dataclass(frozen=True)
class Node:
    """One operator: its tensors' names, and its attributes by name.

    Attributes:
        numbers: attributes that are one or more whole numbers.
        texts: attributes that are a word.
    """

    kind: str
    inputs: list[str]
    outputs: list[str]
    numbers: dict[str, list[int]]
    texts: dict[str, str]


@dataclass(frozen=True)
class OnnxGraph:
    """Operators in an order in which each comes after what it needs, and the float32 constants.

    Attributes:
        inputs, outputs: names.
    """

    nodes: list[Node]
    tensors: dict[str, Floats]
    inputs: list[str]
    outputs: list[str]


Message = dict[int, list[memoryview | int]]


def read_graph(path: Path) -> OnnxGraph:
    """Read a graph whose weights lie in the file itself.

    Raises:
        ModelError: it can't be read, or isn't one.
    """
    try:
        graph = _message(_message(memoryview(path.read_bytes()))[GRAPH][0])
        read = OnnxGraph(
            nodes=[_node(_message(one)) for one in graph[NODE]],
            tensors=dict(filter(None, (_tensor(_message(one)) for one in graph.get(TENSOR, [])))),
            inputs=[_text(_message(one)[NAME][0]) for one in graph[INPUT]],
            outputs=[_text(_message(one)[NAME][0]) for one in graph[OUTPUT]],
        )
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    except (KeyError, IndexError, TypeError, ValueError):
        raise ModelError(f"{path}: damaged, or no ONNX file: copy it again") from None
    return read


def _node(message: Message) -> Node:
    numbers, texts = {}, {}
    for one in message.get(ATTRIBUTE, []):
        attribute = _message(one)
        name = _text(attribute[NAME][0])
        if TEXT in attribute:
            texts[name] = _text(attribute[TEXT][0])
        listed = attribute.get(NUMBERS) or attribute.get(NUMBER, [])
        numbers[name] = [number for run in listed for number in integers(run)]
    return Node(
        _text(message[KIND][0]),
        [_text(name) for name in message.get(TAKES, [])],
        [_text(name) for name in message[GIVES]],
        numbers,
        texts,
    )


def _tensor(message: Message) -> tuple[str, Floats] | None:
    """A constant of float32; None: of another type, or without its bytes."""
    if message[TYPE][0] != FLOAT32 or DATA not in message:
        return None
    shape = [number for run in message.get(SHAPE, []) for number in integers(run)]
    data = message[DATA][0]
    assert isinstance(data, memoryview)
    return _text(message[TENSOR_NAME][0]), np.frombuffer(data, "<f4").reshape(shape)


def _message(value: memoryview | int) -> Message:
    """Fields by number."""
    if isinstance(value, int):
        raise TypeError("a number where a message should be")
    found: Message = {}
    for number, field in fields(value):
        found.setdefault(number, []).append(field)
    return found


def _text(value: memoryview | int) -> str:
    if isinstance(value, int):
        raise TypeError("a number where a text should be")
    return str(value, "utf-8")
