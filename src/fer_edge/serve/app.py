"""The routes of the server, and what stands before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_edge.runtime.recognizer import Recognizer
from fer_edge.serve import openapi
from fer_edge.serve.health import BoardHealth
from fer_edge.serve.live import Live
from fer_edge.serve.login import login_routes
from fer_edge.serve.metrics import MEDIA_TYPE, Metrics
from fer_edge.serve.page_files import page_routes, read_page
from fer_edge.serve.predict import Predictor
from fer_edge.serve.problems import (
    Problem,
    busy,
    on_bug,
    on_disconnect,
    on_http_error,
)
from fer_edge.serve.security import PUBLIC, RequestGuard, TokenGuard
from fer_edge.serve.settings import Settings
from fer_edge.serve.streams import Streams
from fer_edge.text import format_json

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
"""Methods that are counted under their names."""


class Service:
    """Everything behind the routes of one server.

    Args:
        recognizer: shared by requests and the live stream.
        live: the camera.
        metrics: counts both.
        settings: of the server.
    """

    def __init__(
        self, recognizer: Recognizer, live: Live, metrics: Metrics, settings: Settings
    ) -> None:
        self._spec = format_json(recognizer.spec.to_dict())
        self._live, self._metrics, self._settings = live, metrics, settings
        self._health = BoardHealth()
        self._predictor = Predictor(recognizer, settings.limits, metrics)
        self._streams = Streams(live, self._health, settings)
        self._document = format_json(openapi.make_document(settings.limits))

    def make_app(self) -> ASGIApp:
        """The application, with what a request passes before it."""
        page = read_page()
        public = PUBLIC | {file.path for file in page}
        routes = [*page_routes(page), *self._routes()]
        paths = [route.path for route in routes]
        settings, middleware = self._settings, []
        if settings.origins:
            cors: dict[str, Any] = {
                "allow_origins": settings.origins,
                "allow_methods": ("GET", "POST"),
                "allow_headers": ("Authorization", "Content-Type"),
            }
            middleware.append(Middleware(CORSMiddleware, **cors))
        middleware.append(Middleware(TokenGuard, token=settings.token, public=public))
        app = Starlette(
            routes=routes,
            middleware=middleware,
            exception_handlers={
                HTTPException: on_http_error,
                ClientDisconnect: on_disconnect,
                Exception: on_bug,
            },
            lifespan=self._run,
        )
        # around Starlette, whose response to a bug passes none of its own middleware
        guarded = RequestGuard(_Cancellable(app), settings)
        return _Counting(guarded, self._metrics, frozenset(paths))

    def _routes(self) -> list[Route | WebSocketRoute]:
        streams = self._streams
        return [
            Route("/v1/predict", self.predict, methods=["POST"]),
            Route("/v1/model", self.model),
            Route("/v1/status", self.status),
            Route("/v1/stream", streams.events),
            Route("/v1/video.mjpg", streams.video),
            WebSocketRoute("/v1/live", streams.socket),
            Route("/openapi.json", self.openapi),
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            *login_routes(self._settings),
        ]

    @asynccontextmanager
    async def _run(self, _: Starlette) -> AsyncIterator[None]:
        self._live.start()
        try:
            yield
        finally:
            self._live.close()
            self._predictor.stop()

    async def predict(self, request: Request) -> Response:
        """`POST /v1/predict`: see `Predictor`."""
        return _json(format_json(await self._predictor(request)))

    async def model(self, _: Request) -> Response:
        """`GET /v1/model`: the spec, as `fer info --json` prints it."""
        return _json(self._spec)

    async def status(self, _: Request) -> Response:
        """`GET /v1/status`: the camera and the board."""
        return _json(format_json((await self._streams.status()).to_dict()))

    async def openapi(self, _: Request) -> Response:
        """`GET /openapi.json`."""
        return _json(self._document)

    async def healthz(self, _: Request) -> Response:
        """`GET /healthz`: the process runs."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _: Request) -> Response:
        """`GET /readyz`: 503 while the camera cannot be read; the text names it."""
        camera = self._live.camera
        if camera.state in ("opening", "lost"):
            detail = camera.message or f"{camera.source}: no frame has arrived yet"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "2"})
        return _json(format_json((await self._streams.status()).to_dict()))

    async def metrics(self, _: Request) -> Response:
        """`GET /metrics`."""
        content = self._metrics.render(await self._health.read())
        return Response(content, headers={"Content-Type": MEDIA_TYPE})


class _Counting:
    """Counts the requests by path, method and status.

    Args:
        app: what is counted.
        metrics: where.
        paths: those of the routes; clients can make up others without end, which count as "other".
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = scope["path"] if scope["path"] in self._paths else "other"
                method = scope["method"] if scope["method"] in METHODS else "other"
                self._metrics.requests.labels(path, method, message["status"]).inc()
            await send(message)

        await self._app(scope, receive, send_counted if scope["type"] == "http" else send)


class _Cancellable:
    """Answers the requests that uvicorn cancels as the server ends: it would print a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            await busy("the server ends", seconds=10).response(scope, receive, send)


def _json(text: str) -> Response:
    return Response(text + "\n", media_type="application/json")
