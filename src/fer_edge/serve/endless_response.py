"""A response that lasts until the client leaves or the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fer_edge.serve.audience import Viewer

IS_ENDLESS = "fer_edge.is_endless"
"""Key of a request's scope, by which the connection knows that this is no response to wait for."""


class EndlessResponse(Response):
    """Sends what a viewer sees, chunk by chunk.

    Args:
        view: makes the viewer for as long as the response lasts.
        encode: the chunks for it.
        media_type: of the response.
    """

    def __init__(
        self,
        view: Callable[[], AbstractContextManager[Viewer]],
        encode: Callable[[Viewer], AsyncIterator[bytes]],
        media_type: str,
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._view, self._encode = view, encode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send chunks to one viewer; for HEAD, the header alone."""
        if scope["method"] == "HEAD":
            await Response(media_type=self.media_type)(scope, receive, send)
            return
        scope[IS_ENDLESS] = True
        with self._view() as viewer:
            start = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **start})
            await race(_wait_for_end(receive), self._send(viewer, send))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, viewer: Viewer, send: Send) -> None:
        async for chunk in self._encode(viewer):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def race(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run coroutines until one of them ends, and end the others.

    Raises:
        Exception: what it raised.
    """
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
