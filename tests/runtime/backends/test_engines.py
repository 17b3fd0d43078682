"""Which engine reads which file, and what is said where none does."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import onnx
import pytest

from fer_edge import Recognizer
from fer_edge.commands.options import Backend
from fer_edge.errors import MissingExtraError, ModelError
from fer_edge.runtime.backends import ENGINES, Engine, open_backend
from fer_edge.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend
from fer_edge.runtime.backends.registry import find_file
from fer_edge.runtime.detection.install import install
from fer_edge.runtime.device import engine_choice
from fer_edge.runtime.device.engine_choice import Choice
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.spec import KEY
from tests.support.commands import Fer
from tests.support.files import EXAMPLE
from tests.support.processes import run_python


@pytest.fixture(autouse=True)
def _own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def pair(fp32_model: Path, ncnn_model: Path, tmp_path: Path) -> Path:
    """One checkpoint as m.onnx, whose path it is, and as m.ncnn.param beside it."""
    for file in ncnn_model.parent.iterdir():
        shutil.copy(file, tmp_path)
    return Path(shutil.copy(fp32_model, tmp_path / "m.onnx"))


def change(path: Path, **values: object) -> None:
    """Put other values into an .onnx file's spec."""
    model = onnx.load(path)
    (entry,) = (p for p in model.metadata_props if p.key == KEY)
    entry.value = json.dumps({**json.loads(entry.value), **values})
    onnx.save(model, path)


def test_the_command_offers_every_engine() -> None:
    assert Backend.__args__ == ("auto", *ENGINES)


def test_a_new_entry_of_the_table_is_an_engine(
    fer: Fer, monkeypatch: pytest.MonkeyPatch, fp32_model: Path
) -> None:
    class NewBackend(OnnxRuntimeBackend):
        engine = "new"

    module = types.ModuleType("new_backend")
    vars(module).update(NewBackend=NewBackend, devices=lambda: ("cpu",))
    monkeypatch.setitem(sys.modules, "new_backend", module)
    entry = Engine("new_backend", "NewBackend", "onnxruntime", None, (".onnx",))
    monkeypatch.setitem(ENGINES, "new", entry)
    assert open_backend(fp32_model, backend="new").engine == "new"
    recognizer = Recognizer.load(fp32_model, backend="new")
    assert len(recognizer(EXAMPLE).faces) == 1
    assert "new" in {
        engine["name"] for engine in json.loads(fer("doctor", "--json").out)["engines"]
    }
    with pytest.raises(ModelError, match=r"new does not read \.tflite, only \.onnx"):
        open_backend(Path("m.tflite"), backend="new")


def test_a_file_of_the_same_checkpoint_stands_in(pair: Path) -> None:
    other = pair.with_suffix(".ncnn.param")
    assert find_file("ncnn", pair) == find_file("ncnn", other) == other
    assert find_file("ncnn", pair, allow_substitute=False) is None
    assert find_file("onnxruntime", pair) == pair
    assert find_file("onnxruntime", other) is None
    other.unlink()
    assert find_file("ncnn", pair) is None


@pytest.mark.parametrize("sha256", ["0" * 64, None])
def test_a_file_of_another_checkpoint_does_not(pair: Path, sha256: str | None) -> None:
    change(pair, source_sha256=sha256)
    assert find_file("ncnn", pair) is None


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_nor_one_in_another_precision(pair: Path, precision: str) -> None:
    change(pair, quantization={"precision": precision, "weights": precision})
    assert find_file("ncnn", pair) is None


def test_nor_one_that_cannot_be_read(pair: Path) -> None:
    document = pair.with_suffix(".ncnn.json")
    document.write_text(document.read_text()[:100])
    assert find_file("ncnn", pair) is None


