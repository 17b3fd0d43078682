"""A model that gives wrong logits is refused by name, whoever opens it."""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from fer_edge.errors import DeviceError, ModelError
from fer_edge.runtime.backends import ENGINES, open_backend
from fer_edge.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend
from fer_edge.runtime.backends.verification import (
    Difference,
    Match,
    VerifiedBackend,
    compare_logits,
    judge,
    start_samples,
)
from fer_edge.runtime.device import engine_choice
from fer_edge.runtime.device.engine_choice import Choice
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import KEY, ModelSpec, Precision
from tests.support.commands import Fer
from tests.support.files import EXAMPLE

OF_ONNX = [name for name, engine in ENGINES.items() if ".onnx" in engine.suffixes]


def change_number(source: Path, target: Path, factor: float) -> None:
    """Copy a model in which one float32 number, a weight or a scale, is multiplied by a factor.

    It is the first number of the first tensor that isn't a scalar.
    """
    model = onnx.load(source)
    tensors = [one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT]
    tensor = next(one for one in tensors if math.prod(one.dims) > 1)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] *= np.float32(factor)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, target)


def change_exponent(source: Path, target: Path) -> None:
    change_number(source, target, 64.0)  # a power of two: only the exponent's bits differ


def poison(source: Path, target: Path) -> None:
    change_number(source, target, math.nan)


