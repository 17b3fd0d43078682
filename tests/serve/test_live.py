from __future__ import annotations

import io
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from fer_edge.errors import SourceError
from fer_edge.serve import live
from tests.serve.conftest import Running, StartServer, wait_until
from tests.serve.fake_camera import FakeCamera
from tests.support import fake_picamera2
from tests.support.files import CASES, EXAMPLE


def view(run: Running) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{run.port}/v1/live", max_size=None)


def next_frame(viewer: ClientConnection) -> tuple[dict[str, Any], bytes]:
    """The next result and its JPEG, without acknowledging it."""
    while True:
        message = json.loads(viewer.recv(60))
        if "result" in message:
            jpeg = viewer.recv(60)
            assert isinstance(jpeg, bytes)
            return message["result"], jpeg


def drain(viewer: ClientConnection) -> NoReturn:
    while True:
        viewer.recv(60)


def events(run: Running, path: str = "/v1/stream") -> Iterator[tuple[str, dict[str, Any]]]:
    with run.client.stream("GET", path) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        for line in lines:
            if line.startswith("event: "):
                yield line[7:], json.loads(next(lines)[6:])


def test_frames_come_with_their_results(start: StartServer, camera: FakeCamera) -> None:
    assert camera
    with view(start(source="0")) as viewer:
        status = json.loads(viewer.recv(60))["status"]
        assert status["camera"] in ("open", "opening")
        result, jpeg = next_frame(viewer)
        image = Image.open(io.BytesIO(jpeg))
        assert (image.format, image.size) == ("JPEG", (640, 480))
        assert result["source"] == "0"
        assert (result["width"], result["height"]) == (640, 480)
        assert result["faces"][0]["track"]["number"] == 1


def test_a_viewer_that_stalls_holds_nobody_up(start: StartServer, camera: FakeCamera) -> None:
    assert camera
    run = start(source="0", stall_timeout=60.0)
    with view(run) as stalled, view(run) as quick:
        for _ in range(2):
            next_frame(stalled)
        seen = []
        for _ in range(20):
            seen.append(next_frame(quick)[0]["frame"])
            quick.send("")
        assert seen == sorted(set(seen))
        assert run.client.get("/v1/status").json()["viewers"] == 2
        assert run.metric("fer_frames_dropped_total") > 0


def test_a_viewer_that_acknowledges_nothing_is_disconnected(
    start: StartServer, camera: FakeCamera
) -> None:
    assert camera
    with view(start(source="0", stall_timeout=0.5)) as stalled:
        with pytest.raises(ConnectionClosed) as closed:
            drain(stalled)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_a_viewer_that_was_slow_gets_the_newest_frame(
    start: StartServer, camera: FakeCamera
) -> None:
    assert camera
    run = start(source="0")
    with view(run) as viewer:
        before = [next_frame(viewer)[0]["frame"] for _ in range(2)][-1]
        wait_until(lambda: run.server.live.audience.dropped > 10)
        viewer.send("")
        assert next_frame(viewer)[0]["frame"] > before + 10


