from __future__ import annotations

from pathlib import Path

import pytest

from fer_edge.errors import ModelError
from fer_edge.runtime.detection import install
from fer_edge.runtime.detection.find_detector import find_detector, find_yunet
from fer_edge.runtime.device import packages
from fer_edge.runtime.formats.model_files import FOLDER


@pytest.fixture(autouse=True)
def _own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv(install.VARIABLE, raising=False)


def test_the_built_in_one_is_there_by_default() -> None:
    for given in (None, "built-in"):
        assert find_detector(given) == FOLDER / "detector.onnx"


def test_yunet_has_to_be_installed() -> None:
    with pytest.raises(ModelError, match="YuNet isn't installed: run fer detector install"):
        find_detector("yunet")
    install.installed_path().parent.mkdir(parents=True)
    install.installed_path().touch()
    assert find_detector("yunet") == find_yunet() == install.installed_path()
    for given in (None, "built-in"):
        assert find_detector(given) == FOLDER / "detector.onnx"


def test_yunet_is_taken_where_no_engine_reads_the_built_in_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on 32-bit ARM, where ncnn is the only engine."""
    monkeypatch.setattr(
        packages, "find_package", lambda name: Path("ncnn.so") if name == "ncnn" else None
    )
    assert find_detector() == FOLDER / "detector.onnx"
    install.installed_path().parent.mkdir(parents=True)
    install.installed_path().touch()
    assert find_detector() == install.installed_path()
    assert find_detector("built-in") == FOLDER / "detector.onnx"


def test_the_environment_comes_before_the_built_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.onnx"
    monkeypatch.setenv("FER_EDGE_DETECTOR", str(path))
    for find in (find_detector, find_yunet):
        with pytest.raises(ModelError, match=r"FER_EDGE_DETECTOR=.*own\.onnx: there is no such"):
            find()
    path.touch()
    assert find_detector() == find_yunet() == path
    assert find_detector("built-in") == FOLDER / "detector.onnx"
    with pytest.raises(ModelError, match="YuNet isn't installed"):
        find_detector("yunet")


def test_a_given_file_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_EDGE_DETECTOR", str(tmp_path / "missing.onnx"))
    for given in ("x.onnx", Path("x.onnx")):
        assert find_detector(given) == Path("x.onnx")
    assert find_yunet(Path("x.onnx")) == Path("x.onnx")
