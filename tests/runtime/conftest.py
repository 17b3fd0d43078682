"""Small models for the runtime's tests: any engine loads them in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fer_edge.runtime.backends.registry import ENGINES
from tests.support.requirements import needs_ncnn


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support.networks import make_checkpoint

    return make_checkpoint("tiny", tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def fp32_model(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network as an fp32 ONNX file, which every engine computes alike."""
    from fer_edge.export.exporter import export_checkpoint

    return export_checkpoint(tiny_checkpoint, tmp_path_factory.mktemp("fp32") / "m.onnx").path


@pytest.fixture(scope="session")
def ncnn_model(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network as an fp32 ncnn model, its three files alone in their folder."""
    needs_ncnn()
    from fer_edge.export.exporter import export_checkpoint

    path = tmp_path_factory.mktemp("ncnn") / "m.ncnn.param"
    done = export_checkpoint(tiny_checkpoint, path, format="ncnn")
    done.report.unlink()
    done.html_report.unlink()
    return path


@pytest.fixture
def model_for(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """By an engine's name: the small network in fp32, in a file that the engine reads."""

    def find(engine: str) -> Path:
        fixture = "fp32_model" if ".onnx" in ENGINES[engine].suffixes else f"{engine}_model"
        path: Path = request.getfixturevalue(fixture)
        return path

    return find
