"""A file's name and content never make the program open anything else."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fer_edge import Recognizer
from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.video import read_frames
from fer_edge.runtime.inputs.video_source import mask_credentials, name_fault
from tests.support.commands import Fer
from tests.support.videos import write_clip

NAMES = [
    "2026-01-01T12:30:05.mp4", "12:30.mp4", "-x.mp4", "--help.mp4", "file:x.mp4", "pipe:1.mp4",
    "concat:a|b.mp4", "subfile,,start,0,end,0,,:x.mp4", "data:video.mp4", "lavfi.mp4",
    "crypto:x.mp4", "http:x.mp4", "rtsp:x.mp4", "tcp:127.0.0.1:9.mp4", "a?b#c%20.mp4", "%03d.mp4",
    "line\nfeed.mp4", "tab\t.mp4", "\x1b[31m.mp4", os.fsdecode(b"latin-\xe9.mp4"), " .mp4",
    "[a].mp4", "*.mp4", "é€.mp4", "~.mp4", "$HOME.mp4", "a'b\"c\\.mp4", "async:cache:x.mp4",
]  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", 3)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(faces="whole")


@pytest.fixture
def listener() -> Iterator[tuple[socket.socket, int]]:
    """A socket that waits for a connection, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server, server.getsockname()[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_local_name_is_never_an_address(
    name: str, clip: Path, tmp_path: Path, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, name)
    for source in (name, str(tmp_path / name), ".", "*.mp4"):
        results = list(recognizer.stream(source))
        assert [Path(result.source).name for result in results] == [name] * 3


def test_folders_that_look_like_addresses(
    clip: Path,
    tmp_path: Path,
    recognizer: Recognizer,
    monkeypatch: pytest.MonkeyPatch,
    listener: tuple[socket.socket, int],
) -> None:
    server, port = listener
    monkeypatch.chdir(tmp_path)
    folder = Path(f"http:/127.0.0.1:{port}")
    folder.mkdir(parents=True)
    shutil.copy(clip, folder / "a.mp4")
    for source in ("http:", ".", "http:/*/*.mp4", f"http:/127.0.0.1:{port}/a.mp4"):
        assert len(list(recognizer.stream(source))) == 3
    with pytest.raises(TimeoutError):
        server.accept()


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{0}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{0}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="video/mp4"><Representation '
    'id="0" bandwidth="1"><BaseURL>{0}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "asx": "[Reference]\nRef1={0}\n",
}


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ""])
@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("target", ["address", "file"])
def test_a_file_opens_no_other(
    kind: str,
    suffix: str,
    target: str,
    clip: Path,
    tmp_path: Path,
    listener: tuple[socket.socket, int],
) -> None:
    server, port = listener
    path = tmp_path / f"list{suffix}"
    shutil.copy(clip, tmp_path / "other.mp4")
    other = f"http://127.0.0.1:{port}/x.mp4" if target == "address" else "other.mp4"
    path.write_text(PLAYLISTS[kind].format(other))
    with pytest.raises(SourceError, match=r"list.*: not a"):
        list(read_frames(str(path)))
    if target == "address":
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "source", ["ftp://host/a.mp4", "foo://x", "concat:a|b", "file:///tmp/a.mp4", "gopher:x"]
)
def test_an_unknown_scheme_is_named(source: str, fer: Fer) -> None:
    ran = fer("infer", source)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"SourceError: {source}: there is no such file; an address begins")
    assert "rtsp://, rtsps://, http://, https://, rtmp://, udp://, srt://" in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("source", ["12:30.mp4", "C:\\a.mp4", "a.mp4", "RTSP://x", "x,y:z", "0"])
def test_names_without_a_fault(source: str) -> None:
    assert name_fault(source) is None


def test_a_name_with_a_nul_byte(fer: Fer) -> None:
    ran = fer("infer", "a\0b.mp4", "a\0b")
    assert ran.code == 1
    assert "SourceError: 'a\\x00b.mp4': a name cannot hold a NUL byte" in ran.err
    assert "\0" not in ran.err


@pytest.mark.parametrize("end", ["\r\nX-Header: 1", "\n", "\x1b[31m", " b", "\t"])
def test_an_address_holds_no_line_of_a_request(end: str, fer: Fer) -> None:
    ran = fer("infer", f"http://user:secret@127.0.0.1:9/a{end}")
    assert ran.code == 1
    assert ran.err.startswith("SourceError: 'http://***@127.0.0.1:9/a")
    assert ran.err.endswith("': an address cannot hold blanks or control characters\n")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:secret@host/a", "rtsp://***@host/a"),
        ("RTSPS://user@host:554", "RTSPS://***@host:554"),
        ("http://user:a@b@host/a?x=1@2", "http://***@host/a?x=1@2"),
        ("rtsp://user:a/b@host/c", "rtsp://***@host/c"),
        ("http://host/@user/a.mp4", "http://host/@user/a.mp4"),
        ("http://host:80/@user/a.mp4", "http://host:80/@user/a.mp4"),
        ("http://[::1]:80/@a", "http://[::1]:80/@a"),
        ("http://host?x=a@b", "http://host?x=a@b"),
        ("ftp://user:secret@host", "ftp://***@host"),
        ("a@b.mp4", "a@b.mp4"),
    ],
)
def test_credentials_are_masked(address: str, shown: str) -> None:
    assert mask_credentials(address) == shown


def test_an_error_shows_no_password(fer: Fer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ran = fer("infer", f"http://user:secret@127.0.0.1:{port}/a.mp4", f"ftp://user:secret@h/{port}")
    assert ran.code == 1
    assert (
        f"SourceError: http://***@127.0.0.1:{port}/a.mp4: cannot be opened (Connection" in ran.err
    )
    assert "secret" not in ran.err + ran.out


def test_a_pipe_named_like_a_video_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.mp4")
    with pytest.raises(SourceError, match=r"x\.mp4: a pipe or device, not a video file"):
        list(read_frames(str(tmp_path / "x.mp4")))
    with pytest.raises(SourceError, match="a folder, not a video file"):
        list(read_frames(str(tmp_path)))
