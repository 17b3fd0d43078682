from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import onnx
import openvino
import pytest

from fer_edge.errors import MissingSpecError, ModelError
from fer_edge.runtime.backends import ENGINES
from fer_edge.runtime.device import engine_choice, packages
from fer_edge.runtime.device.engine_choice import Choice
from fer_edge.runtime.diagnostics import doctor
from fer_edge.runtime.diagnostics.doctor import diagnose
from fer_edge.runtime.diagnostics.self_test import (
    choose_fastest,
    read_model_spec,
)
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.onnx_reader import read_header
from fer_edge.runtime.formats.spec_reader import read_spec
from tests.support.commands import Fer
from tests.support.processes import Interpreter
from tests.support.self_tests import fake_self_tests

PACKAGES = {name: engine.package for name, engine in ENGINES.items()}
OF_ONNX = [name for name, engine in ENGINES.items() if ".onnx" in engine.suffixes]


@pytest.fixture(autouse=True)
def _own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("fer_edge.runtime.device.board.count_usable_cores", lambda: 2)
    # they have tests of their own: test_detectors.py
    monkeypatch.setattr(doctor, "diagnose_detectors", lambda *_, **__: ())


def test_this_machine(fp32_model: Path) -> None:
    told: list[str] = []
    found = diagnose(fp32_model, report=told.append)
    assert told == [f"{n}, {t}" for n in OF_ONNX for t in ("1 thread", "2 threads")]
    assert [(row.backend, row.threads) for row in found.rows] == [
        (name, threads) for name in OF_ONNX for threads in (1, 2)
    ]
    assert {row.verdict for row in found.rows} == {"right"}
    assert all(row.measured and row.measured.ms for row in found.rows)
    assert all(engine.failure or engine.devices[0] == "cpu" for engine in found.engines)
    assert found.works
    assert found.choice == choose_fastest(list(found.rows))
    assert found.remembered == str(engine_choice.choice_file())
    assert engine_choice.read_choice(fp32_model, PACKAGES) == found.choice
    document = json.loads(json.dumps(found.to_dict()))
    assert document["model"]["precision"] == "fp32"
    assert document["board"]["cores"] == 2


def test_an_ncnn_model(ncnn_model: Path) -> None:
    found = diagnose(ncnn_model, speed=False)
    (row,) = found.rows
    assert (row.backend, row.verdict) == ("ncnn", "right")
    assert row.measured is not None
    assert row.measured.samples == 16
    assert [engine.failure for engine in found.engines if engine.name == "ncnn"] == [None]


def test_a_file_beside_is_tried_and_remembered(
    fp32_model: Path, ncnn_model: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(fp32_model, tmp_path / "m.onnx"))
    for file in ncnn_model.parent.iterdir():
        shutil.copy(file, tmp_path)
    found = diagnose(path, speed=False)
    assert [(row.backend, row.verdict) for row in found.rows] == [
        (name, "right") for name in ENGINES
    ]


def test_where_no_engine_reads_the_model(monkeypatch: pytest.MonkeyPatch, fer: Fer) -> None:
    find = packages.find_package
    gone = ("onnxruntime", "openvino")
    monkeypatch.setattr(packages, "find_package", lambda name: None if name in gone else find(name))
    ran = fer("doctor", "--no-probe")
    assert ran.code == 1
    said = " ".join(ran.out.split())
    assert "not installed: pip install onnxruntime" in said
    assert "no engine that works here reads it: pip install onnxruntime, or pip install" in said
    assert "'fer-edge[openvino]' (in a clone: pip install '.[openvino]'); or fer export" in said
    assert "fer export --format ncnn" in said


def test_a_crash_is_a_row(interpreter: Interpreter) -> None:
    interpreter('case "$5 $6" in "measure_model "*onnxruntime*) kill -ILL $$;; esac')
    found = diagnose(bundled("model"), speed=False)
    crashed, other = found.rows
    assert (crashed.backend, crashed.verdict, crashed.measured) == ("onnxruntime", "failed", None)
    assert crashed.failure is not None
    assert crashed.failure.startswith("it crashed: Illegal instruction (signal 4): its build uses")
    assert other.measured is not None
    assert other.measured.samples == 16


def test_an_engine_that_dies_when_it_is_imported(interpreter: Interpreter) -> None:
    interpreter("kill -SEGV $$")
    found = diagnose(bundled("model"))
    assert [engine.failure for engine in found.engines] == [
        "it crashed: Segmentation fault (signal 11)"
    ] * len(ENGINES)
    assert found.rows == ()
    assert not found.works
    assert not engine_choice.choice_file().exists()


