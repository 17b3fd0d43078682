"""Images with some that can't be read, and one Ray cluster of two CPUs for all tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.data import draw_face
from tests.support.files import PHOTO

FACES = 21


def write_faces(folder: Path, count: int) -> Path:
    """Write synthetic faces, 48 px PNG files in subfolders of ten."""
    for i in range(count):
        path = folder / f"{i // 10:02}" / f"{i:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_face(i % 7, i)).save(path)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic faces, a photograph, two images that can't be read, and one without a face."""
    folder = write_faces(tmp_path_factory.mktemp("images"), FACES)
    shutil.copy(PHOTO, folder / "photograph.jpg")
    Image.new("L", (200, 200), 90).save(folder / "nobody.png")
    (folder / "00" / "empty.png").touch()
    (folder / "text.jpg").write_text("not an image")
    return folder


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    from fer_edge.cluster.inference import connect

    with connect(None, 2):
        yield
