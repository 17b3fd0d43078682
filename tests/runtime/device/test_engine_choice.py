from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from fer_edge import Recognizer
from fer_edge.errors import MissingExtraError
from fer_edge.runtime import backends
from fer_edge.runtime.backends import ENGINES, Engine, open_backend
from fer_edge.runtime.device import cpu, engine_choice
from fer_edge.runtime.device.engine_choice import Choice, place, recall, remember
from fer_edge.runtime.formats.bundled import bundled

PACKAGES = {name: engine.package for name, engine in ENGINES.items()}
CHOICE = Choice("openvino", 2, 0.5)


@pytest.fixture(autouse=True)
def _own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    model = bundled("model")
    assert recall(model, PACKAGES) is None
    assert remember(model, CHOICE, "openvino") == place() == tmp_path / "state/fer-edge/doctor.json"
    assert recall(model, PACKAGES) == CHOICE
    assert [path.name for path in place().parent.iterdir()] == ["doctor.json"]
    better = Choice("onnxruntime", 1, 0.25)
    remember(model, better, "onnxruntime")
    assert recall(model, PACKAGES) == better


def test_a_copy_is_the_same_model_and_another_file_is_not(tmp_path: Path) -> None:
    remember(bundled("model"), CHOICE, "openvino")
    copy = Path(shutil.copy(bundled("model"), tmp_path / "other.onnx"))
    assert recall(copy, PACKAGES) == CHOICE
    with copy.open("ab") as stream:
        stream.write(b"x")
    assert recall(copy, PACKAGES) is None
    assert recall(Path(shutil.copy(bundled("model"), tmp_path / "m.xml")), PACKAGES) is None
    assert recall(tmp_path / "none.onnx", PACKAGES) is None


def test_each_machine_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = bundled("model"), Choice("onnxruntime", 4, 9.0)
    remember(model, CHOICE, "openvino")
    with monkeypatch.context() as patch:
        patch.setattr(cpu, "fingerprint", lambda: "Cortex-A72 x 4")
        assert recall(model, PACKAGES) is None
        remember(model, other, "onnxruntime")
        assert recall(model, PACKAGES) == other
    assert recall(model, PACKAGES) == CHOICE


def test_an_engine_that_is_gone_or_has_been_updated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, start = bundled("model"), tmp_path / "__init__.py"
    start.touch()
    monkeypatch.setattr(cpu, "origin", lambda _: start)
    remember(model, CHOICE, "openvino")
    assert recall(model, {"onnxruntime": "onnxruntime"}) is None
    assert recall(model, PACKAGES) == CHOICE
    start.write_text("new")
    assert recall(model, PACKAGES) is None
    start.unlink()
    assert recall(model, PACKAGES) is None
    remember(model, CHOICE, "openvino")
    assert recall(model, PACKAGES) is None
    monkeypatch.setattr(cpu, "origin", lambda _: None)
    assert recall(model, PACKAGES) is None


def entry(**changed: object) -> str:
    values = {"backend": "openvino", "threads": 2, "ms": 0.5, "build": "1-1", **changed}
    machines = {cpu.fingerprint(): {engine_choice._key(bundled("model")): values}}
    return json.dumps({"schema": 1, "machines": machines})


DAMAGED = [
    *("", "{", "[]", "null", "5", '"x"', "\udcff", "[" * 100_000),
    *('{"schema": 1}', '{"schema": 1, "machines": []}', '{"schema": 2, "machines": {}}'),
    *(json.dumps({"schema": 1, "machines": {cpu.fingerprint(): it}}) for it in ([], "x", None)),
    json.dumps({"schema": 1, "machines": {cpu.fingerprint(): {}}}),
    *(entry(threads=it) for it in (0, -1, 2.5, "2", None)),
    *(entry(ms=it) for it in (0.0, -1.0, float("nan"), float("inf"), "1")),
    *(entry(backend=it) for it in (None, 5, "no", ["openvino"])),
    entry(build=None),
    entry().replace("build", "x"),
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_as_none_and_is_written_anew(text: str) -> None:
    place().parent.mkdir(parents=True)
    place().write_bytes(text.encode(errors="surrogateescape"))
    assert recall(bundled("model"), PACKAGES) is None
    assert len(open_backend(bundled("model")).spec.labels) == 7
    remember(bundled("model"), CHOICE, "openvino")
    assert recall(bundled("model"), PACKAGES) == CHOICE


def test_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert recall(bundled("model"), PACKAGES) is None
    with pytest.raises(OSError, match="state"):
        remember(bundled("model"), CHOICE, "openvino")

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert recall(bundled("model"), PACKAGES) is None
    with pytest.raises(RuntimeError):
        remember(bundled("model"), CHOICE, "openvino")


Asked = tuple[list[str], str, int]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asked]:
    """What `open_backend` looks for: packages in order, device, threads; nothing is loaded."""

    def first(names, _, device, threads, **__: object):
        return names, device, threads

    monkeypatch.setattr(backends, "_first", first)
    monkeypatch.setattr(backends, "_check", lambda *_: None)
    return functools.partial(open_backend, remembered=True)  # type: ignore[return-value]


def test_auto_takes_what_is_remembered(opened: Callable[..., Asked]) -> None:
    model, usual = bundled("model"), ["onnxruntime", "openvino", "ncnn"]
    other = ["openvino", "onnxruntime", "ncnn"]
    assert opened(model) == (usual, "cpu", 1)
    remember(model, CHOICE, "openvino")
    assert opened(model) == opened(model, device="auto") == (other, "cpu", 2)
    for threads in (0, 1):
        assert opened(model, threads=threads) == (other, "cpu", threads)
    assert opened(model, backend="onnxruntime") == (["onnxruntime"], "cpu", 1)
    assert opened(model, backend="openvino") == (["openvino"], "cpu", 1)
    assert opened(model, device="gpu") == (usual, "gpu", 1)
    # a proof depends on nothing but the file
    assert opened(model, remembered=False) == (usual, "cpu", 1)


def test_the_remembered_engine_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, real = bundled("model"), backends._module
    remember(model, CHOICE, "openvino")
    assert type(Recognizer.load(model)._backend).__name__ == "OpenVinoBackend"

    def broken(engine: Engine) -> ModuleType:
        if engine.package == "openvino":
            raise MissingExtraError("openvino", "openvino")
        return real(engine)

    monkeypatch.setattr(backends, "_module", broken)
    assert type(Recognizer.load(model)._backend).__name__ == "OnnxRuntimeBackend"
