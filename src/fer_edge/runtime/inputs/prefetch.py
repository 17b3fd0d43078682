"""An iterator that runs in a thread of its own, some items ahead of its reader."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
TIMEOUT = 10.0


@dataclass(frozen=True)
class _End:
    """After the last item: the error that ended the iterator, if one did."""

    error: BaseException | None = None


class Prefetcher(Generic[T]):
    """The reader's side: an iterator that can also be asked for what is there already."""

    def __init__(self, size: int, *, drop: bool) -> None:
        self._waiting: queue.Queue[T | _End] = queue.Queue(size)
        self._drop = drop
        self._stop = threading.Event()
        self._end: _End | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return self._taken(self._waiting.get() if self._end is None else self._end)

    def ready(self) -> T | None:
        """The next item if it is there, else None; None at the end too."""
        try:
            item = self._waiting.get_nowait()
        except queue.Empty:
            return None
        if isinstance(item, _End):
            self._end = item
            return None
        return item

    def _taken(self, item: T | _End) -> T:
        if not isinstance(item, _End):
            return item
        self._end = _End()
        if item.error:
            raise item.error
        raise StopIteration

    def _put(self, item: T | _End) -> None:
        last = isinstance(item, _End)
        while not self._stop.is_set():
            try:
                self._waiting.put(item, timeout=0.1, block=last or not self._drop)
                return
            except queue.Full:
                if self._drop and not last:
                    self._discard()

    def _discard(self) -> None:
        try:
            self._waiting.get_nowait()
        except queue.Empty:
            return  # the reader was faster

    def _work(self, items: Generator[T]) -> None:
        end = _End()
        try:
            for item in items:
                self._put(item)
                if self._stop.is_set():
                    break
        except BaseException as error:  # handed to the reader, who raises it
            end = _End(error)
        finally:
            items.close()
        self._put(end)


@contextmanager
def prefetch(
    items: Generator[T], *, size: int, drop: bool = False, timeout: float = TIMEOUT
) -> Iterator[Prefetcher[T]]:
    """Run a generator in a thread; an error in it comes after its last item.

    Args:
        items: closed when the block is left.
        size: how many items may wait for the reader.
        drop: rather than let `items` wait, drop what waits: the newest is kept for the reader.
        timeout: seconds that the thread has for its last item when the block is left.
    """
    reader: Prefetcher[T] = Prefetcher(1 if drop else size, drop=drop)
    thread = threading.Thread(target=reader._work, args=(items,), daemon=True)
    thread.start()
    try:
        yield reader
    finally:
        reader._stop.set()
        thread.join(timeout)
