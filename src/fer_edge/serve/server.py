"""Runs the application under uvicorn until a signal comes, and ends within seconds."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from fer_edge.errors import ConfigError
from fer_edge.runtime.inputs.video import EVERY_FRAME, Cut
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.runtime.tracking import Tracker
from fer_edge.serve.app import Service
from fer_edge.serve.audience import Audience
from fer_edge.serve.live import Live, check_source
from fer_edge.serve.metrics import Metrics
from fer_edge.serve.protocol import HttpProtocol, LimitedConfig, WebSocketProtocol
from fer_edge.serve.settings import Settings

DRAIN_TIMEOUT = 3
"""Seconds that requests under way have to end; systemd and `docker stop` wait longer."""
MAX_HEADER = 16 * 1024
"""Bytes of a request's header."""
MAX_MESSAGE = 1024
"""Bytes of a message over the WebSocket: clients send acknowledgements alone."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Server(uvicorn.Server):
    """uvicorn's server, which sends the viewers away as it ends.

    Args:
        config: of uvicorn.
        live: its viewers would otherwise stay for ever.
        settings: where it listens.

    Attributes:
        on_start: called once signals are handled and clients can connect.
    """

    def __init__(self, config: LimitedConfig, live: Live, settings: Settings) -> None:
        super().__init__(config)
        self.live, self.settings = live, settings
        self.on_start: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: no new connections, no viewers, and time for the requests under way."""
        self.live.stop()
        asyncio.get_running_loop().call_later(DRAIN_TIMEOUT, self._abort_stalled)
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # its client reads nothing
        await asyncio.sleep(0)  # for their last callbacks

    def _abort_stalled(self) -> None:
        """Give up responses that nobody reads, so that uvicorn need not cancel them."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpProtocol | WebSocketProtocol) and connection.is_stalled:
                connection.transport.abort()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let signals end the server in order; uvicorn's own would raise them again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heeded = [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle_exit) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_server(server: Server, on_start: Callable[[str], None] = lambda _: None) -> None:
    """Serve until a signal comes.

    Args:
        server: see `make_server`.
        on_start: called with the server's address once it listens.

    Raises:
        ConfigError: it cannot listen there.
    """
    with open_socket(server.settings) as listening:
        server.on_start = lambda: on_start(url_of(server.settings, listening))
        server.run(sockets=[listening])


def make_server(
    recognizer: Recognizer,
    settings: Settings,
    *,
    source: str | None = None,
    cut: Cut = EVERY_FRAME,
    min_confidence: float = 0.0,
    max_pixels: int | None = None,
) -> Server:
    """A server that has not started.

    Args:
        recognizer: for requests and the live stream.
        settings: see `Settings`.
        source: a video, a stream's address or a camera to show live; None: none.
        cut: which of its frames to read.
        min_confidence, max_pixels: see `Recognizer.load`.

    Raises:
        ConfigError: the certificate or its key cannot be used.
        SourceError: the source cannot be a video or a camera.
        MissingExtraError: PyAV isn't installed, which the source needs.
    """
    if source is not None:
        check_source(source)
    metrics = Metrics()
    live = Live(
        recognizer,
        source,
        cut=cut,
        tracker=Tracker(min_confidence=min_confidence),
        audience=Audience(settings.limits.max_viewers, metrics),
        max_pixels=max_pixels,
        metrics=metrics,
    )
    config = LimitedConfig(
        Service(recognizer, live, metrics, settings).make_app(),
        settings.limits,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEADER,
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,  # JPEG does not get smaller
        timeout_graceful_shutdown=DRAIN_TIMEOUT,
        ssl_certfile=settings.certfile,
        ssl_keyfile=settings.keyfile,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"--certfile {settings.certfile}, --keyfile {settings.keyfile}: {error}"
        ) from None
    return Server(config, live, settings)


def open_socket(settings: Settings) -> socket.socket:
    """The socket that a server listens on.

    Raises:
        ConfigError: the address is not this machine's, or the port is taken.
    """
    host, port = settings.host, settings.port
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        raise ConfigError(
            f"--host {host} --port {port}: {error.strerror or error}: choose another"
        ) from None
    # for its connections, too: else a response waits 40 ms for the client to acknowledge its header
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def url_of(settings: Settings, listening: socket.socket) -> str:
    """The address that a browser opens."""
    port = listening.getsockname()[1]
    host = settings.host
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    if ":" in host:
        host = f"[{host}]"
    return f"{settings.scheme}://{host}:{port}/"
