"""Checkpoints: the header's spec and tensors, and the bytes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.fuzz.documents import damage_json, damage_value
from benchmarks.fuzz.judge import WrongResultError
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.checkpoints import write_checkpoint
from fer_edge.spec import KEY
from fer_edge.train.evaluation.evaluate import open_model


class Target:
    """A damaged `.safetensors`, opened as by every command that needs PyTorch."""

    def __init__(self, folder: Path) -> None:
        self._content = write_checkpoint(folder).read_bytes()
        (self._length,) = struct.unpack_from("<Q", self._content)
        self._header: dict[str, Any] = json.loads(self._content[8 : 8 + self._length])

    def write(self, random: Random, folder: Path) -> Path:
        """Damage the spec, the description of a tensor, or bytes."""
        tensors = self._content[8 + self._length :]
        way = random.random()
        if way < 0.3:
            content = mutate(random, self._content)
        else:
            header = json.loads(json.dumps(self._header))
            if way < 0.6:
                text = damage_json(random, json.loads(header["__metadata__"][KEY]))
                header["__metadata__"][KEY] = text.decode("utf-8", "replace")
            elif way < 0.9:
                name = random.choice(list(header))
                header[name] = damage_value(random, header[name])
            else:
                tensors = _with_extremes(random, tensors)
            encoded = json.dumps(header).encode()
            content = struct.pack("<Q", len(encoded)) + encoded + tensors
        path = folder / "model.safetensors"
        path.write_bytes(content)
        return path

    def run(self, case: Path) -> None:
        """Load it and predict a face."""
        model = open_model(case)
        side = model.spec.input.side
        logits = model.predict(np.zeros((1, side, side), np.uint8))
        if not np.isfinite(logits).all():
            raise WrongResultError("logits that aren't numbers")


def _with_extremes(random: Random, tensors: bytes) -> bytes:
    data = bytearray(tensors)
    for _ in range(random.choice((1, 20))):
        at = random.randrange(len(data) - 4)
        data[at : at + 4] = random.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\x7b\xff\x7b"))
    return bytes(data)
