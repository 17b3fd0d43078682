"""The board's temperature and throttling, read at most every few seconds."""

from __future__ import annotations

import asyncio
from time import monotonic

from fer_edge.runtime.device.throttling import Health, read_health

MAX_AGE = 2.0
"""Seconds for which a reading is used: on a Raspberry Pi, each one starts a process."""


class BoardHealth:
    """The machine's health, shared by all clients."""

    def __init__(self) -> None:
        self._health = Health(None, (), None)
        self._read_at: float | None = None
        self._lock = asyncio.Lock()

    async def read(self) -> Health:
        """The latest reading, at most `MAX_AGE` old."""
        async with self._lock:
            if self._read_at is None or monotonic() - self._read_at > MAX_AGE:
                self._health = await asyncio.to_thread(read_health)
                self._read_at = monotonic()
        return self._health
