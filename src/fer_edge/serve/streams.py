"""The live stream as server-sent events, as motion JPEG, and over a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from fer_edge.serve.audience import LiveFrame, Viewer
from fer_edge.serve.endless_response import EndlessResponse, race
from fer_edge.serve.health import BoardHealth
from fer_edge.serve.live import CameraState, Live
from fer_edge.serve.problems import Problem
from fer_edge.serve.settings import Settings
from fer_edge.text import format_json

STATUS_INTERVAL = 2.0
"""Seconds between two messages of the status."""
MAX_UNACKNOWLEDGED = 2
"""Frames under way to a viewer of the WebSocket: with one, the network's delay would limit the
rate; with more, a slow viewer would see old frames."""
BOUNDARY = "frame"
STALLED = 1008
"""Code that closes a WebSocket: the client breaks the rules. RFC 6455."""


@dataclass(frozen=True)
class Status:
    """The server at one moment.

    Attributes:
        camera: "none": there is no source; "opening": no frame has come yet; "open"; "lost".
        source: the camera's name, without a password.
        message: why the camera is lost.
        frames_per_second: of the live stream, 0 where nobody looks.
        viewers: of the live stream.
        dropped: frames since the start that a viewer was too slow for.
        temperature: of the CPU in degrees Celsius; null: there is no sensor.
        throttled: what slows the machine down or has done so; null: it does not report it.
        token_required: whether clients need a token.
    """

    camera: CameraState
    source: str
    message: str
    frames_per_second: float
    viewers: int
    dropped: int
    temperature: float | None
    throttled: tuple[str, ...] | None
    token_required: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


_Encode: TypeAlias = Callable[["LiveFrame | Status"], bytes]


class Streams:
    """The routes of the live stream.

    Args:
        live: the source.
        health: of the machine.
        settings: of the server.
    """

    def __init__(self, live: Live, health: BoardHealth, settings: Settings) -> None:
        self._live, self._health, self._settings = live, health, settings

    async def status(self) -> Status:
        """The status now."""
        live, health = self._live, await self._health.read()
        return Status(
            camera=live.camera.state,
            source=live.camera.source,
            message=live.camera.message,
            frames_per_second=round(live.frames_per_second, 1),
            viewers=live.audience.count,
            dropped=live.audience.dropped,
            temperature=health.temperature,
            throttled=health.throttled,
            token_required=self._settings.token is not None,
        )

    async def events(self, _: Request) -> Response:
        """`GET /v1/stream`: results and the status as server-sent events."""
        self._require_source()
        return self._respond("text/event-stream", encode_event, wants_image=False)

    async def video(self, _: Request) -> Response:
        """`GET /v1/video.mjpg`: the frames, as `<img>` shows them."""
        self._require_source()
        media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        return self._respond(media_type, encode_part, wants_image=True)

    async def socket(self, websocket: WebSocket) -> None:
        """`/v1/live`: each frame as a text message with its result and a binary one of JPEG.

        The client acknowledges each frame by a message, whatever it holds.
        """
        self._require_source()
        with self._live.audience.view(wants_image=True) as viewer:
            await websocket.accept()
            window = _Window()
            with suppress(WebSocketDisconnect):
                await race(window.read(websocket), self._send(websocket, viewer, window))

    async def watch(self, viewer: Viewer) -> AsyncIterator[LiveFrame | Status]:
        """The newest frames, and the status every `STATUS_INTERVAL` and when the camera changes."""
        shown, due = None, 0.0
        while not self._live.is_stopping:
            if self._live.camera != shown or monotonic() >= due:
                shown, due = self._live.camera, monotonic() + STATUS_INTERVAL
                yield await self.status()
            frame = await viewer.next(max(0.0, due - monotonic()))
            if frame is not None:
                yield frame

    def _respond(self, media_type: str, encode: _Encode, *, wants_image: bool) -> Response:
        async def encoded(viewer: Viewer) -> AsyncIterator[bytes]:
            async for item in self.watch(viewer):
                if content := encode(item):
                    yield content

        view = partial(self._live.audience.view, wants_image=wants_image)
        return EndlessResponse(view, encoded, media_type)

    def _require_source(self) -> None:
        if self._live.camera.state == "none":
            raise Problem(HTTPStatus.NOT_FOUND, "there is no camera: start fer serve SOURCE")

    async def _send(self, websocket: WebSocket, viewer: Viewer, window: _Window) -> None:
        async for item in self.watch(viewer):
            if isinstance(item, Status):
                await websocket.send_text(format_json({"status": item.to_dict()}))
                continue
            await websocket.send_text(f'{{"result": {item.document}}}')
            await websocket.send_bytes(item.jpeg or b"")
            if not await window.sent(self._settings.limits.stall_timeout):
                await websocket.close(STALLED, "no frame was acknowledged")
                return


class _Window:
    """Counts the frames that a client has not acknowledged."""

    def __init__(self) -> None:
        self._open = 0
        self._changed = asyncio.Event()

    async def read(self, websocket: WebSocket) -> None:
        """Take acknowledgements until the client leaves."""
        while (await websocket.receive())["type"] == "websocket.receive":
            self._open = max(0, self._open - 1)
            self._changed.set()

    async def sent(self, timeout: float) -> bool:
        """Count a frame and wait for room for another; False: none came in time."""
        self._open += 1
        try:
            async with asyncio.timeout(timeout):
                while self._open >= MAX_UNACKNOWLEDGED:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


def encode_event(item: LiveFrame | Status) -> bytes:
    """A server-sent event, `result` or `status`."""
    if isinstance(item, Status):
        return f"event: status\ndata: {format_json(item.to_dict())}\n\n".encode()
    return f"event: result\ndata: {item.document}\n\n".encode()


def encode_part(item: LiveFrame | Status) -> bytes:
    """A part of motion JPEG; of the status, nothing."""
    if isinstance(item, Status) or item.jpeg is None:
        return b""
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(item.jpeg)}\r\n\r\n"
    return head.encode() + item.jpeg + b"\r\n"
