"""What the scripts read: a short video of a face, or a fake camera module that sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from tests.support import fake_picamera2
from tests.support.files import EXAMPLE, ROOT
from tests.support.processes import Script, start_process
from tests.support.videos import write_video


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at ten frames each: a happy face that moves, then covers its mouth."""
    path = tmp_path_factory.mktemp("clips") / "clip.mkv"
    face = Image.open(EXAMPLE).convert("RGB").resize((120, 120))
    covered, images = face.copy(), []
    left, top, right, bottom = (round(face.width * part) for part in (0.2, 0.55, 0.8, 0.9))
    covered.paste((255, 255, 255), (left, top, right, bottom))
    for i in range(40):
        shown = face if i < 20 else covered
        images.append(Image.new("RGB", (260, 260)))
        images[-1].paste(shown, (70 + i % 4, 70 + i % 3))
    return write_video(path, images, rate=10)


@pytest.fixture
def fake_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Subprocesses see the fake as `picamera2`: camera 0 shows the example for ever."""
    folder = tmp_path / "path"
    folder.mkdir()
    shutil.copy(fake_picamera2.__file__, folder / "picamera2.py")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("FAKE_PICAMERA2", str(EXAMPLE))


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    """Starts an example as its user does; what still runs at the end is killed."""
    with ExitStack() as running:

        def start(name: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
            return running.enter_context(
                start_process(
                    *(sys.executable, "-W", "error", ROOT / "examples" / name, *arguments),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    cwd=tmp_path,
                    env=os.environ | environment,
                )
            )

        yield start
