from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import DataError
from fer_edge.train.data.dataset import FaceData, Faces
from fer_edge.train.data.unlabelled import (
    UnlabelledFaces,
    leave_out_copies,
    list_images,
    read_unlabelled,
)
from tests.support.data import draw_face


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "web" / "trip").mkdir(parents=True)
    for name, label in (("b.png", 1), ("a.png", 0), ("trip/a.png", 2)):
        Image.fromarray(draw_face(label, label)).save(tmp_path / "web" / name)
    return tmp_path / "web"


def test_images_are_read_in_the_order_of_their_names(folder: Path) -> None:
    for _ in range(2):  # the second time from the cache
        faces = read_unlabelled(folder, side=48)
        assert np.array_equal(faces.pixels, np.stack([draw_face(i, i) for i in range(3)]))
    assert (faces.name, faces.licence) == ("web", "unknown: the data's owner knows")
    named = read_unlabelled(folder, side=24, name="photographs", licence="CC0")
    assert named.pixels.shape == (3, 24, 24)
    assert (named.name, named.licence) == ("photographs", "CC0")


def test_the_digest_is_that_of_the_pixels_in_their_order() -> None:
    pixels = np.stack([draw_face(i, i) for i in range(3)])
    digest = UnlabelledFaces(pixels).sha256()
    assert UnlabelledFaces(pixels.copy(), "other name").sha256() == digest
    for other in (pixels[:2], pixels[::-1], pixels.reshape(6, 24, 48), pixels + 1):
        assert UnlabelledFaces(other).sha256() != digest


def test_near_copies_of_held_out_faces_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (9, 48, 48), dtype=np.uint8)
    some = Faces(pixels, np.zeros(9, np.int64), np.arange(9))
    splits = {"train": some.take(np.arange(3)), "test": some.take(np.arange(6, 9))}
    data = FaceData("mine", "own", Path("x"), ("happy", "sad"), splits)
    near = np.clip(pixels.astype(int) + random.integers(-3, 4, pixels.shape), 0, 255)
    faces = UnlabelledFaces(near.astype(np.uint8)[:, :, ::-1], "web", "CC0")
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            kept = leave_out_copies(faces, data)
        assert np.array_equal(kept.pixels, faces.pixels[:6])
    assert (kept.name, kept.licence) == ("web", "CC0")
    reason = "3 of 9 faces without labels are left out: near copies of faces in val or test"
    assert reason in caplog.text
    with pytest.raises(DataError, match="web: no face without a label remains: near copies"):
        leave_out_copies(UnlabelledFaces(pixels[6:], "web"), data)
    caplog.clear()
    assert leave_out_copies(kept, data) is kept
    assert not caplog.text


def test_an_unreadable_image_is_refused_or_left_out(folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"bad\.png: not an image .*--skip-bad"):
        read_unlabelled(folder, side=48)
    assert len(read_unlabelled(folder, side=48, skip_bad=True)) == 3


def test_a_folder_without_images_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    empty = tmp_path / "empty"
    with pytest.raises(DataError, match="empty: there is no such folder"):
        read_unlabelled(empty, side=48)
    empty.mkdir()
    with pytest.raises(DataError, match="empty: no image"):
        read_unlabelled(empty, side=48)
    (empty / "film.mp4").touch()
    (empty / "notes.txt").touch()
    with caplog.at_level(logging.WARNING), pytest.raises(DataError, match="empty: no image"):
        list_images(empty)
    assert "videos left out: 1" in caplog.text
    assert "left out: 1 .txt" in caplog.text
    (empty / "bad.png").touch()
    with pytest.raises(DataError, match="no readable image"):
        read_unlabelled(empty, side=48, skip_bad=True)
