"""What this machine has, which engines work on it, and which is the fastest."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import fer_edge
from fer_edge.errors import ConfigError
from fer_edge.runtime.backends.registry import ENGINES, find_file
from fer_edge.runtime.device import board, engine_choice, packages
from fer_edge.runtime.device.board import Board, Camera
from fer_edge.runtime.device.engine_choice import Choice
from fer_edge.runtime.diagnostics.detectors import DetectorState, diagnose_detectors
from fer_edge.runtime.diagnostics.self_test import (
    SECONDS,
    EngineState,
    Report,
    Row,
    choose_fastest,
    describe_engine,
    missing_advice,
    read_model_spec,
    thread_counts,
    try_engine,
)
from fer_edge.runtime.diagnostics.worker import WorkerError, run_in_process
from fer_edge.runtime.formats.model_files import check_bundled, resolve_model
from fer_edge.spec import ModelSpec

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """The result of `fer doctor`.

    Attributes:
        detectors: the built-in one, and YuNet or the one that the environment names.
        rows: results by engine and number of threads.
        choice: see `choose_fastest`; None: no engine gives the right logits, or speed wasn't
            measured.
        remembered: the file that stores the choice for `backend="auto"`; None: it wasn't stored.
        not_remembered: why the choice couldn't be stored, where it couldn't.
    """

    version: str
    board: Board
    cameras: tuple[Camera, ...]
    picamera2: bool
    pyav: bool
    engines: tuple[EngineState, ...]
    detectors: tuple[DetectorState, ...]
    path: str
    spec: ModelSpec
    rows: tuple[Row, ...]
    choice: Choice | None
    remembered: str | None
    not_remembered: str | None

    @property
    def works(self) -> bool:
        """Whether the model passed the self-test under some engine."""
        return any(row.verdict in ("right", "close", "untested") for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; of the spec, what identifies the model."""
        document = dataclasses.asdict(self)
        del document["path"], document["spec"]
        model = {
            "path": self.path,
            "name": self.spec.name,
            "version": self.spec.version,
            "precision": self.spec.quantization.precision,
            "metrics": [dataclasses.asdict(one) for one in self.spec.metrics],
        }
        return {**document, "model": model, "works": self.works}


def diagnose(
    model: str | Path | None = None, *, speed: bool = True, report: Report = logger.info
) -> Diagnosis:
    """Describe this machine and test a model under every engine, each in a process of its own.

    Args:
        model: an exported file, or the name of a model in the package; None: base.
        speed: whether to measure with 1, 2, 4, ... threads and store the fastest for
            `backend="auto"`; False: only the self-test, with 1 thread.
        report: takes a line before each test.

    Raises:
        ModelError: no engine reads such a file, it isn't there, or it is one of the package that
            is damaged.
        SpecError: it holds no spec, or one that can't be used.
    """
    path = resolve_model(model)
    spec = read_model_spec(path)
    check_bundled(path)
    here = board.read_board()
    engines = tuple(_engine_state(name) for name in ENGINES)
    works = {engine.name for engine in engines if engine.failure is None}
    rows: list[Row] = []
    for name in ENGINES:
        file = find_file(name, path) if name in works else None
        if file is not None:
            rows += try_engine(
                name,
                file,
                spec.quantization.precision,
                machine=here.machine,
                counts=thread_counts(here.cores) if speed else [1],
                seconds=SECONDS if speed else 0.0,
                report=report,
            )
    detectors = diagnose_detectors(works, here.machine, report=report)
    choice = choose_fastest(rows)
    stored = reason = None
    if choice is not None:
        try:
            stored = str(engine_choice.store_choice(path, choice, ENGINES[choice.backend].package))
        except (OSError, ConfigError) as error:
            reason = str(error)
    return Diagnosis(
        version=fer_edge.__version__,
        board=here,
        cameras=board.list_cameras(),
        picamera2=packages.find_package("picamera2") is not None,
        pyav=packages.find_package("av") is not None,
        engines=engines,
        detectors=detectors,
        path=str(path),
        spec=spec,
        rows=tuple(rows),
        choice=choice,
        remembered=stored,
        not_remembered=reason,
    )


def _engine_state(name: str) -> EngineState:
    if missing := missing_advice(name):
        return EngineState(name, failure=missing)
    try:
        return run_in_process(describe_engine, backend=name)
    except WorkerError as error:
        return EngineState(name, failure=str(error))
