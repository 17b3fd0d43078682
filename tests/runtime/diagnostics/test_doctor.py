from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import openvino
import pytest

from fer_edge.errors import MissingSpecError, ModelError
from fer_edge.runtime.backends import ENGINES
from fer_edge.runtime.detection import install
from fer_edge.runtime.device import engine_choice, packages
from fer_edge.runtime.device.engine_choice import Choice
from fer_edge.runtime.diagnostics import doctor, self_test
from fer_edge.runtime.diagnostics.doctor import diagnose
from fer_edge.runtime.diagnostics.probe import Measured
from fer_edge.runtime.diagnostics.self_test import (
    Row,
    Verdict,
    child,
    choose,
    judge,
    readable,
    thread_counts,
)
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.onnx_reader import read_metadata
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import Precision
from tests.support.commands import Fer

RIGHT = {"samples": 16, "labels_differ": 0, "max_abs_logit_diff": 1e-7, "ms": 1.0}
PACKAGES = {name: engine.package for name, engine in ENGINES.items()}
OF_ONNX = [name for name, engine in ENGINES.items() if ".onnx" in engine.suffixes]


@pytest.fixture(autouse=True)
def _own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("fer_edge.runtime.device.board.usable_cores", lambda: 2)


Interpreter = Callable[[str], None]


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Interpreter:
    """Put these shell commands before what starts a child; $4 is the engine, $5 any model."""

    def put(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(
            f'#!/bin/sh\nulimit -c 0\n{script}\nexec {shlex.quote(sys.executable)} "$@"\n'
        )
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return put


def answers(monkeypatch: pytest.MonkeyPatch, table: dict[tuple[str, str], object]) -> list[str]:
    """Children that answer by engine and number of threads; the log tells who was asked."""
    log: list[str] = []

    def answer(name: str, *arguments: str) -> tuple[object, str | None]:
        if not arguments:
            return {"version": "1.0", "devices": ["cpu"]}, None
        log.append(f"{name} {arguments[1]}")
        found = table[name, arguments[1]]
        return (None, found) if isinstance(found, str) else ({**RIGHT, **found}, None)  # type: ignore[dict-item]

    monkeypatch.setattr(doctor, "child", answer)
    monkeypatch.setattr(self_test, "child", answer)
    return log


def test_this_machine(fp32_model: Path) -> None:
    told: list[str] = []
    found = diagnose(fp32_model, tell=told.append)
    assert told == [f"{n}, {t}" for n in OF_ONNX for t in ("1 thread", "2 threads")]
    assert [(row.backend, row.threads) for row in found.rows] == [
        (name, threads) for name in OF_ONNX for threads in (1, 2)
    ]
    assert {row.verdict for row in found.rows} == {"right"}
    assert all(row.measured and row.measured.ms for row in found.rows)
    assert all(engine.failure or engine.devices[0] == "cpu" for engine in found.engines)
    assert found.works
    assert found.choice == choose(list(found.rows))
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
    assert "no engine that works here reads it: pip install onnxruntime, or 'fer-edge[ope" in said
    assert "fer export --format ncnn" in said


def test_a_crash_is_a_row(interpreter: Interpreter) -> None:
    interpreter('[ "$4" = onnxruntime ] && [ -n "$5" ] && kill -ILL $$')
    found = diagnose(bundled("model"), speed=False)
    crashed, other = found.rows
    assert (crashed.backend, crashed.verdict, crashed.measured) == ("onnxruntime", "failed", None)
    assert crashed.failure is not None
    assert crashed.failure.startswith("it crashed: Illegal instruction (signal 4): its build asks")
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


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("kill -KILL $$", r"Killed \(signal 9\): most likely the memory ran out"),
        ("echo a >&2; echo 'ImportError: libgomp' >&2; exit 3", r"^ImportError: .* \(exit code 3"),
        ("exit 1", "it said nothing"),
        ("exit 0", "it ended without an answer"),
        ("echo hello; exit 0", "it ended without an answer"),
        ("exec sleep 60", r"no answer within 0\.3 seconds"),
    ],
)
def test_what_may_happen_to_a_child(
    script: str, message: str, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_test, "TIMEOUT", 0.3 if "sleep" in script else 60)
    interpreter(script)
    answer, failure = child("onnxruntime")
    assert answer is None
    with pytest.raises(ValueError, match=message):
        raise ValueError(failure)


def test_an_engine_that_prints(interpreter: Interpreter) -> None:
    interpreter("echo 'hello from the driver'")
    answer, failure = child("onnxruntime")
    assert failure is None
    assert answer["devices"] == ["cpu"]


def test_where_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    found = diagnose(bundled("model"))
    message = "no process of its own could be started (No such file or directory)"
    assert {engine.failure for engine in found.engines} == {message}
    assert not found.works


def test_a_package_in_the_current_folder_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit('taken')")
    monkeypatch.chdir(tmp_path)
    assert child("onnxruntime")[1] is None


def test_after_a_failure_more_threads_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    log = answers(
        monkeypatch,
        {
            ("onnxruntime", "1"): "it crashed",
            ("openvino", "1"): {"ms": 2.0},
            ("openvino", "2"): {"ms": 1.9},
        },
    )
    found = diagnose(bundled("model"))
    assert log == ["onnxruntime 1", "openvino 1", "openvino 2"]
    assert found.choice == Choice("openvino", 1, 2.0)
    assert found.works
    assert engine_choice.read_choice(bundled("model"), PACKAGES) == found.choice


