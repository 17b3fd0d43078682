"""Connections with time limits, which uvicorn lacks: for a request's header, and for a client that
reads nothing."""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from fer_edge.serve.endless_response import IS_ENDLESS
from fer_edge.serve.problems import problem_response
from fer_edge.serve.settings import Limits

SEND_BUFFER = 256 * 1024
"""Bytes that the system holds for a client that reads slowly: more would only be older frames."""


class LimitedConfig(uvicorn.Config):
    """uvicorn's configuration with the limits that the protocols below read."""

    def __init__(self, app: Any, limits: Limits, **options: Any) -> None:
        self.limits = limits
        super().__init__(app, http=HttpProtocol, ws=WebSocketProtocol, **options)


class _Timer:
    """Aborts a connection unless it is stopped in time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._handle: asyncio.TimerHandle | None = None

    def start(self, transport: asyncio.Transport) -> None:
        """Start, unless it runs already."""
        if self._handle is None:
            loop = asyncio.get_running_loop()
            # not close(), which waits until the client has read everything
            self._handle = loop.call_later(self._seconds, transport.abort)

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self._handle is not None

    def stop(self) -> None:
        """Stop, if it runs."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class HttpProtocol(H11Protocol):
    """HTTP/1.1 with time limits and a limit of connections."""

    config: LimitedConfig

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        limits = self.config.limits
        self._header_timer = _Timer(limits.header_timeout)
        self._stall_timer = _Timer(limits.stall_timeout)
        self._rest_timer = _Timer(limits.body_timeout)
        if len(self.connections) >= limits.max_connections:
            self.app = _refuse_connection
        endpoint = transport.get_extra_info("socket")
        if endpoint is not None:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        super().connection_made(transport)
        self._header_timer.start(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request: the time for its header ends when all of it is there."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._header_timer.start(self.transport)
        else:
            self._header_timer.stop()
        if self.conn.their_state is not h11.SEND_BODY:
            self._rest_timer.stop()

    def on_response_complete(self) -> None:
        """A response is sent, perhaps before the request's body has arrived.

        The rest of the body is read and dropped for a while: a client that is still sending it
        would get a reset connection instead of the response.
        """
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._rest_timer.start(self.transport)

    def shutdown(self) -> None:
        """The server ends: a viewer that doesn't read would only keep it waiting."""
        super().shutdown()
        if self.is_stalled and self.scope and self.scope.get(IS_ENDLESS):
            self.transport.abort()

    @property
    def is_stalled(self) -> bool:
        """Whether the client reads nothing of what it is sent."""
        return self._stall_timer.is_running

    def pause_writing(self) -> None:
        """The client reads more slowly than the server writes."""
        super().pause_writing()
        self._stall_timer.start(self.transport)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._stall_timer.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        for timer in (self._header_timer, self._stall_timer, self._rest_timer):
            timer.stop()
        super().connection_lost(exc)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket with a limit for a client that reads nothing."""

    config: LimitedConfig

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has asked for a WebSocket."""
        self._stall_timer = _Timer(self.config.limits.stall_timeout)
        super().connection_made(transport)

    @property
    def is_stalled(self) -> bool:
        """Whether the client reads nothing of what it is sent."""
        return self._stall_timer.is_running

    def pause_writing(self) -> None:
        """The client reads more slowly than the server writes."""
        super().pause_writing()
        self._stall_timer.start(self.transport)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._stall_timer.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._stall_timer.stop()
        super().connection_lost(exc)


async def _refuse_connection(scope: Any, receive: Any, send: Any) -> None:
    response = problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too many connections are open: try again in a second",
        {"Retry-After": "1", "Connection": "close"},
    )
    await response(scope, receive, send)
