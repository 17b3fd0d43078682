"""Engines whose threads a forked process doesn't have."""

from __future__ import annotations

import os

from fer_edge.errors import ModelError


class OwnProcess:
    """The process that opened a model.

    Args:
        engine: the engine's name in messages.
        threads: of the model; 0: one for each core.
    """

    def __init__(self, engine: str, threads: int) -> None:
        self._engine, self._has_threads = engine, threads != 1
        self._process = os.getpid()

    def check(self) -> None:
        """Check that the engine's threads exist: it would wait for them, for ever.

        Raises:
            ModelError: this process was forked after the model was opened with several threads.
        """
        if self._has_threads and os.getpid() != self._process:
            raise ModelError(
                f"{self._engine} with several threads can't compute in a process that was forked "
                "after it was opened: open it in that process, or with 1 thread"
            )
