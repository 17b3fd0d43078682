"""Addresses: files over HTTP are read to their end, cameras drop frames, silence ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from time import sleep
from types import MappingProxyType
from typing import Any

import av
import pytest

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs import containers, video
from fer_edge.runtime.inputs.video import Cut, read_frames
from tests.support.commands import Fer
from tests.support.videos import encode_video, shaded_image

COUNT = 20
BOUNDARY = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"


class Handler(BaseHTTPRequestHandler):
    """Serves one clip: how, its first folder says; where there is a query, only with its token."""

    content: bytes = b""
    parts: Mapping[str, bytes]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind, _, name = self.path[1:].partition("/")
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", f"/file/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if "#" in self.path or ("?" in self.path and "token=1" not in self.path):
            self.send_error(403)
            return
        self.close_connection = True
        with suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, f"send_{kind}")(name)

    def send_file(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def send_part(self, name: str) -> None:
        self.content = self.parts[name]
        self.send_file(name)

    def send_chunked(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(self.content), self.content))

    def send_partial(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) * 3 // 4])

    def send_camera(self, count: str) -> None:
        """Motion JPEG, as network cameras send it: without a length, until it stops."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for _ in range(int(count.partition("/")[0])):
            self.wfile.write(BOUNDARY + self.content + b"\r\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    """Starts a server for some content; returns its address."""
    servers = []

    def start(content: bytes, parts: Mapping[str, bytes] = MappingProxyType({})) -> str:
        handler = type("Serving", (Handler,), {"content": content, "parts": parts})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def clip(folder: Path, name: str) -> bytes:
    codec = "mjpeg" if name.endswith("mjpeg") else "mpeg4"
    settings = {"pix_fmt": "yuvj420p"} if codec == "mjpeg" else {}
    images = map(shaded_image, range(COUNT))
    return encode_video(folder / name, images, codec, rate=10, **settings).read_bytes()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mjpeg"])
@pytest.mark.parametrize(
    "address",
    [
        "file/{}",
        "file/{}?token=1",
        "file/{}#t=1",
        "moved/{}?token=1",
        "file/CLIP",
    ],
)
def test_a_file_is_read_to_its_end(
    address: str, name: str, tmp_path: Path, serve: Callable[[bytes], str]
) -> None:
    host = serve(clip(tmp_path, name))
    for given in (f"{host}/{address.format(name)}", f"{host}/{address.format(name.upper())}"):
        assert [frame.index for frame in read_frames(given)] == list(range(COUNT))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mjpeg"])
def test_a_file_without_a_stated_size_is_read_to_its_end(
    name: str, tmp_path: Path, serve: Callable[[bytes], str]
) -> None:
    host = serve(clip(tmp_path, name))
    for address in (f"{host}/chunked/stream", f"{host}/chunked/{name}?token=1"):
        frames = []
        for frame in read_frames(address):
            sleep(0.01)  # a camera would drop frames meanwhile
            frames.append(frame.index)
        assert frames == list(range(COUNT))


def silence(path: Path, codec: str) -> bytes:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=48000, layout="mono")
        frame = av.AudioFrame("fltp", "mono", 1024)
        frame.rate = 48000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for _ in range(COUNT * 5):
            frame.pts = None
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


SOUNDS = {"aac": "aac", "mp3": "libmp3lame", "ac3": "ac3", "eac3": "eac3"}


@pytest.mark.parametrize("suffix", [*SOUNDS, "vtt"])
def test_a_playlist_whose_sound_or_subtitles_are_in_files_of_their_own(
    suffix: str, tmp_path: Path, serve: Callable[..., str]
) -> None:
    def playlist(name: str) -> bytes:
        head = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n"
        return f"{head}#EXTINF:2,\n{name}\n#EXT-X-ENDLIST\n".encode()

    if suffix in SOUNDS:
        kind, content = "AUDIO", silence(tmp_path / f"b.{suffix}", SOUNDS[suffix])
    else:
        kind, content = "SUBTITLES", b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n"
    master = (
        f'#EXTM3U\n#EXT-X-MEDIA:TYPE={kind},GROUP-ID="b",NAME="en",DEFAULT=YES,URI="b.m3u8"\n'
        f'#EXT-X-STREAM-INF:BANDWIDTH=90000,{kind}="b"\na.m3u8\n'
    )
    parts = {
        "m.m3u8": master.encode(),
        "a.m3u8": playlist("a.ts"),
        "b.m3u8": playlist(f"b.{suffix}"),
        "a.ts": clip(tmp_path, "a.ts"),
        f"b.{suffix}": content,
    }
    address = serve(b"", parts) + "/part/m.m3u8"
    assert [frame.index for frame in read_frames(address)] == list(range(COUNT))


def test_the_command_reads_it(tmp_path: Path, serve: Callable[[bytes], str], fer: Fer) -> None:
    address = serve(clip(tmp_path, "a.mp4")).replace("http://", "HTTP://user:secret@")
    ran = fer("infer", f"{address}/file/a.mp4?token=1", "--faces", "whole", "--json")
    assert (ran.code, len(ran.out.splitlines())) == (0, COUNT)
    assert '"source": "HTTP://***@127.0.0.1' in ran.out
    assert "secret" not in ran.out + ran.err


def test_a_file_that_breaks_off(tmp_path: Path, serve: Callable[[bytes], str]) -> None:
    host = serve(clip(tmp_path, "a.mkv"))
    with pytest.raises(SourceError, match=r"a\.mkv: breaks off (after frame|at) "):
        list(read_frames(f"{host}/partial/a.mkv"))


def test_a_camera_that_stops_is_an_error(serve: Callable[[bytes], str]) -> None:
    jpeg = BytesIO()
    shaded_image(9).save(jpeg, "JPEG")
    host = serve(jpeg.getvalue())
    for address in (f"{host}/camera/30", f"{host}/camera/30/video.mjpg"):
        with pytest.raises(SourceError, match=r"camera/30.* after frame \d+ at .*unplugged"):
            list(read_frames(address))
    found = list(read_frames(f"{host}/camera/100000", Cut(every=20, duration=9)))
    assert found
    assert all(frame.index % 20 == 0 for frame in found)


def test_an_image_at_an_address_is_not_a_video(
    tmp_path: Path, serve: Callable[[bytes], str]
) -> None:
    shaded_image(9).save(tmp_path / "a.png")
    host = serve((tmp_path / "a.png").read_bytes())
    with pytest.raises(SourceError, match=r"a\.png: cannot be opened \(no answer, or not a video"):
        list(read_frames(f"{host}/file/a.png"))


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp", "rtsps", "rtmp", "udp"])
def test_a_host_that_never_answers(
    scheme: str, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "TIMEOUT", 0.3)
    with pytest.raises(SourceError, match=f"^{scheme}://127.0.0.1.*: cannot be opened") as error:
        list(read_frames(f"{scheme}://{silent}/a"))
    assert len(str(error.value).splitlines()) == 1


def test_a_source_that_gives_no_frame_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_SILENCE", 0.2)
    is_over = threading.Event()

    def decode(*_: Any) -> Iterator[Any]:
        is_over.wait(30)
        yield from ()

    monkeypatch.setattr(video, "_decode", decode)
    threading.Timer(0.5, is_over.set).start()
    with pytest.raises(SourceError, match=r"^camera 0: sends no frame for 0\.2 s"):
        next(read_frames("0"))
