from __future__ import annotations

import time
from collections.abc import Generator, Iterator

import pytest

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.prefetch import prefetch


def counting(count: int, wait: float = 0.0) -> Generator[int]:
    for i in range(count):
        time.sleep(wait)
        yield i


def collect(items: Iterator[int], seen: list[int]) -> None:
    for item in items:
        seen.append(item)  # noqa: PERF402 - extend would lose what came before an error


def test_a_slow_consumer_loses_items_only_with_drop() -> None:
    for drop in (False, True):
        seen = []
        with prefetch(counting(40, 0.002), size=4, drop=drop) as waiting:
            for item in waiting:
                seen.append(item)
                time.sleep(0.01)
        assert seen == sorted(set(seen))
        assert (len(seen) < 40) == drop


def test_an_error_comes_after_the_items_before_it() -> None:
    def breaking() -> Generator[int]:
        yield from counting(6)
        raise SourceError("unplugged")

    for drop in (False, True):
        seen: list[int] = []
        with prefetch(breaking(), size=2, drop=drop) as waiting:
            with pytest.raises(SourceError, match="unplugged"):
                collect(waiting, seen)
            assert next(waiting, None) is None
        assert drop or seen == list(range(6))


def test_poll_does_not_wait() -> None:
    with prefetch(counting(2), size=4) as waiting:
        while (first := waiting.poll()) is None:
            time.sleep(0.001)
        assert first == 0
        assert next(waiting) == 1
        assert waiting.poll() is None  # the end, or not there yet
        assert list(waiting) == []
        assert list(waiting) == []


def test_a_consumer_that_stops_closes_the_generator() -> None:
    closed = []

    def endless() -> Generator[int]:
        try:
            yield from counting(10**9)
        finally:
            closed.append(True)

    with prefetch(endless(), size=4) as waiting:
        assert next(waiting) == 0
    assert closed == [True]
