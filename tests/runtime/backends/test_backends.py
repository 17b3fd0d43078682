from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest

from fer_edge.errors import DeviceError, MissingExtraError, MissingSpecError, ModelError
from fer_edge.runtime import backends
from fer_edge.runtime.backends import (
    DEVICES,
    ENGINES,
    onnxruntime_backend,
    open_backend,
    openvino_backend,
)
from fer_edge.runtime.device.cpu import MAX_THREADS
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.onnx_reader import read_header
from fer_edge.spec import KEY

ModelFor = Callable[[str], Path]
OF_ONNX = [name for name, engine in ENGINES.items() if ".onnx" in engine.suffixes]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("threads", [0, 1, 2])
def test_every_engine_gives_the_golden_logits(name: str, threads: int, model_for: ModelFor) -> None:
    backend = open_backend(model_for(name), backend=name, threads=threads)
    for count in (1, 7, 64):
        faces = np.resize(backend.spec.golden_faces(), (count, 48, 48))
        expected = np.resize(backend.spec.golden_logits(), (count, 7))
        logits = backend(faces)
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ENGINES)
def test_logits_are_kept_when_the_next_faces_come(name: str, model_for: ModelFor) -> None:
    backend = open_backend(model_for(name), backend=name)
    faces = backend.spec.golden_faces()
    first = backend(faces[:1])
    before = first.copy()
    backend(faces[5:6])
    assert np.array_equal(first, before)


@pytest.mark.parametrize("name", OF_ONNX)
def test_files_that_cannot_be_used(name: str, tmp_path: Path, fp32_model: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(ModelError, match="no such file"):
        open_backend(path, backend=name)
    for content in (b"", b"hello", fp32_model.read_bytes()[:10_000]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"m\.onnx: (damaged|.* can't load it)"):
            open_backend(path, backend=name)
    stripped = onnx.load(fp32_model)
    del stripped.metadata_props[:]
    onnx.save(stripped, path)
    with pytest.raises(MissingSpecError, match=r"m\.onnx: no 'fer_edge' spec inside"):
        open_backend(path, backend=name)


@pytest.mark.parametrize("name", OF_ONNX)
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("labels", ["a", "b"], "gives logits .*, its spec has 2 labels"),
        (
            "input",
            {"side": 64, "network_side": 64, "mean": 0.5, "std": 0.5},
            "its graph (doesn't take what|gives logits)",
        ),
    ],
)
def test_a_graph_that_breaks_its_spec(
    name: str, key: str, value: object, message: str, tmp_path: Path, fp32_model: Path
) -> None:
    path = tmp_path / "m.onnx"
    model = onnx.load(fp32_model)
    (entry,) = (p for p in model.metadata_props if p.key == KEY)
    entry.value = json.dumps({**json.loads(entry.value), "golden": [], key: value})
    onnx.save(model, path)
    with pytest.raises(ModelError, match=message):
        open_backend(path, backend=name)


@pytest.mark.parametrize("name", ENGINES)
def test_one_backend_serves_several_threads(name: str, model_for: ModelFor) -> None:
    backend = open_backend(model_for(name), backend=name)
    faces, expected = backend.spec.golden_faces(), backend.spec.golden_logits()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: backend(faces[i : i + 1])[0], [*range(16)] * 4))
    np.testing.assert_allclose(answers, np.tile(expected, (4, 1)), rtol=0, atol=1e-4)


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, fp32_model: Path) -> None:
    def refuse(_: str) -> None:
        raise ModuleNotFoundError("No module named 'openvino'", name="openvino")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(MissingExtraError, match=r"pip install 'fer-edge\[openvino\]'"):
        open_backend(fp32_model, backend="openvino")
    with pytest.raises(ModuleNotFoundError):
        backends.open_backend(fp32_model, backend="onnxruntime")


Log = list[tuple[str, dict[str, object]]]
REAL_SESSION, REAL_CORE = onnxruntime.InferenceSession, openvino.Core


