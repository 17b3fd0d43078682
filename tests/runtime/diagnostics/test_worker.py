from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from fer_edge.runtime.diagnostics import worker
from fer_edge.runtime.diagnostics.worker import (
    FEWEST,
    Timed,
    batches,
    interval,
    main,
    narrow,
    sample,
    warm_up,
)
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec
from tests.support.processes import run_process


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


@pytest.mark.parametrize("n", [6, 7, 8, 20, 101, 2000])
def test_the_interval_is_the_narrowest_that_holds_the_median_so_often(n: int) -> None:
    low, high = interval(list(range(n))[::-1])
    assert low + high == n - 1  # as many times beyond one end as beyond the other
    tails = [sum(math.comb(n, k) for k in range(beyond + 1)) / 2**n for beyond in (low, low + 1)]
    assert 1 - 2 * tails[0] >= 0.95 > 1 - 2 * tails[1]


def test_the_interval_holds_the_median_in_95_of_100_samples() -> None:
    draws = np.random.default_rng(0).exponential(1e6, (2000, 40)).astype(int).tolist()
    ends = [interval(times) for times in draws]
    held = sum(low <= 1e6 * math.log(2) <= high for low, high in ends) / len(ends)
    assert 0.95 <= held <= 0.98  # never less; more, since an end is one of the times


def test_too_few_times() -> None:
    assert interval([3, 1, 2, 6, 5, 4]) == (1, 6)
    with pytest.raises(ValueError, match="5 times are too few"):
        interval([1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match="times must be 6 or more, not 5"):
        Timed("1", 1.0, 1.0, (1,) * 5, None, ())


def test_narrow() -> None:
    assert narrow([1000] * 6)
    assert narrow([1000, 1000, 1000, 1000, 1000, 1020])
    assert not narrow([1000, 1000, 1000, 1000, 1000, 1021])


def test_a_steady_machine_is_soon_known(monkeypatch: pytest.MonkeyPatch, spec: ModelSpec) -> None:
    clock = Clock(monkeypatch)
    backend = Slow(clock, lambda i: 1_000_000 + i % 7, spec)
    given = [np.full((1, 48, 48), i, np.uint8) for i in range(3)]
    times = sample(backend, given, seconds=60)
    assert len(times) == worker.ENOUGH
    assert times[:8] == tuple(1_000_000 + i % 7 for i in range(8))
    assert backend.given[:4] == [0, 1, 2, 0]


def test_a_restless_machine_is_measured_to_the_end(
    monkeypatch: pytest.MonkeyPatch, spec: ModelSpec
) -> None:
    clock = Clock(monkeypatch)
    given = [np.zeros((1, 48, 48), np.uint8)]

    def measured(seconds: float, cost: int) -> tuple[int, ...]:
        return sample(Slow(clock, lambda i: cost + i % 2 * cost, spec), given, seconds)

    assert len(measured(0.75, 1_000_000)) == 500
    assert len(measured(60, 1_000_000)) == worker.MOST
    assert len(measured(1, 1_000_000_000)) == FEWEST  # so few that they took longer


def test_the_warm_up_does_not_count(monkeypatch: pytest.MonkeyPatch, spec: ModelSpec) -> None:
    clock = Clock(monkeypatch)
    given = [np.zeros((1, 48, 48), np.uint8)]
    for seconds, cost, calls in ((0.1, 10_000_000, 10), (0.1, 1_000_000_000, worker.WARM_UP)):
        backend = Slow(clock, lambda _, cost=cost: cost, spec)  # type: ignore[misc]
        warm_up(backend, given, seconds)
        assert backend.calls == calls


def test_batches_of_golden_faces_and_of_noise(spec: ModelSpec) -> None:
    golden = read_spec(bundled("model"))
    faces = golden.golden_faces()
    assert np.array_equal(np.concatenate(batches(golden, 1)), faces)
    assert np.array_equal(np.concatenate(batches(golden, 8)), faces)
    (one,) = batches(golden, 40)
    assert np.array_equal(one, np.concatenate([faces, faces, faces[:8]]))
    assert {batch.shape for batch in batches(golden, 3)} == {(3, 48, 48)}
    noise = batches(spec, 4)
    assert len(noise) == 4
    assert (noise[0].shape, noise[0].dtype) == ((4, 48, 48), np.uint8)
    assert not np.array_equal(noise[0], noise[1])


def test_as_a_process() -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "fer_edge.runtime.diagnostics.worker",
        str(bundled("model")),
    ]
    command += ["onnxruntime", "1", "2", "0.01"]
    done = run_process(*command)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    answer = json.loads(line)
    assert set(answer) == {field.name for field in dataclasses.fields(Timed)}
    assert len(answer["times"]) >= FEWEST
    assert all(isinstance(time, int) and time > 0 for time in answer["times"])
    assert answer["import_ms"] > 0
    assert answer["load_ms"] > 0
    assert 2**24 < answer["peak_memory"] < 2**31


HOG = """
import subprocess, sys
held = bytearray(300_000_000)
command = [sys.executable, "-P", "-m", "fer_edge.runtime.diagnostics.worker", *sys.argv[1:]]
subprocess.run(command, check=True, timeout=60)
"""


def test_the_peak_is_not_the_parents() -> None:
    command = [sys.executable, "-c", HOG, str(bundled("model")), "onnxruntime", "1", "1", "0.01"]
    done = run_process(*command, check=True)
    assert json.loads(done.stdout)["peak_memory"] < 250_000_000


REFUSE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "openvino", "matplotlib", "rich", "typer"}:
            raise ModuleNotFoundError(f"refused: {name}", name=name)

sys.meta_path.insert(0, Refuse())
from fer_edge.runtime.diagnostics.worker import main
main(sys.argv[1:])
"""


def test_it_needs_one_engine_alone() -> None:
    command = [sys.executable, "-c", REFUSE, str(bundled("model")), "onnxruntime", "1", "1", "0.01"]
    done = run_process(*command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == version("onnxruntime")


def test_a_failure_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^ModelError: .*no\.onnx: there is no such file$"):
        main([str(tmp_path / "no.onnx"), "onnxruntime", "1", "1", "0.01"])
