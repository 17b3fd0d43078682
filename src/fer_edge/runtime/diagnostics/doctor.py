"""What this machine has, what works on it, and what is fastest."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import fer_edge
from fer_edge.errors import ConfigError, ModelError
from fer_edge.runtime.backends.registry import ENGINES, file_for
from fer_edge.runtime.detection import install
from fer_edge.runtime.device import board, engine_choice, packages
from fer_edge.runtime.device.board import Board, Camera
from fer_edge.runtime.device.engine_choice import Choice
from fer_edge.runtime.diagnostics.self_test import (
    SECONDS,
    Row,
    Tell,
    attempts,
    child,
    choose,
    not_installed,
    readable,
    silent,
    thread_counts,
)
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.spec import ModelSpec


@dataclasses.dataclass(frozen=True)
class EngineState:
    """An engine: `version` and `devices` where it works, else `failure`, which says what to do."""

    name: str
    version: str | None = None
    devices: tuple[str, ...] = ()
    failure: str | None = None


@dataclasses.dataclass(frozen=True)
class DetectorState:
    """The face detector: `failure` says what to do where it is missing or not the known file."""

    path: str | None
    failure: str | None = None


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Everything that `fer doctor` found out.

    Attributes:
        rows: tries, by engine and number of threads.
        choice: see `choose`; None: nothing answers rightly, or speed wasn't measured.
        remembered: the file where `backend="auto"` finds it from now on; None: it wasn't kept.
        not_remembered: why it can't be kept, where it can't.
    """

    version: str
    board: Board
    cameras: tuple[Camera, ...]
    picamera2: bool
    pyav: bool
    engines: tuple[EngineState, ...]
    detector: DetectorState
    path: str
    spec: ModelSpec
    rows: tuple[Row, ...]
    choice: Choice | None
    remembered: str | None
    not_remembered: str | None

    @property
    def works(self) -> bool:
        """Whether the model's self-test failed not everywhere."""
        return any(row.verdict in ("right", "close", "untested") for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; of the model, what tells it from others."""
        document = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in ("path", "spec")
        }
        model = {
            "path": self.path,
            "name": self.spec.name,
            "precision": self.spec.quantization.precision,
            "metrics": [dataclasses.asdict(one) for one in self.spec.metrics],
        }
        return {**document, "model": model, "works": self.works}


def diagnose(model: Path | None = None, *, speed: bool = True, tell: Tell = silent) -> Diagnosis:
    """Look at this machine and try a model under every engine, each in a process of its own.

    Args:
        model: an exported file; None: the bundled one.
        speed: measure with 1, 2, 4, ... threads and remember the fastest for `backend="auto"`;
            False: only the self-test, with 1 thread.
        tell: called with a line before each try.

    Raises:
        ModelError: no engine reads such a file, or it isn't there.
        SpecError: it holds no spec, or one that can't be used.
    """
    path = bundled("model") if model is None else model
    spec = readable(path)
    here = board.read_board()
    engines = tuple(_engine(name) for name in ENGINES)
    works = {engine.name for engine in engines if engine.failure is None}
    rows: list[Row] = []
    for name in ENGINES:
        file = file_for(name, path) if name in works else None
        if file is not None:
            rows += attempts(
                name,
                file,
                spec.quantization.precision,
                machine=here.machine,
                counts=thread_counts(here.cores) if speed else [1],
                seconds=SECONDS if speed else 0.0,
                tell=tell,
            )
    choice = choose(rows)
    kept = refused = None
    if choice is not None:
        try:
            kept = str(engine_choice.store_choice(path, choice, ENGINES[choice.backend].package))
        except (OSError, ConfigError) as error:
            refused = str(error)
    return Diagnosis(
        version=fer_edge.__version__,
        board=here,
        cameras=board.list_cameras(),
        picamera2=board.has_picamera2(),
        pyav=packages.find_package("av") is not None,
        engines=engines,
        detector=_detector(),
        path=str(path),
        spec=spec,
        rows=tuple(rows),
        choice=choice,
        remembered=kept,
        not_remembered=refused,
    )


def _engine(name: str) -> EngineState:
    if missing := not_installed(name):
        return EngineState(name, failure=missing)
    answer, failure = child(name)
    if failure is not None:
        return EngineState(name, failure=failure)
    return EngineState(name, answer["version"], tuple(answer["devices"]))


def _detector() -> DetectorState:
    try:
        path = install.find_detector()
        if path is None:
            return DetectorState(None, "not installed: fer detector install")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except (ModelError, OSError) as error:
        return DetectorState(None, str(error))
    if found == install.SHA256:
        return DetectorState(str(path))
    known = install.SHA256
    return DetectorState(
        str(path),
        f"its SHA-256 is {found[:12]}..., not {known[:12]}...: another edition, or damaged: "
        "fer detector install",
    )