@pytest.mark.parametrize(("machine", "engine"), [("aarch64", "ncnn"), ("x86_64", "onnxruntime")])
def test_auto_without_a_measurement(
    machine: str, engine: str, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    backend = open_backend(pair, use_stored_choice=True)
    assert backend.engine == engine
    np.testing.assert_allclose(
        backend(backend.spec.golden_faces()), backend.spec.golden_logits(), rtol=0, atol=1e-4
    )
    assert open_backend(pair).engine == "onnxruntime"  # a proof is of the file that was named
    assert open_backend(bundled("model"), use_stored_choice=True).engine == "onnxruntime"


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
@pytest.mark.parametrize("engine", ENGINES)
def test_auto_takes_what_was_measured(
    machine: str, engine: str, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    engine_choice.store_choice(pair, Choice(engine, 1, 0.5), ENGINES[engine].package)
    assert open_backend(pair, use_stored_choice=True).engine == engine
    other = "onnxruntime" if engine == "ncnn" else "ncnn"
    assert open_backend(pair, backend=other, use_stored_choice=True).engine == other


def test_a_damaged_file_is_named_rather_than_passed_over(
    pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    pair.with_suffix(".ncnn.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"m\.ncnn\.bin: damaged"):
        open_backend(pair, use_stored_choice=True)


def test_ncnn_does_not_read_what_has_no_file_for_it() -> None:
    message = r"base\.onnx: ncnn does not read \.onnx, only \.param: fer export --format ncnn"
    for call in (Recognizer.load, lambda backend: open_backend(bundled("model"), backend=backend)):
        with pytest.raises(ModelError, match=message):
            call(backend="ncnn")  # type: ignore[operator]


def gone(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """These packages can't be imported any more."""
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(
            sys.modules, f"fer_edge.runtime.backends.{package}_backend", raising=False
        )


def test_without_onnxruntime_the_file_beside_is_taken(
    pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone(monkeypatch, "onnxruntime", "openvino")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert open_backend(pair, use_stored_choice=True).engine == "ncnn"


def test_where_no_engine_is_installed(monkeypatch: pytest.MonkeyPatch, ncnn_model: Path) -> None:
    gone(monkeypatch, *ENGINES)
    with pytest.raises(MissingExtraError) as caught:
        Recognizer.load()
    assert str(caught.value) == (
        f"{bundled('model')}: no engine that works here reads it: pip install onnxruntime, or "
        "pip install 'fer-edge[openvino]' (in a clone: pip install '.[openvino]'); "
        "or fer export --format ncnn, where PyTorch is, makes a model for "
        "ncnn"
    )
    with pytest.raises(MissingExtraError, match=r"pip install 'fer-edge\[ncnn\]'"):
        Recognizer.load(ncnn_model)
    with pytest.raises(MissingExtraError, match=r"is not installed: pip install onnxruntime$"):
        Recognizer.load(backend="onnxruntime")


ALONE = """
import sys
import types

class Refuse:
    names = {
        "torch", "onnx", "onnxruntime", "openvino", "pnnx", "safetensors", "cv2", "requests",
    }

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"refused: {name}", name=name)

sys.meta_path.insert(0, Refuse())
from fer_edge.cli import main
main()
"""


def alone(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`fer` where ncnn is the only engine."""
    return run_python("-W", "error", "-c", ALONE, *arguments)


@pytest.mark.parametrize("backend", ["auto", "ncnn"])
def test_one_engine_is_enough(backend: str, ncnn_model: Path) -> None:
    given = ("--backend", backend, "--model", ncnn_model, "--faces", "whole", EXAMPLE)
    done = alone("infer", "--json", *given)
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)["faces"]
    (expected,) = Recognizer.load(ncnn_model, faces="whole")(EXAMPLE).faces
    assert face["emotion"] == expected.emotion
    assert face["confidence"] == expected.confidence


def test_one_engine_is_enough_for_the_detector(ncnn_model: Path, yunet: Path) -> None:
    options = ("--faces", "detect", "--detector", yunet, "--model", ncnn_model)
    done = alone("infer", "--json", *options, EXAMPLE)
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)["faces"]
    (expected,) = Recognizer.load(ncnn_model, faces="detect", detector=yunet)(EXAMPLE).faces
    assert np.abs(np.subtract(face["box"], expected.box)).max() <= 1
    assert face["emotion"] == expected.emotion


def test_without_an_engine_for_the_built_in_detector(
    ncnn_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    done = alone("infer", "--faces", "detect", "--model", ncnn_model, EXAMPLE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "MissingExtraError: onnxruntime is not installed: pip install onnxruntime; or use YuNet, "
        "which every engine reads: fer detector install, then --detector yunet\n"
    )


def test_an_installed_yunet_is_used_where_nothing_reads_the_built_in_detector(
    ncnn_model: Path, yunet: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    install(yunet)
    done = alone("infer", "--json", "--faces", "detect", "--model", ncnn_model, EXAMPLE)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["faces"]) == 1


def test_base_alone_says_what_to_do(ncnn_model: Path) -> None:  # noqa: ARG001
    done = alone("infer", EXAMPLE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"MissingExtraError: {bundled('model')}: no engine that works")
    assert "pip install onnxruntime" in done.stderr
    assert "fer export --format ncnn" in done.stderr