def have_providers(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    listed = [*names, "AzureExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)


def fake_sessions(monkeypatch: pytest.MonkeyPatch, *names: str) -> Log:
    """ONNX Runtime with these providers, which compute on the CPU; the log tells what was asked."""
    log: Log = []

    class Session:
        def __init__(self, path, options, providers, **_: object) -> None:
            (self.provider,) = providers
            log.append(self.provider)
            self.real = REAL_SESSION(path, options, providers=["CPUExecutionProvider"])

        def get_providers(self) -> list[str]:
            return [self.provider[0], "CPUExecutionProvider"]

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    have_providers(monkeypatch, *names)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return log


def fake_core(monkeypatch: pytest.MonkeyPatch, *names: str, broken: bool = False) -> Log:
    """OpenVINO with these devices, which compute on the CPU; only an NPU refuses free shapes."""
    log: Log = []

    class Core:
        def __init__(self) -> None:
            self.available_devices = ["CPU", *names]
            self.real = REAL_CORE()

        def read_model(self, path):
            return self.real.read_model(path)

        def get_property(self, device: str, name: str) -> list[str]:
            assert name == "OPTIMIZATION_CAPABILITIES"
            return ["FP16"] if device == "NPU" else ["FP32", "FP16"]

        def compile_model(self, model, device, config):
            log.append((device, config))
            if broken or (device == "NPU" and model.is_dynamic()):
                raise RuntimeError("no")
            return self.real.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    monkeypatch.setattr(openvino, "Core", Core)
    return log


def right(backend: backends.Backend) -> bool:
    faces, expected = backend.spec.golden_faces(), backend.spec.golden_logits()
    return np.allclose(backend(faces), expected, rtol=0, atol=1e-4)


def test_the_tables_name_what_the_engines_know() -> None:
    assert tuple(onnxruntime_backend.PROVIDERS) == tuple(openvino_backend.DEVICES) == DEVICES
    names = {name for table in onnxruntime_backend.PROVIDERS.values() for name in table}
    assert names <= set(onnxruntime.get_all_providers())


@pytest.mark.parametrize(
    ("device", "providers", "expected"),
    [
        ("cpu", ["CUDAExecutionProvider"], ("CPUExecutionProvider", {})),
        ("auto", ["CUDAExecutionProvider"], ("CPUExecutionProvider", {})),
        (
            "gpu",
            ["TensorrtExecutionProvider", "CUDAExecutionProvider"],
            ("CUDAExecutionProvider", {"use_tf32": "0"}),
        ),
        ("gpu", ["MIGraphXExecutionProvider"], ("MIGraphXExecutionProvider", {})),
        ("gpu", ["DmlExecutionProvider"], ("DmlExecutionProvider", {})),
        ("npu", ["QNNExecutionProvider"], ("QNNExecutionProvider", {})),
        ("npu", ["VitisAIExecutionProvider"], ("VitisAIExecutionProvider", {})),
    ],
)
def test_a_device_is_a_provider_of_onnxruntime(
    device: str,
    providers: list[str],
    expected: object,
    monkeypatch: pytest.MonkeyPatch,
    fp32_model: Path,
) -> None:
    log = fake_sessions(monkeypatch, *providers)
    assert right(open_backend(fp32_model, backend="onnxruntime", device=device))
    assert log == [expected]


@pytest.mark.parametrize(
    ("device", "threads", "expected"),
    [
        ("cpu", 2, ("CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2})),
        ("auto", 0, ("CPU", {"INFERENCE_PRECISION_HINT": "f32"})),
        ("gpu", 2, ("GPU", {"INFERENCE_PRECISION_HINT": "f32"})),
        ("npu", 2, ("NPU", {})),
    ],
)
def test_a_device_of_openvino(
    device: str, threads: int, expected: object, monkeypatch: pytest.MonkeyPatch, fp32_model: Path
) -> None:
    log = fake_core(monkeypatch, "GPU.0", "GPU.1", "NPU")
    assert openvino_backend.devices() == DEVICES
    backend = open_backend(fp32_model, backend="openvino", device=device, threads=threads)
    assert right(backend)
    assert log == [expected]


def test_devices_on_this_machine_begin_with_the_cpu() -> None:
    assert onnxruntime_backend.devices()[0] == openvino_backend.devices()[0] == "cpu"


def test_the_next_engine_is_asked_for_the_device(
    monkeypatch: pytest.MonkeyPatch, fp32_model: Path
) -> None:
    have_providers(monkeypatch)
    log = fake_core(monkeypatch, "GPU.0")
    assert right(open_backend(fp32_model, device="gpu"))
    assert [device for device, _ in log] == ["GPU"]
    message = "device 'gpu' isn't here: onnxruntime has cpu; openvino has cpu, gpu; .*ncnn.*Choose"
    with pytest.raises(DeviceError, match=message):
        open_backend(fp32_model, backend="onnxruntime", device="gpu")
    with pytest.raises(DeviceError, match=r"device 'npu' isn't here: .*; openvino has cpu, gpu"):
        open_backend(fp32_model, device="npu")


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_session_that_fell_back_to_the_cpu_is_refused(
    monkeypatch: pytest.MonkeyPatch, fp32_model: Path
) -> None:
    have_providers(monkeypatch, "QNNExecutionProvider")  # which this build hasn't
    fake_core(monkeypatch)
    with pytest.raises(
        DeviceError, match=r"'npu' doesn't work: .*QNNExecutionProvider didn't start"
    ):
        open_backend(fp32_model, device="npu")
    fake_core(monkeypatch, "NPU")
    assert right(open_backend(fp32_model, device="npu"))


def test_a_device_that_fails_is_told_from_a_file_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fp32_model: Path
) -> None:
    def refuse(path, options, providers, **kwargs: object):
        if providers[0][0] == "CUDAExecutionProvider":
            assert kwargs == {"enable_fallback": 0}
            raise RuntimeError("CUDA failure 100: no device")
        return REAL_SESSION(path, options, providers=providers)

    have_providers(monkeypatch, "CUDAExecutionProvider")
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    fake_core(monkeypatch, "GPU", broken=True)
    with pytest.raises(
        DeviceError, match=r"doesn't work: .*CUDA failure 100.*; OpenVINO's GPU fail"
    ):
        open_backend(fp32_model, device="gpu")
    path, model = tmp_path / "m.onnx", onnx.load(fp32_model)
    model.graph.node[0].op_type = "Unknown"
    onnx.save(model, path)
    with pytest.raises(ModelError, match="ONNX Runtime can't load it"):
        open_backend(path, device="gpu")


def test_openvino_is_imported_only_when_it_is_used(
    monkeypatch: pytest.MonkeyPatch, fp32_model: Path
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "openvino"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, openvino_backend.__name__)
    monkeypatch.setitem(sys.modules, "openvino", None)  # an import of it fails
    have_providers(monkeypatch)
    for device in ("cpu", "auto"):
        assert right(open_backend(fp32_model, device=device))
    with pytest.raises(DeviceError, match="onnxruntime has cpu; openvino is not installed: pip"):
        open_backend(fp32_model, device="gpu")


@pytest.mark.parametrize("name", OF_ONNX)
def test_an_opset_of_the_future(name: str, tmp_path: Path, fp32_model: Path) -> None:
    path = tmp_path / "m.onnx"
    model = onnx.load(fp32_model)
    assert read_header(fp32_model).opset == model.opset_import[0].version
    model.opset_import.insert(0, onnx.helper.make_opsetid("other", 1000))
    model.opset_import[1].version = 999
    onnx.save(model, path)
    assert read_header(path).opset == 999
    with pytest.raises(ModelError, match=r"m\.onnx: .*newer than .*export it again"):
        open_backend(path, backend=name)


@pytest.mark.parametrize("content", [b"", b"\x42", b"\x42\x7f", b"\xff" * 20, b"\x46\x01", b"no"])
def test_no_header_in_a_damaged_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.onnx: damaged"):
        read_header(path)


def test_a_damaged_ir(tmp_path: Path, fp32_model: Path) -> None:
    path = tmp_path / "m.xml"
    openvino.save_model(openvino.Core().read_model(fp32_model), path, compress_to_fp16=False)
    weights, text = path.with_suffix(".bin"), path.read_bytes()
    whole = weights.read_bytes()
    for size in (0, 10, len(whole) - 1):
        weights.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"m\.(xml|bin): .*copy both files"):
            open_backend(path)
    weights.unlink()
    with pytest.raises(ModelError, match=r"m\.xml: its \.bin is missing: copy both"):
        open_backend(path)
    weights.write_bytes(whole)
    for size in (0, len(text) // 2, len(text) - 20):
        path.write_bytes(text[:size])
        with pytest.raises(ModelError, match=r"m\.xml: damaged or cut off"):
            open_backend(path)


@pytest.mark.parametrize("threads", [-1, MAX_THREADS + 1, 10**9])
def test_threads_that_no_machine_needs_are_refused(threads: int) -> None:
    with pytest.raises(DeviceError, match=f"up to 256, not {threads}"):
        open_backend(bundled("model"), threads=threads)
