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


def install_nothing() -> Path:
    """An empty file where YuNet is installed."""
    path = install.installed_path()
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def have_engines(monkeypatch: pytest.MonkeyPatch, *engines: str) -> None:
    monkeypatch.setattr(
        packages, "find_package", lambda name: Path(f"{name}.so") if name in engines else None
    )


def test_yunet_has_to_be_installed() -> None:
    with pytest.raises(ModelError, match="YuNet isn't installed: run fer detector install"):
        find_detector("yunet")
    path = install_nothing()
    assert find_detector("yunet") == find_yunet() == path


def test_an_installed_yunet_is_not_the_default() -> None:
    install_nothing()
    for given in (None, "built-in"):
        assert find_detector(given) == FOLDER / "detector.onnx"


@pytest.mark.parametrize(
    ("engines", "machine"),
    [(["ncnn"], "armv7l"), (["ncnn"], "aarch64"), (["openvino"], "aarch64"), ([], "x86_64")],
)
def test_yunet_is_taken_where_no_engine_reads_the_built_in_one(
    engines: list[str], machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ncnn reads no ONNX file, and OpenVINO's int8 is wrong on ARM."""
    monkeypatch.setattr("platform.machine", lambda: machine)
    have_engines(monkeypatch, *engines)
    assert find_detector() == FOLDER / "detector.onnx"
    path = install_nothing()
    assert find_detector() == path
    assert find_detector("built-in") == FOLDER / "detector.onnx"


@pytest.mark.parametrize(
    ("engines", "machine"),
    [(["openvino"], "x86_64"), (["onnxruntime"], "aarch64"), (["ncnn", "onnxruntime"], "aarch64")],
)
def test_the_built_in_one_is_taken_where_an_engine_reads_it(
    engines: list[str], machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    have_engines(monkeypatch, *engines)
    install_nothing()
    assert find_detector() == FOLDER / "detector.onnx"


def test_a_damaged_built_in_one_is_no_reason_for_yunet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Opening it says what is wrong; to look for it must not fail, nor hide it."""
    (tmp_path / "detector.onnx").write_bytes((FOLDER / "detector.onnx").read_bytes()[:1000])
    monkeypatch.setattr(
        "fer_edge.runtime.detection.find_detector.bundled", lambda *_: tmp_path / "detector.onnx"
    )
    install_nothing()
    assert find_detector() == tmp_path / "detector.onnx"


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


def test_the_environment_may_give_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_EDGE_DETECTOR", "yunet")
    for find in (find_detector, find_yunet):
        with pytest.raises(ModelError, match="YuNet isn't installed"):
            find()
    path = install_nothing()
    assert find_detector() == find_yunet() == path
    monkeypatch.setenv("FER_EDGE_DETECTOR", "built-in")
    have_engines(monkeypatch, "ncnn")
    assert find_detector() == FOLDER / "detector.onnx"
    assert find_yunet() == path


def test_a_given_file_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_EDGE_DETECTOR", str(tmp_path / "missing.onnx"))
    for given in ("x.onnx", Path("x.onnx")):
        assert find_detector(given) == Path("x.onnx")
    assert find_yunet(Path("x.onnx")) == Path("x.onnx")
