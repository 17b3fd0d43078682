from __future__ import annotations

import mmap
from collections import Counter
from dataclasses import replace

import pytest
from benchmarks import endurance
from benchmarks.endurance import COLUMNS, RUNS, Endured, Monitor, measure_slope, settled_samples

from fer_edge import Recognizer, Result
from fer_edge.runtime.pipeline import PreparedImage


def test_the_slope_is_that_of_the_samples_after_the_first_tenth() -> None:
    filling = [(i, 100.0 * i) for i in range(10)]
    settled = [(i, 50 + 0.25 * i) for i in range(10, 100)]
    assert measure_slope(settled_samples(filling + settled)) == pytest.approx(0.25)
    assert measure_slope(settled[:1]) == 0


def test_a_row_has_the_slope_in_kb_per_thousand() -> None:
    done = Endured(2000, 1, [(i, 50 + i / 1024) for i in range(20)], 3, seconds=4.0)
    row = done.row("calls")
    assert row == ["calls", "2,000", 1, "50.0", "50.0", "1000.00", 3, "500"]
    assert len(row) == len(COLUMNS)


def test_memory_that_grows_is_seen() -> None:
    monitor = Monitor(8)
    kept = []
    for _ in range(8):
        kept.append(mmap.mmap(-1, 4 << 20))  # new memory: the heap may have some to spare
        kept[-1].write(b"x" * (4 << 20))
        monitor.step()
    done = monitor.finish(0)
    assert done.number == 8
    assert measure_slope(done.memory) > 3.5


@pytest.mark.parametrize("name", RUNS)
def test_results_are_compared(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endurance, "SAMPLES", 20)
    assert RUNS[name][1](0.0001).different == 0

    predict = Recognizer.predict
    calls = Counter[tuple[int, int]]()

    def once_wrong(self: Recognizer, images: list[PreparedImage]) -> list[Result]:
        results = predict(self, images)
        size = images[0].size  # each thread has its own
        calls[size] += 1
        is_wrong = size in ((96, 96), (48, 48)) and calls[size] == 3
        return [replace(one, faces=()) for one in results] if is_wrong else results

    monkeypatch.setattr(Recognizer, "predict", once_wrong)
    monkeypatch.setattr(endurance, "LOADS", 20 * 10_000)
    assert RUNS[name][1](0.0001).different == 1