def test_where_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    found = diagnose(bundled("model"))
    message = "no process of its own could be started (No such file or directory)"
    assert {engine.failure for engine in found.engines} == {message}
    assert not found.works


def test_after_a_failure_more_threads_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    results: dict[str, str | dict[str, float]] = {
        "onnxruntime 1": "it crashed",
        "openvino 1": {"ms": 2.0},
        "openvino 2": {"ms": 1.9},
    }
    log = fake_self_tests(monkeypatch, lambda name, threads: results[f"{name} {threads}"])
    found = diagnose(bundled("model"))
    assert log == ["onnxruntime 1", "openvino 1", "openvino 2"]
    assert found.choice == Choice("openvino", 1, 2.0)
    assert found.works
    assert engine_choice.read_choice(bundled("model"), PACKAGES) == found.choice


def test_wrong_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"labels_differ": 9, "max_abs_logit_diff": 3.0}
    fake_self_tests(monkeypatch, lambda *_: wrong)
    found = diagnose(bundled("model"))
    assert {row.verdict for row in found.rows} == {"wrong"}
    assert found.choice is found.remembered is None
    assert not found.works
    assert not engine_choice.choice_file().exists()


def test_a_choice_that_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_self_tests(monkeypatch, lambda *_: {})
    (tmp_path / "state").touch()
    found = diagnose(bundled("model"))
    assert found.choice == Choice("onnxruntime", 1, 1.0)
    assert found.remembered is None
    assert found.not_remembered is not None
    assert "state" in found.not_remembered


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_int8_under_openvino_on_arm(
    machine: str, precision: str, monkeypatch: pytest.MonkeyPatch, fp32_model: Path
) -> None:
    log = fake_self_tests(monkeypatch, lambda *_: {})
    monkeypatch.setattr("platform.machine", lambda: machine)
    found = diagnose(fp32_model if precision == "fp32" else bundled("model"))
    if (machine, precision) == ("aarch64", "int8"):
        assert log == ["onnxruntime 1", "onnxruntime 2"]
        assert found.rows[-1].verdict == "not offered"
        assert "OpenVINO's int8 on ARM" in str(found.rows[-1].failure)
    else:
        assert "openvino 2" in log


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_self_tests(monkeypatch, lambda *_: {})
    monkeypatch.setattr(
        packages, "find_package", lambda name: None if name == "openvino" else Path(json.__file__)
    )
    found = diagnose(bundled("model"))
    assert found.engines[1].failure == (
        "not installed: pip install 'fer-edge[openvino]' (in a clone: pip install '.[openvino]')"
    )
    assert {row.backend for row in found.rows} == {"onnxruntime"}


def test_an_ir_is_tried_under_openvino_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fp32_model: Path
) -> None:
    path = tmp_path / "m.xml"
    model = openvino.Core().read_model(fp32_model)
    model.set_rt_info(read_header(fp32_model).metadata["fer_edge"].decode(), "fer_edge")
    openvino.save_model(model, path, compress_to_fp16=False)
    log = fake_self_tests(monkeypatch, lambda _, threads: {"ms": 1.0 / threads})
    assert diagnose(path).choice == Choice("openvino", 2, 0.5)
    assert log == ["openvino 1", "openvino 2"]


def test_the_spec_is_read_without_an_engine(fp32_model: Path, tmp_path: Path) -> None:
    for path in (fp32_model, bundled("model")):
        model = onnx.load(path)
        assert read_header(path).metadata == {
            entry.key: entry.value.encode() for entry in model.metadata_props
        }
        assert read_model_spec(path) == read_spec(path)
    path = tmp_path / "m.onnx"
    for content in (b"", b"hello", fp32_model.read_bytes()[:10_000]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"m\.onnx: damaged or cut off"):
            diagnose(path)
    stripped = onnx.load(fp32_model)
    del stripped.metadata_props[:]
    onnx.save(stripped, path)
    with pytest.raises(MissingSpecError):
        diagnose(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m.onnx", "there is no such file"),
        ("m.xml", "there is no such file"),
        ("m.safetensors", "no backend reads .safetensors, only .onnx, .param, .xml"),
        ("m", "no backend reads a file without suffix"),
    ],
)
def test_files_that_cannot_be_used(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        diagnose(tmp_path / name)
