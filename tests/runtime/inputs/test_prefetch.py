from __future__ import annotations

import threading
from collections.abc import Generator, Iterator

import pytest

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.prefetch import Flow, prefetch

LIMIT = 30.0
"""Seconds to wait for an event, which comes at once unless the code is wrong."""


def counting(count: int) -> Generator[int]:
    yield from range(count)


def collect(items: Iterator[int], seen: list[int]) -> None:
    for item in items:
        seen.append(item)  # noqa: PERF402 - extend would lose what came before an error


def test_without_drop_the_generator_waits_for_the_consumer() -> None:
    is_full = threading.Event()

    def file() -> Generator[int]:
        yield from range(4)
        is_full.set()
        yield from range(4, 40)

    with prefetch(file(), Flow(4)) as waiting:
        assert is_full.wait(LIMIT)
        assert list(waiting) == list(range(40))


def test_with_drop_only_the_newest_item_waits() -> None:
    is_taken, is_ahead = threading.Event(), threading.Event()

    def camera() -> Generator[int]:
        yield 0
        assert is_taken.wait(LIMIT)
        yield from range(1, 40)
        is_ahead.set()  # 39 is in the queue when the generator continues

    with prefetch(camera(), Flow(4, drop=True)) as waiting:
        assert next(waiting) == 0
        is_taken.set()
        assert is_ahead.wait(LIMIT)
        assert list(waiting) == [39]


def test_an_error_comes_after_the_items_before_it() -> None:
    def breaking() -> Generator[int]:
        yield from counting(6)
        raise SourceError("unplugged")

    for drop in (False, True):
        seen: list[int] = []
        with prefetch(breaking(), Flow(2, drop=drop)) as waiting:
            with pytest.raises(SourceError, match="unplugged"):
                collect(waiting, seen)
            assert next(waiting, None) is None
        assert drop or seen == list(range(6))


def test_poll_does_not_wait() -> None:
    is_empty_seen, is_first_queued = threading.Event(), threading.Event()

    def items() -> Generator[int]:
        assert is_empty_seen.wait(LIMIT)
        yield 0
        is_first_queued.set()
        yield 1

    with prefetch(items(), Flow(4)) as waiting:
        assert waiting.poll() is None
        is_empty_seen.set()
        assert is_first_queued.wait(LIMIT)
        assert waiting.poll() == 0
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

    with prefetch(endless(), Flow(4)) as waiting:
        assert next(waiting) == 0
    assert closed == [True]
