"""What several processes measured of one model, taken together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from statistics import median

from fer_edge.runtime.diagnostics.worker import NARROW, Timed, interval

APART = 0.05
"""Rounds whose medians differ by more than this share tell of a machine that did other work."""
LEAST = {0.95: 20, 0.99: 100}
"""Runs below which a percentile would only be the slowest of them."""


@dataclasses.dataclass(frozen=True)
class Speed:
    """A model under an engine. Times are of one call, in milliseconds.

    Attributes:
        engine: its version.
        runs: how many calls the figures are of, as many of each round.
        p50_ms: the median.
        interval_ms: where the median lies with 95 % confidence.
        p95_ms, p99_ms: None: there were fewer than 20 or 100 runs.
        rounds_ms: the median of each round.
        faces_per_second: their faces by their time.
        import_ms: to import the engine; median of the rounds.
        load_ms: to open the model afterwards, up to its first answer; median of the rounds.
        peak_memory: of a process that does nothing else, in bytes, the largest of the rounds; None:
            the system doesn't say.
        clocks: of the core that it ran on, in MHz, at the beginning and end of each round; empty:
            the system doesn't say.
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
    def narrow(self) -> bool:
        """Whether the median is known to `NARROW`."""
        low, high = self.interval_ms
        return high - low <= NARROW * self.p50_ms

    @property
    def apart(self) -> float:
        """By what share of the median the rounds' own medians differ."""
        return (max(self.rounds_ms) - min(self.rounds_ms)) / self.p50_ms


def pooled(rounds: Sequence[Timed], batch: int) -> Speed:
    """The figures of one or more rounds of calls with `batch` faces each."""
    # as many of each: a round that was disturbed took more, and would count for more
    least = min(len(one.times) for one in rounds)
    times = [one.times[i * len(one.times) // least] for one in rounds for i in range(least)]
    low, high = interval(times)
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


def _percentile(times: Sequence[int], share: float) -> float | None:
    """The smallest time that this share of them doesn't pass, in milliseconds."""
    if len(times) < LEAST[share]:
        return None
    return sorted(times)[math.ceil(share * len(times)) - 1] / 1e6
