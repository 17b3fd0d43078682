"""The median's interval, and rounds taken together."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from fer_edge.runtime.diagnostics.statistics import (
    Timed,
    is_median_known,
    median_interval,
    pool_rounds,
)


def timed(times: tuple[int, ...], **changes: Any) -> Timed:
    return dataclasses.replace(Timed("1.0", 10.0, 20.0, times, 2**26, ()), **changes)


@pytest.mark.parametrize("n", [6, 7, 8, 20, 101, 2000])
def test_the_interval_is_the_narrowest_that_holds_the_median_so_often(n: int) -> None:
    low, high = median_interval(list(range(n))[::-1])
    assert low + high == n - 1  # as many times beyond one end as beyond the other
    tails = [sum(math.comb(n, k) for k in range(beyond + 1)) / 2**n for beyond in (low, low + 1)]
    assert 1 - 2 * tails[0] >= 0.95 > 1 - 2 * tails[1]


def test_the_interval_holds_the_median_in_95_of_100_samples() -> None:
    draws = np.random.default_rng(0).exponential(1e6, (2000, 40)).astype(int).tolist()
    ends = [median_interval(times) for times in draws]
    held = sum(low <= 1e6 * math.log(2) <= high for low, high in ends) / len(ends)
    assert 0.95 <= held <= 0.98  # never less; more, since an end is one of the times


def test_too_few_times() -> None:
    assert median_interval([3, 1, 2, 6, 5, 4]) == (1, 6)
    with pytest.raises(ValueError, match="5 times are too few"):
        median_interval([1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match="times must be 6 or more, not 5"):
        Timed("1", 1.0, 1.0, (1,) * 5, None, ())


def test_a_known_median() -> None:
    assert is_median_known([1000] * 6)
    assert is_median_known([1000, 1000, 1000, 1000, 1000, 1020])
    assert not is_median_known([1000, 1000, 1000, 1000, 1000, 1021])


def test_rounds_together() -> None:
    speed = pool_rounds(
        [
            timed((1_000_000,) * 40 + (9_000_000,) * 10, clocks=(1500.0, 1400.0)),
            timed((2_000_000,) * 50, load_ms=50.0, peak_memory=2**27),
            timed((2_000_000,) * 50, load_ms=30.0, import_ms=12.0, peak_memory=None),
        ],
        batch=8,
    )
    assert (speed.engine, speed.runs, speed.p50_ms, speed.interval_ms) == ("1.0", 150, 2, (2, 2))
    assert (speed.p95_ms, speed.p99_ms) == (9, 9)
    assert speed.rounds_ms == (1, 2, 2)
    assert speed.faces_per_second == pytest.approx(8 * 150 / 0.330)
    assert (speed.import_ms, speed.load_ms, speed.peak_memory) == (10, 30, 2**27)
    assert speed.clocks == (1500.0, 1400.0)
    assert speed.is_narrow
    assert speed.round_spread == 0.5


def test_a_round_that_was_disturbed_counts_no_more_than_the_others() -> None:
    disturbed = tuple(5_000_000 + i for i in range(2000))
    speed = pool_rounds([timed((1_000_000,) * 100), timed(disturbed), timed((1_000_000,) * 100)], 1)
    assert (speed.runs, speed.p50_ms) == (300, 1)
    assert speed.p99_ms == 5.00192  # the 97th of a hundred of the 2,000


def test_few_runs_have_no_high_percentiles() -> None:
    for runs, known in ((19, (False, False)), (20, (True, False)), (100, (True, True))):
        speed = pool_rounds([timed(tuple(range(1, runs + 1)))], batch=1)
        assert (speed.p95_ms is not None, speed.p99_ms is not None) == known
    assert (speed.p95_ms, speed.p99_ms) == (95e-6, 99e-6)
