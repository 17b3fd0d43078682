"""The protocol of child processes, and the timing loop."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from fer_edge.runtime.diagnostics import worker
from fer_edge.runtime.diagnostics.self_test import describe_engine
from fer_edge.runtime.diagnostics.statistics import MIN_TIMES, Timed
from fer_edge.runtime.diagnostics.worker import (
    WorkerError,
    make_batches,
    run_in_process,
    time_calls,
    time_model,
    warm_up,
)
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec
from tests.support.processes import Interpreter, run_python


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        monkeypatch.setattr(worker.time, "perf_counter_ns", lambda: self.now)
        monkeypatch.setattr(worker.time, "perf_counter", lambda: self.now / 1e9)


class Slow:
    """A backend whose calls take what they are told to, in nanoseconds."""

    def __init__(self, clock: Clock, cost: Callable[[int], int], spec: ModelSpec) -> None:
        self.clock, self.cost, self.spec, self.calls = clock, cost, spec, 0
        self.given: list[int] = []

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        self.clock.now += self.cost(self.calls)
        self.calls += 1
        self.given.append(int(faces.flat[0]))
        return np.zeros((len(faces), 7), np.float32)


def test_a_steady_machine_is_soon_known(monkeypatch: pytest.MonkeyPatch, spec: ModelSpec) -> None:
    clock = Clock(monkeypatch)
    backend = Slow(clock, lambda i: 1_000_000 + i % 7, spec)
    given = [np.full((1, 48, 48), i, np.uint8) for i in range(3)]
    times = time_calls(backend, given, seconds=60)
    assert len(times) == worker.CHECK_AFTER
    assert times[:8] == tuple(1_000_000 + i % 7 for i in range(8))
    assert backend.given[:4] == [0, 1, 2, 0]


def test_a_restless_machine_is_measured_to_the_end(
    monkeypatch: pytest.MonkeyPatch, spec: ModelSpec
) -> None:
    clock = Clock(monkeypatch)
    given = [np.zeros((1, 48, 48), np.uint8)]

    def measured(seconds: float, cost: int) -> tuple[int, ...]:
        return time_calls(Slow(clock, lambda i: cost + i % 2 * cost, spec), given, seconds)

    assert len(measured(0.75, 1_000_000)) == 500
    assert len(measured(60, 1_000_000)) == worker.MAX_TIMES
    assert len(measured(1, 1_000_000_000)) == MIN_TIMES  # so few that they took longer


def test_the_warm_up_does_not_count(monkeypatch: pytest.MonkeyPatch, spec: ModelSpec) -> None:
    clock = Clock(monkeypatch)
    given = [np.zeros((1, 48, 48), np.uint8)]
    for seconds, cost, calls in ((0.1, 10_000_000, 10), (0.1, 1_000_000_000, worker.WARM_UP_CALLS)):
        backend = Slow(clock, lambda _, cost=cost: cost, spec)  # type: ignore[misc]
        warm_up(backend, given, seconds)
        assert backend.calls == calls


def test_batches_of_golden_faces_and_of_noise(spec: ModelSpec) -> None:
    golden = read_spec(bundled("model"))
    faces = golden.golden_faces()
    assert np.array_equal(np.concatenate(make_batches(golden, 1)), faces)
    assert np.array_equal(np.concatenate(make_batches(golden, 8)), faces)
    (one,) = make_batches(golden, 40)
    assert np.array_equal(one, np.concatenate([faces, faces, faces[:8]]))
    assert {batch.shape for batch in make_batches(golden, 3)} == {(3, 48, 48)}
    noise = make_batches(spec, 4)
    assert len(noise) == 4
    assert (noise[0].shape, noise[0].dtype) == ((4, 48, 48), np.uint8)
    assert not np.array_equal(noise[0], noise[1])


MODEL = {"model": str(bundled("model")), "backend": "onnxruntime", "threads": 1}


def test_a_model_is_timed_in_a_process_of_its_own() -> None:
    result = run_in_process(time_model, **MODEL, batch=2, seconds=0.01)
    assert isinstance(result, Timed)
    assert result.version == version("onnxruntime")
    assert len(result.times) >= MIN_TIMES
    assert all(time > 0 for time in result.times)
    assert result.import_ms > 0
    assert result.load_ms > 0
    assert result.peak_memory is not None
    assert 2**24 < result.peak_memory < 2**31


ALONE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "openvino", "matplotlib", "rich", "typer"}:
            raise ModuleNotFoundError(f"refused: {name}", name=name)

sys.meta_path.insert(0, Refuse())
held = bytearray(300_000_000)
from fer_edge.runtime.diagnostics.worker import run_in_process, main, time_model
assert run_in_process(time_model, **eval(sys.argv[1])).peak_memory < 250_000_000
main(["fer_edge.runtime.diagnostics.worker", "time_model", sys.argv[2]])
"""


def test_it_needs_one_engine_alone_and_the_peak_is_not_the_parents() -> None:
    given = {**MODEL, "batch": 1, "seconds": 0.01}
    done = run_python("-c", ALONE, repr(given), json.dumps(given), timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == version("onnxruntime")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("kill -KILL $$", r"Killed \(signal 9\): most likely the memory ran out"),
        ("kill -ILL $$", r"^it crashed: Illegal instruction \(signal 4\): its build uses"),
        ("echo a >&2; echo 'ImportError: libgomp' >&2; exit 3", r"^ImportError: .* \(exit code 3"),
        ("exit 1", "no message"),
        ("exit 0", "it ended without a result"),
        ("echo hello; exit 0", "it ended without a result"),
        ("exec sleep 60", r"no result within 0\.3 seconds"),
    ],
)
def test_a_process_that_fails(script: str, message: str, interpreter: Interpreter) -> None:
    interpreter(script)
    with pytest.raises(WorkerError, match=message):
        run_in_process(
            describe_engine, backend="onnxruntime", timeout=0.3 if "sleep" in script else 60
        )


def test_a_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(WorkerError, match=r"could be started \(No such file"):
        run_in_process(describe_engine, backend="onnxruntime")


def test_an_engine_that_prints(interpreter: Interpreter) -> None:
    interpreter("echo 'hello from the driver'")
    assert run_in_process(describe_engine, backend="onnxruntime").devices[0] == "cpu"


def test_a_package_in_the_current_folder_is_not_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit('taken')")
    monkeypatch.chdir(tmp_path)
    assert run_in_process(describe_engine, backend="onnxruntime").version


def test_a_named_failure(tmp_path: Path) -> None:
    path = str(tmp_path / "no.onnx")
    with pytest.raises(WorkerError, match=r"^ModelError: .*no\.onnx: there is no such file \(exit"):
        run_in_process(time_model, **{**MODEL, "model": path}, batch=1, seconds=0.01)
