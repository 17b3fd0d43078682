"""What several tests need: made-up data, and the real data where it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fer_edge.cli import main
from fer_edge.spec import CropSpec, DataSpec, InputSpec, ModelSpec

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "astronaut.png"
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER:  # it shares the cores with others; torch reads this when it is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
USAGES = ("Training", "PublicTest", "PrivateTest")


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def fer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run `fer` in this process."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fer", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

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
    """Each network is exported by PyTorch once, whichever test and process asks first."""
    from tests.support.exported import Exporter, exporting

    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if WORKER else folder) / "exported"
    with pytest.MonkeyPatch.context() as patch:
        exporting(patch, Exporter(folder))
        yield


@pytest.fixture(scope="session")
def fp32_model(exporter: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """The bundled checkpoint as an fp32 ONNX file, which every engine computes alike."""
    from fer_edge.export.exporter import export_checkpoint
    from fer_edge.runtime.formats.model_files import bundled

    return export_checkpoint(bundled("checkpoint"), tmp_path_factory.mktemp("fp32") / "m.onnx").path


@pytest.fixture(scope="session")
def ncnn_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled checkpoint as an fp32 ncnn model, its three files alone in their folder."""
    needs_ncnn()
    from fer_edge.export.exporter import export_checkpoint
    from fer_edge.runtime.formats.model_files import bundled

    path = tmp_path_factory.mktemp("ncnn") / "m.ncnn.param"
    done = export_checkpoint(bundled("checkpoint"), path, format="ncnn")
    done.report.unlink()
    done.page.unlink()
    return path


@pytest.fixture
def model_for(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """By an engine's name: the bundled checkpoint in float32, in a file that the engine reads."""

    def file(engine: str) -> Path:
        path: Path = request.getfixturevalue("ncnn_model" if engine == "ncnn" else "fp32_model")
        return path

    return file


def needs_ncnn(format: str = "ncnn") -> None:
    """Skip a test of that format where an ncnn model can't be made, or can't be asked."""
    if format == "ncnn":
        for package in ("pnnx", "ncnn"):
            pytest.importorskip(package, reason=f"{package} isn't installed")


@pytest.fixture(autouse=True, scope="session")
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The user's cache and installed detector are neither used nor touched."""
    os.environ["FER_EDGE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


def drawn(label: int, seed: int) -> np.ndarray:
    """A face-like picture, uint8 [48, 48], whose stripes tell the label; noise tells the seed."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:48, 0:48] / 47
    angle = np.pi * label / 7
    stripes = np.sin(24 * (x * np.cos(angle) + y * np.sin(angle)) + random.uniform(0, 6))
    return np.clip(128 + 80 * stripes + random.normal(0, 20, x.shape), 0, 255).astype(np.uint8)


def csv_row(label: object, face: np.ndarray, usage: str) -> str:
    return f"{label},{' '.join(map(str, face.ravel().tolist()))},{usage}"


def drawn_rows(*counts: int) -> list[str]:
    """Rows of a small data set in FER2013's format: 7 labels x so many in train, val and test."""
    return [
        csv_row(label, drawn(label, 1000 * split + 10 * label + i), usage)
        for split, (usage, count) in enumerate(zip(USAGES, counts, strict=True))
        for label in range(7)
        for i in range(count)
    ]


def write_csv(rows: list[str], path: Path) -> Path:
    path.write_text("\n".join(["emotion,pixels,Usage", *rows, ""]))
    return path


@pytest.fixture(scope="session")
def rows() -> list[str]:
    """7 labels x (6 train, 2 val, 2 test)."""
    return drawn_rows(6, 2, 2)


@pytest.fixture(scope="session")
def csv_file(rows: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(rows, tmp_path_factory.mktemp("data") / "fer2013.csv")


@pytest.fixture(scope="session")
def larger_csv_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """7 labels x (9 train, 4 val, 4 test): enough to calibrate int8 with."""
    return write_csv(drawn_rows(9, 4, 4), tmp_path_factory.mktemp("data") / "fer2013.csv")


def a_spec(architecture: str = "mobilenet_v3_small") -> ModelSpec:
    return ModelSpec(
        name=f"fer-{architecture}",
        architecture=architecture,
        labels=LABELS,
        input=InputSpec(side=48, network_side=32, mean=0.5, std=0.25),
        crop=CropSpec(),
        temperature=1.5,
        data=DataSpec("drawn", "none", {"train": 42}),
        metrics=(),
        intended_use="tests",
        tools={},
    )


@pytest.fixture
def spec() -> ModelSpec:
    return a_spec()