def test_wrong_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"labels_differ": 9, "max_abs_logit_diff": 3.0}
    answers(monkeypatch, {(name, count): wrong for name in ENGINES for count in "12"})
    found = diagnose(bundled("model"))
    assert {row.verdict for row in found.rows} == {"wrong"}
    assert found.choice is found.remembered is None
    assert not found.works
    assert not engine_choice.choice_file().exists()


def test_a_choice_that_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers(monkeypatch, {(name, count): {} for name in ENGINES for count in "12"})
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
    log = answers(monkeypatch, {(name, count): {} for name in ENGINES for count in "12"})
    monkeypatch.setattr("platform.machine", lambda: machine)
    found = diagnose(fp32_model if precision == "fp32" else bundled("model"))
    if (machine, precision) == ("aarch64", "int8"):
        assert log == ["onnxruntime 1", "onnxruntime 2"]
        assert found.rows[-1].verdict == "not offered"
        assert "OpenVINO's int8 on ARM" in str(found.rows[-1].failure)
    else:
        assert "openvino 2" in log


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {("onnxruntime", count): {} for count in "12"})
    monkeypatch.setattr(
        packages, "find_package", lambda name: None if name == "openvino" else Path(json.__file__)
    )
    found = diagnose(bundled("model"))
    assert found.engines[1].failure == "not installed: pip install 'fer-edge[openvino]'"
    assert {row.backend for row in found.rows} == {"onnxruntime"}


def test_an_ir_is_tried_under_openvino_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fp32_model: Path
) -> None:
    path = tmp_path / "m.xml"
    model = openvino.Core().read_model(fp32_model)
    model.set_rt_info(read_metadata(fp32_model)["fer_edge"], "fer_edge")
    openvino.save_model(model, path, compress_to_fp16=False)
    log = answers(monkeypatch, {("openvino", count): {"ms": 1.0 / int(count)} for count in "12"})
    assert diagnose(path).choice == Choice("openvino", 2, 0.5)
    assert log == ["openvino 1", "openvino 2"]


def test_the_spec_is_read_without_an_engine(fp32_model: Path, tmp_path: Path) -> None:
    for path in (fp32_model, bundled("model")):
        model = onnx.load(path)
        assert read_metadata(path) == {entry.key: entry.value for entry in model.metadata_props}
        assert readable(path) == read_spec(path)
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


@pytest.mark.parametrize(
    ("precision", "samples", "differ", "diff", "verdict"),
    [
        ("fp32", 16, 0, 1e-5, "right"),
        ("fp32", 16, 0, 1e-3, "wrong"),
        ("fp32", 16, 1, 1e-5, "wrong"),
        ("fp16", 16, 0, 0.01, "right"),
        ("fp16", 16, 1, 0.01, "wrong"),
        ("int8", 16, 0, 5e-7, "right"),
        ("int8", 16, 0, 0.2, "close"),
        ("int8", 16, 1, 0.13, "close"),
        ("int8", 16, 2, 0.13, "wrong"),
        ("int8", 16, 0, 0.6, "wrong"),
        ("int8", 16, 0, None, "wrong"),
        ("int8", 0, 0, None, "untested"),
    ],
)
def test_the_verdict(
    precision: Precision, samples: int, differ: int, diff: float | None, verdict: Verdict
) -> None:
    assert judge(Measured(samples, differ, diff, None), precision) == verdict


def rows(*tried: tuple[str, int, Verdict, float | None]) -> list[Row]:
    return [
        Row(name, threads, verdict, Measured(16, 0, 0.0, ms))
        for name, threads, verdict, ms in tried
    ]


@pytest.mark.parametrize(
    ("tried", "chosen"),
    [
        ([], None),
        ([("a", 1, "right", None)], None),
        ([("a", 1, "wrong", 1.0), ("b", 1, "failed", 1.0), ("c", 1, "untested", 1.0)], None),
        ([("a", 1, "right", 1.0), ("a", 2, "right", 0.91)], ("a", 1)),
        ([("a", 1, "right", 1.0), ("a", 2, "right", 0.89)], ("a", 2)),
        ([("a", 1, "right", 1.0), ("b", 1, "right", 0.8), ("b", 2, "right", 0.5)], ("b", 2)),
        ([("a", 1, "right", 1.0), ("b", 1, "close", 0.1), ("c", 1, "wrong", 0.1)], ("a", 1)),
        ([("a", 1, "wrong", 0.1), ("b", 1, "close", 1.0), ("b", 2, "close", 0.5)], ("b", 2)),
    ],
)
def test_the_choice(
    tried: list[tuple[str, int, Verdict, float | None]], chosen: tuple[str, int] | None
) -> None:
    found = choose(rows(*tried))
    assert (found and (found.backend, found.threads)) == chosen


@pytest.mark.parametrize(
    ("cores", "counts"),
    [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (6, [1, 2, 4, 6]), (64, [1, 2, 4, 8])],
)
def test_thread_counts(cores: int, counts: list[int]) -> None:
    assert thread_counts(cores) == counts


def test_the_detector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert doctor._detector().failure == "not installed: fer detector install"
    path = tmp_path / "d.onnx"
    monkeypatch.setenv("FER_EDGE_DETECTOR", str(path))
    assert "there is no such file" in str(doctor._detector().failure)
    path.write_bytes(b"detector")
    state = doctor._detector()
    assert (state.path, "its SHA-256 is" in str(state.failure)) == (str(path), True)
    monkeypatch.setattr(install, "SHA256", hashlib.sha256(b"detector").hexdigest())
    assert dataclasses.astuple(doctor._detector()) == (str(path), None)
