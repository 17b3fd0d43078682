"""Fixtures of several folders: `fer`, synthetic data, and the real data where it is available."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fer_edge.cli import main
from fer_edge.commands.interrupts import SIGNALS
from fer_edge.spec import ModelSpec
from tests.support.commands import CommandResult, Fer
from tests.support.data import draw_rows, write_csv
from tests.support.processes import restore_interrupts
from tests.support.specs import make_spec

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER:  # it shares the cores with others; torch reads this when it is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def fer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fer:
    """Run `fer` in this process."""

    def run(*arguments: object) -> CommandResult:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fer", *map(str, arguments)])
        code = 0
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        captured = capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def fer2013() -> Path:
    """The real data set, named by the environment variable FER2013."""
    if not os.environ.get("FER2013"):
        pytest.skip("FER2013 isn't set: the path of fer2013.csv or an archive with it")
    return Path(os.environ["FER2013"])


DETECTOR = os.environ.get("FER_EDGE_DETECTOR", "")


@pytest.fixture(autouse=True, scope="session")
def _without_detector() -> Iterator[None]:
    """Out of the environment while tests run: one that looks for faces says so itself.

    When they run, not when this file is read: the processes of pytest-xdist read it once more.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FER_EDGE_DETECTOR", raising=False)
        yield


@pytest.fixture(scope="session")
def yunet() -> Path:
    """The real detector, named by the environment variable FER_EDGE_DETECTOR."""
    if not DETECTOR:
        pytest.skip("FER_EDGE_DETECTOR isn't set: the path of YuNet's .onnx")
    return Path(DETECTOR)


@pytest.fixture(scope="session")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """PyTorch exports each network once for all tests and processes."""
    from tests.support.exported import CachedExporter, replace_exporter

    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if WORKER else folder) / "exported"
    with pytest.MonkeyPatch.context() as patch:
        replace_exporter(patch, CachedExporter(folder))
        yield


@pytest.fixture(scope="session")
def fp32_model(exporter: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """Base's checkpoint as an fp32 ONNX file."""
    from fer_edge.export.exporter import export_checkpoint
    from fer_edge.runtime.formats.model_files import bundled

    return export_checkpoint(bundled("checkpoint"), tmp_path_factory.mktemp("fp32") / "m.onnx").path


@pytest.fixture(scope="session")
def detector_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that isn't trained, as ONNX file."""
    from fer_edge.export.detector_exporter import export_detector
    from tests.support.detectors import save_detector

    folder = tmp_path_factory.mktemp("detector")
    return export_detector(save_detector(folder), folder / "detector.onnx").path


@pytest.fixture
def built_in_detector(monkeypatch: pytest.MonkeyPatch, detector_files: Path) -> Path:
    """Take `detector_files` for the detector of the package."""
    name = "fer_edge.runtime.detection.find_detector.bundled"
    monkeypatch.setattr(name, lambda *_: detector_files)
    return detector_files


def pytest_configure() -> None:
    restore_interrupts()


@pytest.fixture(autouse=True, scope="session")
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The user's cache and installed detector are neither used nor touched."""
    os.environ["FER_EDGE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def rows() -> list[str]:
    """7 labels x (6 train, 2 val, 2 test)."""
    return draw_rows(6, 2, 2)


@pytest.fixture(scope="session")
def csv_file(rows: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(rows, tmp_path_factory.mktemp("data") / "fer2013.csv")


@pytest.fixture(scope="session")
def larger_csv_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """7 labels x (9 train, 4 val, 4 test): enough to calibrate int8 with."""
    return write_csv(draw_rows(9, 4, 4), tmp_path_factory.mktemp("data") / "fer2013.csv")


@pytest.fixture
def spec() -> ModelSpec:
    return make_spec()
