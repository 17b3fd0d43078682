from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fer_edge.errors import ModelError
from fer_edge.runtime.detection import install
from fer_edge.runtime.detection.find_detector import find_yunet
from tests.support.commands import Fer

CONTENT = b"a small detector"


@pytest.fixture(autouse=True)
def _own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(install, "SHA256", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that a local server serves."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/yunet.onnx"
        monkeypatch.setattr(install, "ADDRESS", address)
        yield folder
        server.shutdown()


def test_another_file_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "d.onnx"
    path.write_bytes(CONTENT)
    installed = install.install(path)
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(ModelError, match=r"d\.onnx: not the detector: its SHA-256 is"):
        install.install(path)
    assert installed.read_bytes() == CONTENT
    assert [p.name for p in installed.parent.iterdir()] == [install.NAME]
    with pytest.raises(ModelError, match=r"no\.onnx: No such file"):
        install.install(tmp_path / "no.onnx")


def test_download(fer: Fer, site: Path) -> None:
    ran = fer("detector", "install")
    assert ran.code == 1
    assert "cannot be downloaded (File not found)" in ran.err
    assert "fer detector install --from" in ran.err
    (site / "yunet.onnx").write_bytes(CONTENT)
    ran = fer("detector", "install")
    assert ran.code == 0
    assert ran.out == f"installed {install.installed_path()}\n"
    assert find_yunet() == install.installed_path()
    (site / "yunet.onnx").unlink()
    ran = fer("detector", "install")
    assert (ran.code, ran.out) == (0, f"already installed {install.installed_path()}\n")
    install.installed_path().write_bytes(b"cut off")
    assert fer("detector", "install").code == 1


def test_the_published_file_is_the_pinned_one(yunet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert hashlib.sha256(yunet.read_bytes()).hexdigest() == install.SHA256


def test_a_user_without_a_home_has_none_installed(
    fer: Fer, monkeypatch: pytest.MonkeyPatch, site: Path
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv(install.VARIABLE, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ModelError, match="YuNet isn't installed: run fer detector install"):
        find_yunet()
    (site / "yunet.onnx").write_bytes(CONTENT)
    ran = fer("detector", "install", "--from", site / "yunet.onnx")
    assert ran.out == ""
    assert "ConfigError: this user has no home folder: set HOME or XDG_DATA_HOME" in ran.err


def test_a_home_that_cannot_be_written_to(
    fer: Fer, monkeypatch: pytest.MonkeyPatch, site: Path
) -> None:
    (site / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(site / "file"))
    ran = fer("detector", "install")
    assert (ran.code, ran.out) == (2, "")
    assert f"ConfigError: {site / 'file'}: Not a directory: set XDG_DATA_HOME" in ran.err
