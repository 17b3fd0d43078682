"""Test the face detectors of this machine under each engine, in a process of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Collection
from pathlib import Path

from PIL import Image

from fer_edge.detector_spec import DetectorSpec
from fer_edge.errors import FerEdgeError, MissingSpecError, ModelError
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.detection import install
from fer_edge.runtime.detection.detector import open_finder
from fer_edge.runtime.detection.engines import is_offered
from fer_edge.runtime.detection.find_detector import (
    BUILT_IN,
    YUNET,
    find_detector,
    find_yunet,
    names_file,
)
from fer_edge.runtime.diagnostics.self_test import Report
from fer_edge.runtime.diagnostics.worker import WorkerError, run_in_process
from fer_edge.runtime.formats.model_files import check_bundled
from fer_edge.runtime.formats.spec_reader import read_detector_spec

logger = logging.getLogger(__name__)

_BLANK = (64, 32)
"""Width and height, in pixels, of a black image: no detector finds a face in it."""


@dataclasses.dataclass(frozen=True)
class Opened:
    """What a process found out: faces in a black image."""

    faces: int


@dataclasses.dataclass(frozen=True)
class EngineTest:
    """A detector under an engine: `failure` where it can't be used, or computes otherwise."""

    engine: str
    path: str
    failure: str | None = None


@dataclasses.dataclass(frozen=True)
class DetectorState:
    """A face detector.

    Attributes:
        name: "built-in", "yunet", or the environment variable that names a file.
        path: its file; None: there is none.
        engines: its self-test under each engine that works here and reads it. A detector with a
            spec has to compute its golden samples; YuNet's has to open.
        samples: number of its golden samples.
        failure: why the file can't be used, or isn't the known one, with what to do.
    """

    name: str
    path: str | None = None
    engines: tuple[EngineTest, ...] = ()
    samples: int = 0
    failure: str | None = None

    @property
    def works(self) -> bool:
        """Whether it passed under some engine, and its file is the known one."""
        return self.failure is None and any(one.failure is None for one in self.engines)


def diagnose_detectors(
    engines: Collection[str], machine: str, *, report: Report = logger.info
) -> tuple[DetectorState, ...]:
    """Test the built-in detector, and the one that is installed or that the environment names.

    Args:
        engines: keys of `ENGINES` that work here.
        machine: the architecture, as `platform.machine()` names it.
        report: takes a line before each test.
    """
    return (
        _diagnose_built_in(engines, machine, report),
        _diagnose_other(engines, machine, report),
    )


def _diagnose_built_in(engines: Collection[str], machine: str, report: Report) -> DetectorState:
    try:
        path = find_detector(BUILT_IN)
        check_bundled(path)
        spec = read_detector_spec(path)
    except FerEdgeError as error:
        return DetectorState(BUILT_IN, failure=str(error))
    return _test_spec(BUILT_IN, path, spec, engines, machine, report)


def _diagnose_other(engines: Collection[str], machine: str, report: Report) -> DetectorState:
    """YuNet, or a detector of fer-edge that the environment names in its place."""
    name = install.VARIABLE if names_file() else YUNET
    try:
        path = find_yunet()
    except ModelError as error:
        # not being installed is no failure, unless it was asked for
        is_wanted = os.environ.get(install.VARIABLE, "") not in ("", BUILT_IN)
        return DetectorState(name, failure=str(error) if is_wanted else None)
    try:
        spec = read_detector_spec(path)
    except (MissingSpecError, ModelError):
        tests = _test(name, path, [one for one in ENGINES if one in engines], report)
        return DetectorState(name, str(path), tests, failure=_check_digest(path))
    except FerEdgeError as error:
        return DetectorState(name, str(path), failure=str(error))
    return _test_spec(name, path, spec, engines, machine, report)


def _test_spec(
    name: str,
    path: Path,
    spec: DetectorSpec,
    engines: Collection[str],
    machine: str,
    report: Report,
) -> DetectorState:
    """Test a detector of fer-edge under the engines that read it and are right on this machine."""
    chosen = [one for one in ENGINES if one in engines and is_offered(one, path, spec, machine)]
    tests = _test(name, path, chosen, report)
    return DetectorState(name, str(path), tests, samples=len(spec.golden))


def _check_digest(path: Path) -> str | None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"{path}: {error.strerror}"
    if found == install.SHA256:
        return None
    return (
        f"its SHA-256 is {found[:12]}..., not {install.SHA256[:12]}...: another version, or "
        "damaged: fer detector install"
    )


def _test(
    name: str, path: Path, engines: Collection[str], report: Report
) -> tuple[EngineTest, ...]:
    tests = []
    for engine in engines:
        report(f"the face detector {name}, {engine}")
        failure = None
        try:
            run_in_process(open_detector, path=str(path), engine=engine)
        except WorkerError as error:
            failure = str(error)
        tests.append(EngineTest(engine, str(path), failure))
    return tuple(tests)


def open_detector(path: str, engine: str) -> Opened:
    """Open a detector, which computes its golden samples, and search a black image.

    Raises:
        FerEdgeError: it can't be opened or computed, or computes otherwise than its spec says.
    """
    find = open_finder(Path(path), threads=1, engine=engine).find
    return Opened(len(find(Image.new("RGB", _BLANK))))
