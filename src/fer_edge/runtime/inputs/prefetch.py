"""An iterator that runs in its own thread, some items ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
JOIN_TIMEOUT = 10.0


class _End(NamedTuple):
    """Follows the last item: the error that ended the iterator, if any."""

    error: BaseException | None = None


class Prefetcher(Generic[T]):
    """The consumer's side: an iterator that also gives items without waiting for them."""

    def __init__(self, size: int, *, drop: bool) -> None:
        self._items: queue.Queue[T | _End] = queue.Queue(size)
        self._drop = drop
        self._stop = threading.Event()
        self._end: _End | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        item = self._items.get() if self._end is None else self._end
        if not isinstance(item, _End):
            return item
        self._end = _End()
        if item.error:
            raise item.error
        raise StopIteration

    def poll(self) -> T | None:
        """The next item if it is there already; None if not, and at the end."""
        with suppress(queue.Empty):
            item = self._items.get_nowait()
            if not isinstance(item, _End):
                return item
            self._end = item
        return None

    def _put(self, item: T | _End) -> None:
        is_end = isinstance(item, _End)
        while not self._stop.is_set():
            try:
                self._items.put(item, timeout=0.1, block=is_end or not self._drop)
                return
            except queue.Full:
                if self._drop and not is_end:
                    with suppress(queue.Empty):  # the consumer was faster
                        self._items.get_nowait()

    def _run(self, items: Generator[T]) -> None:
        end = _End()
        try:
            for item in items:
                self._put(item)
                if self._stop.is_set():
                    break
        except BaseException as error:  # passed on to the consumer, which raises it
            end = _End(error)
        finally:
            items.close()
        self._put(end)


@contextmanager
def prefetch(
    items: Generator[T], *, size: int, drop: bool = False, timeout: float = JOIN_TIMEOUT
) -> Iterator[Prefetcher[T]]:
    """Run a generator in a thread; an error in it is raised after its last item.

    Args:
        items: closed when the block is left.
        size: maximum number of items that wait for the consumer.
        drop: keep only the newest item, so that `items` never waits for the consumer.
        timeout: seconds for which leaving the block waits for the thread.
    """
    prefetcher: Prefetcher[T] = Prefetcher(1 if drop else size, drop=drop)
    thread = threading.Thread(target=prefetcher._run, args=(items,), daemon=True)
    thread.start()
    try:
        yield prefetcher
    finally:
        prefetcher._stop.set()
        thread.join(timeout)
