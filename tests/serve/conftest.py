"""Real servers on free ports of this machine, in threads of this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from fer_edge.runtime.recognizer import Recognizer
from fer_edge.serve.server import Server, make_server, open_socket
from fer_edge.serve.settings import Limits, Settings
from tests.serve.fake_camera import FakeCamera

TIMEOUT = 60.0
"""Seconds for what happens at once on an idle machine."""


class Running:
    """A server that runs; `client` speaks to it without a token."""

    def __init__(self, server: Server, port: int, thread: threading.Thread) -> None:
        self.server, self.port, self.thread = server, port, thread
        self.url = f"http://127.0.0.1:{port}"
        # plain HTTP: reading the system's certificates takes longer than most tests
        self.client = httpx.Client(base_url=self.url, timeout=TIMEOUT, verify=False)

    def connect(self) -> socket.socket:
        """A plain connection, for clients that misbehave."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        lines = self.client.get("/metrics").text.splitlines()
        return float(next(line.split()[1] for line in lines if line.split()[0] == name))

    def stop(self) -> None:
        """Stop as a signal does."""
        self.server.should_exit = True
        self.thread.join(TIMEOUT)
        assert not self.thread.is_alive()


StartServer = Callable[..., Running]


@contextmanager
def running(server: Server) -> Iterator[Running]:
    with open_socket(server.settings) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        run = Running(server, listening.getsockname()[1], thread)
        try:
            wait_until(lambda: server.started)
            yield run
        finally:
            run.client.close()
            run.stop()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what another thread is about to do."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    """The bundled model; each image is one face."""
    return Recognizer.load(faces="whole")


@pytest.fixture
def start(recognizer: Recognizer) -> Iterator[StartServer]:
    """Starts a server: limits by name, or other settings, or another recognizer."""
    with ExitStack() as stack:

        def run(recognizer: Any = recognizer, source: str | None = None, **values: Any) -> Running:
            names = Limits.__dataclass_fields__
            limits = Limits(**{name: values.pop(name) for name in [*values] if name in names})
            settings = Settings(**{"port": 0, **values}, limits=limits)
            return stack.enter_context(running(make_server(recognizer, settings, source=source)))

        yield run


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> FakeCamera:
    """What servers with a source read instead of it."""
    fake = FakeCamera()
    monkeypatch.setattr("fer_edge.serve.live.read_frames", fake.read)
    monkeypatch.setattr("fer_edge.serve.live.check_source", lambda _: None)
    monkeypatch.setattr("fer_edge.serve.server.check_source", lambda _: None)
    monkeypatch.setattr("fer_edge.serve.live.RETRY_AFTER", 0.1)
    return fake
