"""What a request may take: a place among those that are computed, and a body of bounded size."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from http import HTTPStatus

from starlette.requests import Request

from fer_edge.serve.problems import Problem, busy


class Slots:
    """The places of the requests that are computed at once; any thread may give one back.

    Attributes:
        used: places that are taken.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self.used = 0

    def take(self) -> None:
        """Take a place.

        Raises:
            Problem: 503: none is free.
        """
        with self._lock:
            if self.used >= self._count:
                raise busy(f"{self._count} requests are being computed: try again in a second")
            self.used += 1

    def give_back(self) -> None:
        """Free a place."""
        with self._lock:
            self.used -= 1


async def read_limited(
    request: Request, max_bytes: int, timeout: float
) -> AsyncGenerator[bytes, None]:
    """The body of a request, chunk by chunk.

    Args:
        request: nothing of its body is read yet.
        max_bytes: its largest size.
        timeout: seconds for all of it to arrive.

    Raises:
        Problem: 413: it is too large; 408: it did not arrive in time.
    """
    stated = request.headers.get("content-length", "0")
    if stated.isdecimal() and int(stated) > max_bytes:
        raise _too_large(max_bytes)
    length, chunks = 0, request.stream()
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise Problem(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the body did not arrive within {timeout:g} s",
                {"Connection": "close"},
            ) from None
        if chunk is None:
            return
        length += len(chunk)
        if length > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over the limit of {max_bytes:,} bytes"
    )
