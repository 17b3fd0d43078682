"""Statistics of measured times: the median's interval, and several rounds taken together."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from statistics import median

MAX_INTERVAL_WIDTH = 0.02
"""The median is known well enough when its interval is narrower than this fraction of it."""
MAX_ROUND_SPREAD = 0.05
"""Rounds whose medians differ by a larger fraction indicate other work on the machine."""
MIN_TIMES = 6
"""Of fewer times, even the smallest and the largest hold the median less than 95 % of the time."""
MIN_RUNS = {0.95: 20, 0.99: 100}
"""By percentile: with fewer runs it would just be the slowest one."""
TAIL = 40
"""One in this many medians lies beyond either end of the interval, so 95 % lie inside."""


@dataclasses.dataclass(frozen=True)
class Timed:
    """What one process measured.

    Attributes:
        version: version of the engine.
        import_ms: milliseconds to import the engine.
        load_ms: milliseconds to open the model afterwards, including the first prediction.
        times: nanoseconds of each call after the warm-up, `MIN_TIMES` or more.
        peak_memory: bytes of the whole process; None: the system doesn't report it.
        clocks: MHz of the core that it ran on, after the warm-up and after the last call; empty
            where the system doesn't report it.
    """

    version: str
    import_ms: float
    load_ms: float
    times: tuple[int, ...]
    peak_memory: int | None
    clocks: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.times) < MIN_TIMES:
            raise ValueError(f"times must be {MIN_TIMES} or more, not {len(self.times)}")


@dataclasses.dataclass(frozen=True)
class Speed:
    """Times of calls with a model under an engine, in milliseconds per call.

    Attributes:
        engine: version of the engine.
        runs: number of calls, the same from each round.
        p50_ms: the median.
        interval_ms: 95 % confidence interval of the median.
        p95_ms, p99_ms: percentiles; None: there were fewer than 20 or 100 runs.
        rounds_ms: the median of each round.
        faces_per_second: faces of all calls per second of their total time.
        import_ms, load_ms: as in `Timed`; medians of the rounds.
        peak_memory: as in `Timed`; the largest of the rounds.
        clocks: as in `Timed`; of each round.
    """

    engine: str
    runs: int
    p50_ms: float
    interval_ms: tuple[float, float]
    p95_ms: float | None
    p99_ms: float | None
    rounds_ms: tuple[float, ...]
    faces_per_second: float
    import_ms: float
    load_ms: float
    peak_memory: int | None
    clocks: tuple[float, ...]

    @property
    def is_narrow(self) -> bool:
        """Whether the median is known to `MAX_INTERVAL_WIDTH`."""
        low, high = self.interval_ms
        return high - low <= MAX_INTERVAL_WIDTH * self.p50_ms

    @property
    def round_spread(self) -> float:
        """Difference between the rounds' medians, as a fraction of the median."""
        return (max(self.rounds_ms) - min(self.rounds_ms)) / self.p50_ms


def pool_rounds(rounds: Sequence[Timed], batch: int) -> Speed:
    """The figures of one or more rounds of calls with `batch` faces each."""
    # the same number of each: a disturbed round took more times, and would count for more
    count = min(len(one.times) for one in rounds)
    times = [one.times[i * len(one.times) // count] for one in rounds for i in range(count)]
    low, high = median_interval(times)
    peaks = [one.peak_memory for one in rounds if one.peak_memory is not None]
    return Speed(
        engine=rounds[0].version,
        runs=len(times),
        p50_ms=median(times) / 1e6,
        interval_ms=(low / 1e6, high / 1e6),
        p95_ms=_percentile(times, 0.95),
        p99_ms=_percentile(times, 0.99),
        rounds_ms=tuple(median(one.times) / 1e6 for one in rounds),
        faces_per_second=batch * len(times) / (sum(times) / 1e9),
        import_ms=median(one.import_ms for one in rounds),
        load_ms=median(one.load_ms for one in rounds),
        peak_memory=max(peaks, default=None),
        clocks=tuple(clock for one in rounds for clock in one.clocks),
    )


def is_median_known(times: Sequence[int]) -> bool:
    """Whether the median is known to `MAX_INTERVAL_WIDTH`."""
    low, high = median_interval(times)
    return high - low <= MAX_INTERVAL_WIDTH * median(times)


def median_interval(times: Sequence[int]) -> tuple[int, int]:
    """95 % confidence interval of the median, from order statistics: no distribution is assumed.

    The number of times below the true median is binomial with p = 1/2 (Conover, "Practical
    Nonparametric Statistics", 3rd edition, section 3.2).

    Raises:
        ValueError: there are fewer than `MIN_TIMES`.
    """
    ordered = sorted(times)
    outside = _outside(len(ordered))
    return ordered[outside], ordered[-1 - outside]


@functools.cache
def _outside(n: int) -> int:
    """How many of n times may lie outside the interval on each side."""
    if n < MIN_TIMES:
        raise ValueError(f"{n} times are too few for an interval of their median: {MIN_TIMES}")
    # of 2**n equally likely coin sequences: those with exactly, and with at most, so many heads
    heads, exactly, at_most = 0, 1, 1
    while TAIL * at_most <= 2**n:
        exactly = exactly * (n - heads) // (heads + 1)
        heads += 1
        at_most += exactly
    return heads - 1


def _percentile(times: Sequence[int], fraction: float) -> float | None:
    """The smallest time that this fraction of them doesn't exceed, in milliseconds."""
    if len(times) < MIN_RUNS[fraction]:
        return None
    return sorted(times)[math.ceil(fraction * len(times)) - 1] / 1e6
