"""The fastest engine of each model as `fer doctor` measured it, stored for `backend="auto"`.

It is one JSON document in the user's state folder, and only a hint: where it is absent, damaged or
of another machine, everything works without it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_edge.atomic import write_text
from fer_edge.errors import ConfigError
from fer_edge.paths import state_folder
from fer_edge.runtime.device.cpu import MAX_THREADS, identify_cpu
from fer_edge.runtime.device.packages import identify_build
from fer_edge.runtime.formats.model_files import spec_file

SCHEMA = 1
_TAIL = 65536
"""Bytes at a model's end that identify it: its spec lies there, with the checkpoint's SHA-256."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """An engine's name, its threads for one call (1 to `MAX_THREADS`), and its ms per face.

    Raises:
        ValueError: at construction, when a value is of the wrong type or out of its range.
    """

    backend: str
    threads: int
    ms: float

    def __post_init__(self) -> None:
        types = (self.backend, str), (self.threads, int), (self.ms, float)
        if not all(isinstance(value, kind) for value, kind in types):
            raise ValueError(f"{self} has a value of the wrong type")
        if not 1 <= self.threads <= MAX_THREADS or not 0 < self.ms < float("inf"):
            raise ValueError(f"{self.threads} threads or {self.ms} ms is out of range")


def choice_file() -> Path:
    """The file that holds the choices; the user's missing home folder is a `ConfigError`."""
    return state_folder() / "doctor.json"


def read_choice(path: Path, packages: Mapping[str, str]) -> Choice | None:
    """The stored choice for a model on this machine.

    Args:
        path: the model's file; a copy of it counts as the same.
        packages: by the name of each engine that may be used: the package that it needs.

    Returns:
        None: none is stored or can be read, or its engine isn't in `packages`, isn't installed, or
        has been updated since.
    """
    machines = _read_machines()
    if not machines:
        return None
    try:
        entry = machines[identify_cpu()][_model_key(path)]
        choice = Choice(entry["backend"], entry["threads"], entry["ms"])
        build = entry["build"]
    # no entry, a damaged one, or a model that can't be read: its engine names the reason
    except (KeyError, TypeError, ValueError, OSError):
        return None
    if choice.backend not in packages or build is None:
        return None
    # a new build may be slower, wrong or not made for this CPU: it has to be measured first
    return choice if build == identify_build(packages[choice.backend]) else None


def store_choice(path: Path, choice: Choice, package: str) -> Path:
    """Store a choice for a model on this machine; `package` is what its engine needs.

    Returns:
        The file that was written; a damaged one is replaced.

    Raises:
        OSError, ConfigError: there is no folder to write to.
    """
    machines, here = _read_machines(), identify_cpu()
    models = machines[here] if isinstance(machines.get(here), dict) else {}
    models[_model_key(path)] = {**dataclasses.asdict(choice), "build": identify_build(package)}
    document = {"schema": SCHEMA, "machines": {**machines, here: models}}
    write_text(choice_file(), json.dumps(document, indent=1) + "\n")
    return choice_file()


def _read_machines() -> dict[str, Any]:
    """Models and their entries by machine, since several boards may share a home folder.

    Parsed by hand: `fer_edge.schema` would cost every start more than all the rest here.
    """
    try:
        document = json.loads(choice_file().read_text(encoding="utf-8"))
    # absent, damaged, nested too deeply; no home folder
    except (OSError, ValueError, RecursionError, ConfigError):
        return {}
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return {}
    machines = document.get("machines")
    return machines if isinstance(machines, dict) else {}


def _model_key(path: Path) -> str:
    """Identity of a model, from its size and its end: no more of it is read."""
    import hashlib  # here: most starts have no stored choice

    with spec_file(path).open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL))
        return f"{hashlib.sha256(stream.read()).hexdigest()[:32]}-{size}{path.suffix}"
