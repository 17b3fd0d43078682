"""What `fer doctor` found to be the fastest, for `backend="auto"`.

One JSON document in the user's state folder. It is a hint: absent, damaged or of another machine,
everything works as if there were none.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_edge.atomic import write_text
from fer_edge.runtime.device import cpu
from fer_edge.runtime.formats.model_files import described_in

SCHEMA = 1
_TAIL = 65536
"""Bytes at a model's end: there its spec lies, with the checkpoint's SHA-256 and the precision."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """An engine's name, its threads for one call (1 or more), and the milliseconds a face took.

    Raises:
        ValueError: at construction, when a value is of the wrong kind or out of its range.
    """

    backend: str
    threads: int
    ms: float

    def __post_init__(self) -> None:
        kinds = (self.backend, str), (self.threads, int), (self.ms, float)
        if not all(isinstance(value, kind) for value, kind in kinds):
            raise ValueError(f"{self} has a value of the wrong kind")
        if self.threads < 1 or not 0 < self.ms < float("inf"):
            raise ValueError(f"{self.threads} threads or {self.ms} ms can't be")


def place() -> Path:
    """Where it is kept: the user's state folder (XDG Base Directory).

    Raises:
        RuntimeError: the user has no home folder.
    """
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "fer-edge" / "doctor.json"


def recall(path: Path, packages: Mapping[str, str]) -> Choice | None:
    """What was found for a model on this machine.

    Args:
        path: the model's file; a copy of it counts as the same.
        packages: by the name of each engine that may be used: the package it needs.

    Returns:
        None: nothing was, or it can't be read, or that engine isn't among `packages`, isn't
        installed, or has been updated since.
    """
    machines = _load()
    if not machines:
        return None
    try:
        entry = machines[cpu.fingerprint()][_key(path)]
        choice = Choice(entry["backend"], entry["threads"], entry["ms"])
        measured = entry["build"]
    except (KeyError, TypeError, ValueError):  # nothing for it, or damaged
        return None
    except OSError:  # the model can't be read: for its engine to say
        return None
    if choice.backend not in packages or measured is None:
        return None
    return choice if measured == _build(packages[choice.backend]) else None


def remember(path: Path, choice: Choice, package: str) -> Path:
    """Keep a choice for a model on this machine; `package` is what its engine needs.

    Returns:
        The file that was written; one that was damaged is begun anew.

    Raises:
        OSError, RuntimeError: there is no folder to write to.
    """
    machines, here = _load(), cpu.fingerprint()
    models = machines[here] if isinstance(machines.get(here), dict) else {}
    models[_key(path)] = {**dataclasses.asdict(choice), "build": _build(package)}
    document = {"schema": SCHEMA, "machines": {**machines, here: models}}
    write_text(place(), json.dumps(document, indent=1) + "\n")
    return place()


def _load() -> dict[str, Any]:
    """By machine, since a home folder may be shared between boards: models and their entries.

    Written out by hand: `fer_edge.schema` and its dataclasses would cost every start more than all
    the rest here.
    """
    try:
        document = json.loads(place().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):  # absent, damaged, too deep; no home folder
        return {}
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return {}
    machines = document.get("machines")
    return machines if isinstance(machines, dict) else {}


def _key(path: Path) -> str:
    """Which model that is, from its size and its end: nothing else is read."""
    import hashlib  # here: most starts have nothing to recall

    with described_in(path).open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL))
        return f"{hashlib.sha256(stream.read()).hexdigest()[:32]}-{size}{path.suffix}"


def _build(package: str) -> str | None:
    """Which build of a package is installed, without importing it; None: none is.

    A new one may be slower, wrong or not made for this CPU, so it has to be measured first.
    """
    start = cpu.origin(package)
    if start is None or not start.is_file():
        return None
    found = start.stat()
    return f"{found.st_size}-{found.st_mtime_ns}"
