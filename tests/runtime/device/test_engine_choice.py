from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from fer_edge import Recognizer
from fer_edge.errors import ConfigError, MissingExtraError
from fer_edge.runtime import backends
from fer_edge.runtime.backends import ENGINES, Engine, open_backend
from fer_edge.runtime.device import engine_choice, packages
from fer_edge.runtime.device.cpu import identify_cpu
from fer_edge.runtime.device.engine_choice import Choice, choice_file, read_choice, store_choice
from fer_edge.runtime.formats.model_files import bundled

PACKAGES = {name: engine.package for name, engine in ENGINES.items()}
CHOICE = Choice("openvino", 2, 0.5)


@pytest.fixture(autouse=True)
def _own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    model = bundled("model")
    assert read_choice(model, PACKAGES) is None
    assert (
        store_choice(model, CHOICE, "openvino")
        == choice_file()
        == tmp_path / "state/fer-edge/doctor.json"
    )
    assert read_choice(model, PACKAGES) == CHOICE
    assert [path.name for path in choice_file().parent.iterdir()] == ["doctor.json"]
    better = Choice("onnxruntime", 1, 0.25)
    store_choice(model, better, "onnxruntime")
    assert read_choice(model, PACKAGES) == better


def test_a_copy_is_the_same_model_and_another_file_is_not(tmp_path: Path) -> None:
    store_choice(bundled("model"), CHOICE, "openvino")
    copy = Path(shutil.copy(bundled("model"), tmp_path / "other.onnx"))
    assert read_choice(copy, PACKAGES) == CHOICE
    with copy.open("ab") as stream:
        stream.write(b"x")
    assert read_choice(copy, PACKAGES) is None
    assert read_choice(Path(shutil.copy(bundled("model"), tmp_path / "m.xml")), PACKAGES) is None
    assert read_choice(tmp_path / "none.onnx", PACKAGES) is None


def test_each_machine_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = bundled("model"), Choice("onnxruntime", 4, 9.0)
    store_choice(model, CHOICE, "openvino")
    with monkeypatch.context() as patch:
        patch.setattr(engine_choice, "identify_cpu", lambda: "Cortex-A72 x 4")
        assert read_choice(model, PACKAGES) is None
        store_choice(model, other, "onnxruntime")
        assert read_choice(model, PACKAGES) == other
    assert read_choice(model, PACKAGES) == CHOICE


def test_an_engine_that_is_gone_or_has_been_updated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, start = bundled("model"), tmp_path / "__init__.py"
    start.touch()
    monkeypatch.setattr(packages, "find_package", lambda _: start)
    store_choice(model, CHOICE, "openvino")
    assert read_choice(model, {"onnxruntime": "onnxruntime"}) is None
    assert read_choice(model, PACKAGES) == CHOICE
    start.write_text("new")
    assert read_choice(model, PACKAGES) is None
    start.unlink()
    assert read_choice(model, PACKAGES) is None
    store_choice(model, CHOICE, "openvino")
    assert read_choice(model, PACKAGES) is None
    monkeypatch.setattr(packages, "find_package", lambda _: None)
    assert read_choice(model, PACKAGES) is None


def entry(**changed: object) -> str:
    values = {"backend": "openvino", "threads": 2, "ms": 0.5, "build": "1-1", **changed}
    machines = {identify_cpu(): {engine_choice._model_key(bundled("model")): values}}
    return json.dumps({"schema": 1, "machines": machines})


DAMAGED = [
    *("", "{", "[]", "null", "5", '"x"', "\udcff", "[" * 100_000),
    *('{"schema": 1}', '{"schema": 1, "machines": []}', '{"schema": 2, "machines": {}}'),
    *(json.dumps({"schema": 1, "machines": {identify_cpu(): it}}) for it in ([], "x", None)),
    json.dumps({"schema": 1, "machines": {identify_cpu(): {}}}),
    *(entry(threads=it) for it in (0, -1, 257, 2.5, "2", None)),
    *(entry(ms=it) for it in (0.0, -1.0, float("nan"), float("inf"), "1")),
    *(entry(backend=it) for it in (None, 5, "no", ["openvino"])),
    entry(build=None),
    entry().replace("build", "x"),
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_as_none_and_is_written_anew(text: str) -> None:
    choice_file().parent.mkdir(parents=True)
    choice_file().write_bytes(text.encode(errors="surrogateescape"))
    assert read_choice(bundled("model"), PACKAGES) is None
    assert len(open_backend(bundled("model")).spec.labels) == 7
    store_choice(bundled("model"), CHOICE, "openvino")
    assert read_choice(bundled("model"), PACKAGES) == CHOICE


def test_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert read_choice(bundled("model"), PACKAGES) is None
    with pytest.raises(OSError, match="state"):
        store_choice(bundled("model"), CHOICE, "openvino")

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert read_choice(bundled("model"), PACKAGES) is None
    with pytest.raises(ConfigError, match="set HOME or XDG_STATE_HOME"):
        store_choice(bundled("model"), CHOICE, "openvino")


Asked = tuple[list[str], str, int]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asked]:
    """What `open_backend` looks for: packages in order, device, threads; nothing is loaded."""

    def first(names, _, device, threads, **__: object):
        return (names, device, threads), Path()

    monkeypatch.setattr(backends, "_load_first", first)
    monkeypatch.setattr(backends, "VerifiedBackend", lambda loaded, *_: loaded)
    return functools.partial(open_backend, use_stored_choice=True)  # type: ignore[return-value]


def test_auto_takes_what_is_remembered(opened: Callable[..., Asked]) -> None:
    model, usual = bundled("model"), ["onnxruntime", "openvino", "ncnn"]
    other = ["openvino", "onnxruntime", "ncnn"]
    assert opened(model) == (usual, "cpu", 1)
    store_choice(model, CHOICE, "openvino")
    assert opened(model) == opened(model, device="auto") == (other, "cpu", 2)
    for threads in (0, 1):
        assert opened(model, threads=threads) == (other, "cpu", threads)
    assert opened(model, backend="onnxruntime") == (["onnxruntime"], "cpu", 1)
    assert opened(model, backend="openvino") == (["openvino"], "cpu", 1)
    assert opened(model, device="gpu") == (usual, "gpu", 1)
    # a proof depends on nothing but the file
    assert opened(model, use_stored_choice=False) == (usual, "cpu", 1)


def test_the_remembered_engine_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, real = bundled("model"), backends._import_module
    store_choice(model, CHOICE, "openvino")
    assert Recognizer.load(model)._backend.engine == "openvino"

    def broken(engine: Engine) -> ModuleType:
        if engine.package == "openvino":
            raise MissingExtraError("openvino", "openvino")
        return real(engine)

    monkeypatch.setattr(backends, "_import_module", broken)
    assert Recognizer.load(model)._backend.engine == "onnxruntime"
