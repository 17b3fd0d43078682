"""Specs: JSON in the header of a checkpoint, as `fer info` shows it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from random import Random

from benchmarks.fuzz.commands import run_fer
from benchmarks.fuzz.documents import damage_json
from benchmarks.fuzz.judge import CommandOutput
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.seeds.models import make_onnx, make_spec
from fer_edge.spec import KEY


class Target:
    """A damaged spec in a file of each format."""

    def __init__(self, _: Path) -> None:
        self._spec = json.loads(make_spec().to_json())
        self._model = make_onnx()

    def write(self, random: Random, folder: Path) -> list[str]:
        """Damage a spec; return the command's arguments."""
        text = damage_json(random, self._spec)
        suffix = random.choice((".safetensors", ".onnx", ".xml", ".ncnn.param"))
        path = folder / f"model{suffix}"
        if suffix == ".safetensors":
            header: object = {"__metadata__": {KEY: text.decode("utf-8", "replace")}}
            content = json.dumps(header).encode()
            if random.random() < 0.2:
                content = mutate(random, content)
            length = len(content) if random.random() < 0.95 else random.choice((0, 1, 2**40, 2**63))
            path.write_bytes(struct.pack("<Q", length) + content)
        elif suffix == ".onnx":
            self._model.metadata_props[0].value = text.decode("utf-8", "replace")
            path.write_bytes(self._model.SerializeToString())
        elif suffix == ".xml":
            quoted = text.decode("utf-8", "replace").replace("&", "&amp;").replace('"', "&quot;")
            quoted = quoted.replace("<", "&lt;")
            path.write_text(f'<net><rt_info><{KEY} value="{quoted}" /></rt_info></net>', "utf-8")
        else:
            path.write_bytes(b"7767517\n")
            path.with_suffix(".json").write_bytes(text)
        return ["info", str(path), *random.choice(([], ["--json"]))]

    def run(self, case: list[str]) -> CommandOutput:
        """Run the command."""
        return run_fer(case)
