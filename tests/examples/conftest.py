"""What the scripts read: a short video of a face, or a fake camera module that sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from tests.conftest import EXAMPLE, ROOT
from tests.support import fake_picamera2

Script = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at ten frames each: a happy face that moves, then stands on its head."""
    path = tmp_path_factory.mktemp("clips") / "clip.mkv"
    face = Image.open(EXAMPLE).convert("RGB")
    make: Any = av.VideoFrame.from_image
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 260, 260, "yuv420p"
        stream.bit_rate = 4_000_000
        for i in range(40):
            shown = face if i < 20 else face.rotate(180)
            moved = Image.new("RGB", face.size)
            moved.paste(shown, (i % 4, i % 3))
            container.mux(stream.encode(make(moved)))
        container.mux(stream.encode())
    return path


@pytest.fixture
def fake_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Subprocesses see the fake as `picamera2`: camera 0 shows the example for ever."""
    folder = tmp_path / "path"
    folder.mkdir()
    shutil.copy(fake_picamera2.__file__, folder / "picamera2.py")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("FAKE_PICAMERA2", str(EXAMPLE))


@pytest.fixture
def script(tmp_path: Path) -> Any:
    """Starts an example as its user does; what still runs is killed afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(ROOT / "examples" / name), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=os.environ | environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
