"""Each limit and what a client gets beyond it."""

from __future__ import annotations

import io
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

from fer_edge.errors import ConfigError
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.serve.live import JOIN_TIMEOUT
from fer_edge.serve.server import DRAIN_TIMEOUT
from fer_edge.serve.settings import Limits
from tests.serve.conftest import Running, StartServer, wait_until
from tests.serve.fake_camera import FakeCamera
from tests.serve.fake_recognizer import HeldRecognizer
from tests.support.files import EXAMPLE

IMAGE = EXAMPLE.read_bytes()


def receive_all(client: socket.socket) -> bytes:
    received = b""
    while chunk := client.recv(4096):
        received += chunk
    return received


def test_a_body_that_states_its_size(start: StartServer) -> None:
    run = start(max_body=len(IMAGE))
    assert run.client.post("/v1/predict", content=IMAGE).status_code == 200
    got = run.client.post("/v1/predict", content=IMAGE + b"0")
    assert got.status_code == 413
    assert f"over the limit of {len(IMAGE):,} bytes" in got.json()["detail"]


def test_a_body_that_does_not(start: StartServer) -> None:
    run = start(max_body=1000, body_timeout=0.5)
    with run.connect() as client:
        head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode() + b"3e9\r\n" + b"x" * 1001)
        # it is closed although the rest of the body never comes
        assert receive_all(client).startswith(b"HTTP/1.1 413 ")
    wait_until(lambda: run.metric("fer_queue") == 0)


def test_a_response_waits_for_no_acknowledgement_of_its_header(start: StartServer) -> None:
    run = start()
    with run.connect():
        wait_until(lambda: run.server.server_state.connections)
        (connection,) = run.server.server_state.connections
        endpoint = connection.transport.get_extra_info("socket")
        assert endpoint.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_body_that_is_still_being_sent_gets_the_refusal_all_the_same(start: StartServer) -> None:
    client = start(max_body=1000).client
    for content in (b"x" * 20_000_000, iter([b"x" * 1_000_000] * 20)):
        assert client.post("/v1/predict", content=content).status_code == 413


def test_images_of_a_request(start: StartServer) -> None:
    client = start(max_images=2).client
    files = [("a", ("a.png", IMAGE))] * 3
    assert len(client.post("/v1/predict", files=files[:2]).json()["results"]) == 2
    got = client.post("/v1/predict", files=files)
    assert got.status_code == 413
    assert "limit of 2 images of a request (--max-images)" in got.json()["detail"]


def test_pixels(start: StartServer) -> None:
    client = start(Recognizer.load(faces="whole", max_pixels=100)).client
    content = io.BytesIO()
    Image.new("L", (11, 10)).save(content, "png")
    got = client.post("/v1/predict", content=content.getvalue())
    assert got.status_code == 422
    assert "11 x 10 px" in got.json()["detail"]
    assert "over the limit" in got.json()["detail"]


def post_example(run: Running) -> httpx.Response:
    return run.client.post("/v1/predict", content=IMAGE)


def test_a_burst_gets_results_or_503(start: StartServer, recognizer: Recognizer) -> None:
    held = HeldRecognizer(recognizer)
    run = start(held, max_requests=3)
    with ThreadPoolExecutor(30) as pool:
        burst = [pool.submit(post_example, run) for _ in range(30)]
        wait_until(lambda: sum(one.done() for one in burst) == 27)
        assert run.metric("fer_queue") == 3
        held.go.set()
        found = [one.result() for one in burst]
    assert sorted(one.status_code for one in found) == [200] * 3 + [503] * 27
    refused = next(one for one in found if one.status_code == 503)
    assert int(refused.headers["Retry-After"]) >= 1
    assert run.client.post("/v1/predict", content=IMAGE).status_code == 200


def test_a_request_that_takes_too_long_keeps_its_place_until_it_ends(
    start: StartServer, recognizer: Recognizer
) -> None:
    held = HeldRecognizer(recognizer)
    run = start(held, max_requests=1, request_timeout=0.2)
    got = run.client.post("/v1/predict", content=IMAGE)
    assert got.status_code == 504
    assert "within 0.2 s (--timeout)" in got.json()["detail"]
    assert run.client.post("/v1/predict", content=IMAGE).status_code == 503
    held.go.set()
    wait_until(lambda: run.metric("fer_queue") == 0)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
def test_a_header_that_does_not_arrive(start: StartServer, sent: bytes) -> None:
    with start(header_timeout=0.3).connect() as client:
        client.sendall(sent)
        assert client.recv(1) == b""


