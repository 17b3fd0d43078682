"""Ctrl-C, SIGTERM and SIGHUP end a command alike: what it is writing is finished first."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BURST = 2.0
"""Seconds: a terminal that closes and a machine that stops send several signals at once."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class _State:
    """Of this process.

    Attributes:
        held: how many blocks of `finish_first` are open.
        is_waiting: a signal came inside one.
        is_stopping: the command has been interrupted.
        first_at: when the first signal came, in seconds of the monotonic clock.
    """

    held: int = 0
    is_waiting: bool = False
    is_stopping: bool = False
    first_at: float | None = None

    def stop(self) -> None:
        self.is_waiting, self.is_stopping = False, True
        raise KeyboardInterrupt


_state = _State()


def handle_signals() -> None:
    """Let the first signal raise `KeyboardInterrupt`, and the ones soon after it have no effect.

    Later than `BURST`, the second ends the process at once, since what is to be finished may hang.
    A signal that the parent process ignores, as nohup does SIGHUP, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    _state.held, _state.first_at = 0, None
    _state.is_waiting, _state.is_stopping = False, False
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


def _on_signal(*_: object) -> None:
    now = time.monotonic()
    if _state.first_at is None:
        _state.first_at = now
    elif now - _state.first_at > BURST:
        for number in SIGNALS:  # now: the next may come where no Python code runs any more
            if signal.getsignal(number) is _on_signal:
                signal.signal(number, signal.SIG_DFL)
    if _state.is_stopping:
        return
    if _state.held:
        _state.is_waiting = True
    else:
        _state.stop()


@contextmanager
def finish_first() -> Iterator[None]:
    """Hold a signal back until the block is left.

    Where an error leaves the block, the signal waits for the end of the next block.
    """
    _state.held += 1
    try:
        yield
    finally:
        _state.held -= 1
    if _state.is_waiting and not _state.held:
        _state.stop()
