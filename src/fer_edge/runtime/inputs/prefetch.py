"""An iterator that runs in its own thread, some items ahead of its consumer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")
JOIN_TIMEOUT = 10.0


@dataclass
class Flow:
    """How items pass from the thread to the consumer; the items' generator may change it.

    Attributes:
        size: maximum number of items that wait for the consumer.
        drop: keep only the newest item, so that the thread never waits for the consumer.
        silence: seconds without progress after which waiting for an item fails; None: never.
    """

    size: int
    drop: bool = False
    silence: float | None = None
    _progress: float = field(default_factory=monotonic)

    def note_progress(self) -> None:
        """Start the time of silence again: something arrived, whether it becomes an item or not."""
        self._progress = monotonic()

    def silence_left(self) -> float | None:
        """Seconds until waiting fails, at least 0; None: it never does."""
        return (
            None if self.silence is None else max(0.0, self._progress + self.silence - monotonic())
        )


class Prefetcher(Generic[T]):
    """The consumer's side: an iterator that also gives items without waiting for them."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._is_stopped = self._is_ended = False
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._changed:
            while not (self._items or self._is_ended):
                left = self._flow.silence_left()
                if left == 0:
                    raise TimeoutError
                self._changed.wait(left)
            if self._items:
                return self._take()
            error, self._error = self._error, None
        if error:
            raise error
        raise StopIteration

    def poll(self) -> T | None:
        """The next item if it is there already; None if not, and at the end."""
        with self._changed:
            return self._take() if self._items else None

    def _take(self) -> T:
        self._changed.notify_all()
        return self._items.popleft()

    def _put(self, item: T) -> None:
        with self._changed:
            if self._flow.drop:
                self._items.clear()
            while len(self._items) >= self._flow.size and not self._is_stopped:
                self._changed.wait()
            self._items.append(item)
            self._changed.notify_all()

    def _run(self, items: Generator[T]) -> None:
        error = None
        try:
            for item in items:
                self._put(item)
                if self._is_stopped:
                    break
        except BaseException as raised:  # passed on to the consumer, which raises it
            error = raised
        finally:
            items.close()
        with self._changed:
            self._error, self._is_ended = error, True
            self._changed.notify_all()

    def _stop(self) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()


@contextmanager
def prefetch(
    items: Generator[T], flow: Flow, *, timeout: float = JOIN_TIMEOUT
) -> Iterator[Prefetcher[T]]:
    """Run a generator in a thread; an error in it is raised after its last item.

    Args:
        items: closed when the block is left.
        flow: how many items wait, and for how long the consumer does.
        timeout: seconds for which leaving the block waits for the thread.

    Raises:
        TimeoutError: by the iterator: there was no progress for `flow.silence` seconds.
    """
    prefetcher: Prefetcher[T] = Prefetcher(flow)
    thread = threading.Thread(target=prefetcher._run, args=(items,), daemon=True)
    thread.start()
    try:
        yield prefetcher
    finally:
        prefetcher._stop()
        thread.join(timeout)