def test_a_header_that_arrives_drop_by_drop(start: StartServer) -> None:
    with start(header_timeout=0.3).connect() as client:
        client.settimeout(0.05)
        for _ in range(200):
            try:
                client.sendall(b"G")
                assert client.recv(1) == b""
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):  # it was closed with a byte unread
                return
            return
    raise AssertionError("it was not closed")


def test_a_second_header_has_the_same_limit(start: StartServer) -> None:
    with start(header_timeout=0.3).connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        client.settimeout(3)  # less than a kept connection may wait for the next request
        client.sendall(b"GET ")
        receive_all(client)


def test_a_body_that_does_not_arrive(start: StartServer) -> None:
    run = start(body_timeout=0.3, max_requests=1)
    with run.connect() as client:
        head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1"
        client.sendall(head.encode())
        received = receive_all(client)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 0.3 s" in received
    wait_until(lambda: run.metric("fer_queue") == 0)


def test_a_client_that_leaves_gives_its_place_back(start: StartServer) -> None:
    run = start(max_requests=1)
    with run.connect() as client:
        head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1"
        client.sendall(head.encode())
        wait_until(lambda: run.metric("fer_queue") == 1)
    wait_until(lambda: run.metric("fer_queue") == 0)


def test_connections(start: StartServer) -> None:
    run = start(max_connections=2)
    with run.connect(), run.connect():
        wait_until(lambda: len(run.server.server_state.connections) == 2)
        got = run.client.get("/healthz")
        assert got.status_code == 503
        assert got.headers["Retry-After"] == "1"
        assert got.json()["detail"].startswith("too many connections")
    wait_until(lambda: run.client.get("/healthz").status_code == 200)


def test_a_long_header(start: StartServer) -> None:
    with start().connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000)
        assert receive_all(client).startswith(b"HTTP/1.1 400 ")


def test_the_server_ends_within_5_seconds() -> None:
    """What `docs/serve.md` promises, besides what a loaded machine adds."""
    assert DRAIN_TIMEOUT + JOIN_TIMEOUT < 5


def test_limits_are_above_0() -> None:
    with pytest.raises(ConfigError, match="max_images must be above 0, not 0"):
        Limits(max_images=0)
    with pytest.raises(ConfigError, match="request_timeout"):
        Limits(request_timeout=float("nan"))


def test_requests_under_way_are_finished_when_the_server_ends(
    start: StartServer, recognizer: Recognizer
) -> None:
    held = HeldRecognizer(recognizer)
    run = start(held)
    with ThreadPoolExecutor(2) as pool:
        under_way = [pool.submit(post_example, run) for _ in range(2)]
        wait_until(lambda: run.metric("fer_queue") == 2)
        threading.Timer(0.5, held.go.set).start()
        run.stop()
        assert [one.result().status_code for one in under_way] == [200, 200]
    with pytest.raises(httpx.ConnectError):
        run.client.get("/healthz")


def test_what_takes_too_long_is_given_up_in_order(
    start: StartServer,
    recognizer: Recognizer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("fer_edge.serve.server.DRAIN_TIMEOUT", 0.3)
    held = HeldRecognizer(recognizer)
    run = start(held)
    with ThreadPoolExecutor(1) as pool, run.connect() as slow:
        under_way = pool.submit(post_example, run)
        head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1"
        slow.sendall(head.encode())
        wait_until(lambda: run.metric("fer_queue") == 2)
        run.stop()
        assert receive_all(slow).startswith(b"HTTP/1.1 503 ")
        refused = under_way.result()
    assert refused.status_code == 503
    assert refused.json()["detail"] == "the server ends"
    assert refused.headers["x-content-type-options"] == "nosniff"
    held.go.set()  # the thread ends after the server
    wait_until(lambda: not any(one.name.startswith("predict") for one in threading.enumerate()))
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def test_a_client_that_reads_no_response_is_given_up_in_order(
    start: StartServer,
    camera: FakeCamera,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert camera
    monkeypatch.setattr("fer_edge.serve.server.DRAIN_TIMEOUT", 0.3)
    monkeypatch.setattr("fer_edge.serve.protocol.SEND_BUFFER", 4096)
    monkeypatch.setattr("fer_edge.serve.streams.MAX_UNACKNOWLEDGED", 10_000)
    run = start(source="0")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", run.port))
        client.sendall(
            b"GET /v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        wait_until(lambda: any(one.is_stalled for one in run.server.server_state.connections))
        run.stop()
    assert [record.getMessage() for record in caplog.records] == []