@pytest.mark.parametrize("name", OF_ONNX)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_model_with_a_changed_weight_is_refused(
    name: str, precision: str, fp32_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    change_exponent(fp32_model if precision == "fp32" else bundled("model"), path)
    with pytest.raises(ModelError, match=rf"m\.onnx: gives wrong logits under {name}: they differ"):
        open_backend(path, backend=name)
    # comparisons with PyTorch measure by how much
    opened = open_backend(path, backend=name, verify=False)
    assert np.isfinite(opened(opened.spec.golden_faces())).all()


def test_infer_names_a_model_with_a_changed_weight(fer: Fer, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    change_exponent(bundled("model"), path)
    ran = fer("infer", "--model", path, EXAMPLE, "--json")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"ModelError: {path}: gives wrong logits under onnxruntime")
    assert "copy the file again" in ran.err


def test_doctor_measures_a_model_with_a_changed_weight(fer: Fer, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    change_exponent(bundled("model"), path)
    ran = fer("doctor", "--no-probe", "--json", path)
    assert ran.code == 1
    rows = json.loads(ran.out)["rows"]
    assert [row["verdict"] for row in rows] == ["wrong"] * len(rows)
    assert all(row["measured"]["max_abs_logit_diff"] > 0.5 for row in rows)


@pytest.mark.parametrize("name", OF_ONNX)
def test_a_model_with_a_nan_is_refused(name: str, fp32_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    poison(fp32_model, path)
    with pytest.raises(ModelError, match=rf"m\.onnx: gives .*logits under {name}"):
        open_backend(path, backend=name)


class Fake:
    """A backend that gives the golden logits, changed by a function after the first calls."""

    def __init__(
        self,
        spec: ModelSpec,
        change: Callable[[np.ndarray], np.ndarray],
        unchanged_calls: int = 2,
        engine: str = "onnxruntime",
    ) -> None:
        self.spec, self.change, self.calls = spec, change, 0
        self.unchanged_calls, self.engine = unchanged_calls, engine

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        self.calls += 1
        golden = self.spec.golden_faces()
        rows = [int((golden == face).all((1, 2)).argmax()) for face in faces]
        logits = self.spec.golden_logits()[rows]
        return logits if self.calls <= self.unchanged_calls else self.change(logits)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_later_prediction_that_is_not_finite(value: float) -> None:
    def change(logits: np.ndarray) -> np.ndarray:
        logits[-1, 3] = value
        return logits

    spec = read_spec(bundled("model"))
    backend = VerifiedBackend(Fake(spec, change), Path("m.onnx"), "cpu")
    with pytest.raises(ModelError, match=r"m\.onnx: gives logits under onnxruntime that aren't"):
        backend(spec.golden_faces())


def test_an_engine_that_fails_later_is_named_in_one_line() -> None:
    def fail(_: np.ndarray) -> np.ndarray:
        raise RuntimeError("Non-zero status code\n\twhile running \x1b[31mConv")

    spec = read_spec(bundled("model"))
    backend = VerifiedBackend(Fake(spec, fail), Path("m.onnx"), "cpu")
    with pytest.raises(ModelError) as caught:
        backend(spec.golden_faces())
    expected = r"m.onnx: onnxruntime can't compute it: Non-zero status code while running \x1b[31mC"
    assert str(caught.value).startswith(expected)


def test_later_logits_of_another_shape_are_refused() -> None:
    spec = read_spec(bundled("model"))
    backend = VerifiedBackend(Fake(spec, lambda logits: logits[:1]), Path("m.onnx"), "cpu")
    with pytest.raises(ModelError, match=r"m\.onnx: gives logits \(1, 7\) instead of \(16, 7\)"):
        backend(spec.golden_faces())


def test_infer_prints_nothing_for_a_later_prediction_that_is_not_finite(
    fer: Fer, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict, calls = OnnxRuntimeBackend.__call__, []

    def fail_later(backend: OnnxRuntimeBackend, faces: np.ndarray) -> np.ndarray:
        calls.append(len(faces))
        return predict(backend, faces) * np.float32(1 if len(calls) <= 2 else math.nan)

    monkeypatch.setattr(OnnxRuntimeBackend, "__call__", fail_later)
    ran = fer("infer", "--backend", "onnxruntime", EXAMPLE, "--json")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("ModelError: ")
    assert "aren't numbers" in ran.err


def test_two_golden_samples_are_predicted_at_the_start() -> None:
    spec = read_spec(bundled("model"))
    fake = Fake(spec, lambda logits: logits)
    backend = VerifiedBackend(fake, Path("m.onnx"), "cpu")
    assert fake.calls == 2
    assert (backend.engine, backend.spec) == (fake.engine, fake.spec)
    black, drawn = spec.golden_faces()[start_samples(spec)]
    assert (int(black.max()), drawn.std() > 10) == (0, True)


@pytest.mark.parametrize("unchanged_calls", [0, 1])
@pytest.mark.parametrize(
    ("engine", "device", "diff", "is_refused"),
    [
        ("onnxruntime", "cpu", 0.04, False),
        ("onnxruntime", "cpu", 0.06, True),
        ("openvino", "cpu", 0.45, False),
        ("openvino", "cpu", 0.6, True),
        ("onnxruntime", "gpu", 0.45, False),
        ("onnxruntime", "gpu", 0.6, True),
    ],
)
def test_the_start_refuses_what_doctor_calls_wrong(
    unchanged_calls: int, engine: str, device: str, diff: float, is_refused: bool
) -> None:
    """Whether both samples differ or only the second one."""

    def change(logits: np.ndarray) -> np.ndarray:
        return logits + np.float32(diff)

    fake = Fake(read_spec(bundled("model")), change, unchanged_calls, engine)
    assert (judge(Difference(2, 0, diff), "int8", engine, device) == "wrong") == is_refused
    refusal = pytest.raises(ModelError, match=f"PyTorch's by up to {diff}, and 0 of 2 labels")
    with refusal if is_refused else nullcontext():
        VerifiedBackend(fake, Path("m.onnx"), device)


def test_a_model_without_golden_samples_is_checked_for_finite_logits(
    fp32_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    for damage, is_refused in ((change_exponent, False), (poison, True)):
        damage(fp32_model, path)
        model = onnx.load(path)
        (entry,) = (p for p in model.metadata_props if p.key == KEY)
        entry.value = json.dumps({**json.loads(entry.value), "golden": []})
        onnx.save(model, path)
        if is_refused:
            with pytest.raises(ModelError, match="aren't numbers"):
                open_backend(path)
        else:
            assert open_backend(path).spec.golden == ()


@pytest.mark.parametrize(
    ("precision", "engine", "device", "difference", "match"),
    [
        ("fp32", "onnxruntime", "cpu", Difference(16, 0, 1e-5), "right"),
        ("fp32", "onnxruntime", "cpu", Difference(16, 0, 1e-3), "wrong"),
        ("fp32", "onnxruntime", "cpu", Difference(16, 1, 1e-5), "wrong"),
        ("fp32", "openvino", "npu", Difference(16, 0, 0.4), "close"),
        ("fp32", "openvino", "npu", Difference(16, 0, 0.6), "wrong"),
        ("fp16", "openvino", "cpu", Difference(16, 0, 0.01), "right"),
        ("fp16", "openvino", "cpu", Difference(16, 1, 0.01), "wrong"),
        ("int8", "onnxruntime", "cpu", Difference(16, 0, 5e-7), "right"),
        ("int8", "onnxruntime", "cpu", Difference(16, 0, 0.2), "wrong"),
        ("int8", "openvino", "cpu", Difference(16, 0, 0.2), "close"),
        ("int8", "openvino", "cpu", Difference(16, 1, 0.13), "close"),
        ("int8", "openvino", "cpu", Difference(16, 2, 0.13), "wrong"),
        ("int8", "openvino", "cpu", Difference(16, 0, 0.6), "wrong"),
        ("int8", "openvino", "cpu", Difference(16, 0, None), "wrong"),
        ("int8", "openvino", "cpu", Difference(0, 0, None), "untested"),
    ],
)
def test_the_result_of_a_comparison(
    precision: Precision, engine: str, device: str, difference: Difference, match: Match
) -> None:
    assert judge(difference, precision, engine, device) == match


def test_the_difference_of_logits() -> None:
    expected = read_spec(bundled("model")).golden_logits()
    assert compare_logits(expected, expected) == Difference(16, 0, 0.0)
    assert compare_logits(expected + 0.25, expected) == Difference(
        16, 0, pytest.approx(0.25, abs=1e-6)
    )
    negative = expected.copy()
    negative[:3] *= -1
    assert compare_logits(negative, expected).labels_differ == 3
    for value in (math.nan, math.inf):
        wrong = expected.copy()
        wrong[5, 2] = value
        assert compare_logits(wrong, expected).max_abs_logit_diff is None
    assert compare_logits(expected[:0], expected[:0]) == Difference(0, 0, None)


ARM_CASES = [
    (name, precision) for name, engine in ENGINES.items() for precision in engine.unsupported_on_arm
]


@pytest.fixture
def _on_arm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.usefixtures("_on_arm")
def test_an_engine_that_is_not_offered_on_arm_is_refused(
    fer: Fer, monkeypatch: pytest.MonkeyPatch, fp32_model: Path
) -> None:
    assert ARM_CASES == [("openvino", "int8")]
    model = bundled("model")
    with pytest.raises(DeviceError, match=r"base\.onnx: OpenVINO's int8 on ARM"):
        open_backend(model, backend="openvino")
    with pytest.raises(DeviceError, match="OpenVINO's int8 on ARM"):
        open_backend(model, backend="openvino", verify=False)
    ran = fer("infer", "--backend", "openvino", EXAMPLE)
    assert (ran.code, ran.out) == (1, "")
    assert "OpenVINO's int8 on ARM fails to compile" in ran.err
    assert "use the backend onnxruntime" in ran.err
    # a stored choice of it, and "auto" without another engine
    engine_choice.store_choice(model, Choice("openvino", 1, 0.5), "openvino")
    assert open_backend(model, use_stored_choice=True).engine == "onnxruntime"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    module = ENGINES["onnxruntime"].module
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(DeviceError, match="OpenVINO's int8 on ARM"):
        open_backend(model)
    assert open_backend(fp32_model).engine == "openvino"
