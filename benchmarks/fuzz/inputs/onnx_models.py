"""ONNX models: bytes, and parts of the graph by their structure."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks.fuzz.documents import damage_json
from benchmarks.fuzz.inputs.images import check_result
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.images import make_image
from benchmarks.fuzz.seeds.models import SIDE, make_onnx, make_spec
from fer_edge import Recognizer
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import KEY

_OPERATORS = ("Relu", "Add", "Identity", "Loop", "Reshape", "Resize", "Conv", "Unknown", "Split")
_SIZES = (0, 1, -1, 2, 7, 2**31, 2**40, 2**63 - 1)


class Target:
    """A damaged model under ONNX Runtime."""

    def __init__(self, _: Path) -> None:
        self._model = make_onnx()
        self._small = self._model.SerializeToString()
        self._base = bundled("model").read_bytes()
        self._face = np.asarray(make_image("L"))
        self._spec = json.loads(make_spec().to_json())

    def write(self, random: Random, folder: Path) -> Path:
        """Damage base, a small one, or the small one's graph."""
        which = random.random()
        if which < 0.05:
            content = mutate(random, self._base)
        elif which < 0.4:
            content = mutate(random, self._small)
        else:
            content = self._damage_graph(random)
        path = folder / "model.onnx"
        path.write_bytes(content)
        return path

    def run(self, case: Path) -> None:
        """Read the spec, load the model, predict a face."""
        read_spec(case)
        check_result(Recognizer.load(case, faces="whole", backend="onnxruntime")(self._face))

    def _damage_graph(self, random: Random) -> bytes:
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        for _ in range(random.choice((1, 1, 2, 3))):
            random.choice((_damage_node, _damage_tensor, _damage_shape, _damage_opset))(
                random, model
            )
        if random.random() < 0.2:
            model.metadata_props[0].value = damage_json(random, self._spec).decode(
                "utf-8", "replace"
            )
        if random.random() < 0.1:
            model.metadata_props[0].key = random.choice(("", KEY + "2", "\x1b"))
        content: bytes = model.SerializeToString()
        return content


def _damage_node(random: Random, model: Any) -> None:
    node = random.choice(model.graph.node)
    action = random.randrange(4)
    if action == 0:
        node.op_type = random.choice(_OPERATORS)
    elif action == 1 and node.input:
        names = [n for one in model.graph.node for n in (*one.input, *one.output)]
        node.input[random.randrange(len(node.input))] = random.choice((*names, "", "nowhere"))
    elif action == 2 and node.attribute:
        attribute = random.choice(node.attribute)
        attribute.i = random.choice(_SIZES)
        if attribute.ints:
            attribute.ints[0] = random.choice(_SIZES)
    else:
        model.graph.node.remove(node)


def _damage_tensor(random: Random, model: Any) -> None:
    tensor = random.choice(model.graph.initializer)
    values = _read_tensor(tensor) if random.random() < 0.5 else None
    if values is not None:
        values.flat[random.randrange(values.size)] = random.choice((np.nan, np.inf, 1e38, -1e38, 0))
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    elif tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice(_SIZES)
    else:
        tensor.data_type = random.randrange(25)


def _read_tensor(tensor: Any) -> np.ndarray | None:
    """Its values, float32; None where shape and type don't fit the bytes, or there are none.

    It may have been damaged before.
    """
    try:
        values = numpy_helper.to_array(tensor).astype(np.float32)
    except (KeyError, TypeError, ValueError):
        return None
    return values if values.size else None


def _damage_shape(random: Random, model: Any) -> None:
    value = random.choice([*model.graph.input, *model.graph.output])
    kind = value.type.tensor_type
    if random.random() < 0.3:
        kind.elem_type = random.randrange(25)
    elif random.random() < 0.3:
        value.name = random.choice(("faces", "logits", "other", ""))
    else:
        random.choice(kind.shape.dim).dim_value = random.choice((*_SIZES, SIDE + 1))


def _damage_opset(random: Random, model: Any) -> None:
    model.opset_import[0].version = random.choice((0, 1, 11, 17, 28, 2**40))
    model.ir_version = random.choice((0, 3, 9, 14, 99))