def test_one_that_reads_nothing_is_disconnected(start: StartServer, camera: FakeCamera) -> None:
    assert camera
    run = start(source="0", stall_timeout=0.5)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", run.port))
        client.sendall(b"GET /v1/video.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: run.server.live.audience.count == 1)
        wait_until(lambda: run.server.live.audience.count == 0)


def test_without_viewers_nothing_is_recognized_or_encoded(
    start: StartServer, camera: FakeCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []
    encode = live.encode_frame
    monkeypatch.setattr(live, "encode_frame", lambda one: encoded.append(1) or encode(one))
    run = start(source="0")
    wait_until(lambda: camera.given > 10)
    assert run.metric("fer_frames_total") == 0
    found = events(run)
    while next(found)[0] != "result":
        pass
    found.close()
    assert run.metric("fer_frames_total") > 0
    assert encoded == []
    wait_until(lambda: run.server.live.audience.count == 0)
    with view(run) as viewer:
        next_frame(viewer)
    assert encoded
    assert camera.opened == 1


def test_motion_jpeg(start: StartServer, camera: FakeCamera) -> None:
    assert camera
    with start(source="0").client.stream("GET", "/v1/video.mjpg") as response:
        kind = response.headers["content-type"]
        assert kind == "multipart/x-mixed-replace; boundary=frame"
        content = b""
        for chunk in response.iter_bytes():
            content += chunk
            if content.count(b"--frame\r\n") == 2:
                break
    head, _, rest = content.partition(b"\r\n\r\n")
    length = int(head.rpartition(b"Content-Length: ")[2])
    assert Image.open(io.BytesIO(rest[:length])).size == (640, 480)


def test_a_lost_camera_is_named_and_comes_back(start: StartServer, camera: FakeCamera) -> None:
    run = start(source="0")
    wait_until(lambda: run.client.get("/readyz").status_code == 200)
    found = events(run)
    assert next(found)[1]["camera"] == "open"
    camera.is_there.clear()
    while (event := next(found))[1].get("camera") != "lost":
        pass
    assert "is it unplugged?" in event[1]["message"]
    got = run.client.get("/readyz")
    assert got.status_code == 503
    assert "camera 0: stopped" in got.json()["detail"]
    assert run.metric("fer_camera_up") == 0
    wait_until(lambda: camera.opened > 2)
    camera.is_there.set()
    while (event := next(found))[1].get("camera") != "open":
        pass
    assert next(found)[0] == "result"
    found.close()
    assert run.client.get("/readyz").status_code == 200


def test_too_many_viewers(start: StartServer, camera: FakeCamera) -> None:
    assert camera
    run = start(source="0", max_viewers=1)
    with view(run) as viewer:
        next_frame(viewer)
        got = run.client.get("/v1/stream")
        assert got.status_code == 503
        assert int(got.headers["Retry-After"]) >= 1
        assert "--max-viewers" in got.json()["detail"]
    wait_until(lambda: run.server.live.audience.count == 0)
    with view(run) as viewer:
        next_frame(viewer)


def test_viewers_leave_when_the_server_ends(start: StartServer, camera: FakeCamera) -> None:
    assert camera
    run = start(source="0")
    with view(run) as viewer:
        next_frame(viewer)
        found = events(run)
        next(found)
        run.stop()
        with pytest.raises(ConnectionClosed):
            drain(viewer)
        assert all(kind for kind, _ in found)  # it ends in order, not with a broken response


def test_a_video_plays_again_from_its_beginning(start: StartServer) -> None:
    pytest.importorskip("av", reason="av isn't installed")
    run = start(source=str(CASES / "still_end.mp4"))
    frames = []
    for kind, document in events(run):
        if kind == "result":
            frames.append(document["frame"])
            if len(frames) > 1 and frames[-1] < frames[-2]:
                break
    assert run.client.get("/v1/status").json()["camera"] == "open"


def test_sources_that_cannot_be_live(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    for source, message in (
        (tmp_path / "no.mp4", "there is no such video or camera"),
        (tmp_path / "a.png", "not a video"),
        (tmp_path, "there is no such video or camera"),
        ("gopher://a", "an address begins with"),
    ):
        with pytest.raises(SourceError, match=message):
            live.check_source(str(source))


def test_a_large_frame_is_reduced_for_viewers() -> None:
    image = Image.new("RGB", (1920, 1080))
    assert Image.open(io.BytesIO(live.encode_frame(image))).size == (960, 540)
    assert image.size == (1920, 1080)


def test_head_does_not_stream(start: StartServer, camera: FakeCamera) -> None:
    assert camera
    got = start(source="0").client.head("/v1/stream")
    assert got.status_code == 200


def test_a_viewer_that_reads_nothing_does_not_keep_the_server(
    start: StartServer, camera: FakeCamera
) -> None:
    assert camera
    run = start(source="0")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", run.port))
        client.sendall(b"GET /v1/video.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: run.server.live.audience.dropped > 20)
        run.stop()


def test_a_camera_module_that_stops_is_opened_again(
    start: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real reader of frames, with Picamera2 replaced by a fake."""
    module = fake_picamera2.Picamera2
    monkeypatch.setitem(sys.modules, "picamera2", fake_picamera2)
    monkeypatch.setenv("FAKE_PICAMERA2", str(EXAMPLE))
    monkeypatch.setattr(module, "opened", [])
    monkeypatch.setattr(module, "frames", 30)
    monkeypatch.setattr(live, "RETRY_AFTER", 0.1)
    run = start(source="0")
    wait_until(lambda: run.server.live.camera.state == "lost")
    assert "camera 0: stopped after frame 29" in run.server.live.camera.message
    monkeypatch.setattr(module, "frames", 10**9)
    wait_until(lambda: run.server.live.camera.state == "open")
    with view(run) as viewer:
        assert next_frame(viewer)[0]["faces"][0]["emotion"]
    assert len(module.opened) > 1
    assert all(camera.state == "closed" for camera in module.opened[:-1])
