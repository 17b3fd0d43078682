from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import ConfigError, DataError, ModelError
from fer_edge.runtime.detection import face_cropper
from fer_edge.runtime.detection.detector import Detection
from fer_edge.train.data import cropped_faces, photographs
from fer_edge.train.data.cropped_faces import CropSummary, FaceLimits
from fer_edge.train.data.dataset import Faces
from fer_edge.train.data.photographs import crop_photographs
from tests.support.data import draw_face
from tests.support.files import EXAMPLE

Crop = Callable[..., CropSummary]


def draw_photograph(path: Path, *faces: int) -> Path:
    """A photograph with synthetic faces of 48 px side by side, drawn of these labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = [draw_face(label, label) for label in faces] or [np.zeros((48, 48), np.uint8)]
    Image.fromarray(np.concatenate(drawn, 1)).save(path)
    return path


def find_squares(image: Image.Image, *_: Any, **__: Any) -> tuple[Detection, ...]:
    """Every 48 x 48 pixels that are not black are a face, each with a lower score."""
    gray = np.asarray(image.convert("L"))
    upright = ((0.0, 0.0), (1.0, 0.0))
    return tuple(
        Detection((x, 0, 48, 48), (0.95, 0.9, 0.85, 0.7)[i], upright)
        for i, x in enumerate(range(0, gray.shape[1] - 47, 48))
        if gray[:, x : x + 48].any()
    )


@pytest.fixture
def crop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Crop:
    """`crop_photographs` with a detector that finds the faces of `draw_photograph`."""
    monkeypatch.setattr(face_cropper, "Detector", lambda *_, **__: find_squares)
    photos = tmp_path / "photos"
    draw_photograph(photos / "a.png", 0, 1, 2, 3)
    draw_photograph(photos / "trip" / "b.png", 4)
    draw_photograph(photos / "trip" / "b.bmp", 5)
    draw_photograph(photos / "empty.png")

    def run(output: Path = tmp_path / "faces", **options: Any) -> CropSummary:
        return crop_photographs(photos, output, detector=EXAMPLE, **options)

    return run


def read(path: Path) -> np.ndarray:
    image = Image.open(path)
    assert (image.format, image.mode) == ("PNG", "L")
    return np.asarray(image)


def test_each_face_becomes_a_file_as_the_runtime_crops_it(crop: Crop, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    found = crop(on_progress=lambda *step: steps.append(step))
    faces = tmp_path / "faces"
    names = sorted(str(path.relative_to(faces)) for path in faces.rglob("*") if path.is_file())
    assert names == ["a-0.png", "a-1.png", "a-2.png", "trip/b.bmp-0.png", "trip/b.png-0.png"]
    for name, label in zip(names, (0, 1, 2, 5, 4), strict=True):
        assert np.array_equal(read(faces / name), draw_face(label, label))
    assert str(found) == "4 photographs: 6 faces, 1 dropped (1 of a low score), 5 written"
    assert steps == [("photographs", 4, 4)]
    assert read(tmp_path / "faces" / "a-0.png").shape == (48, 48)
    crop(tmp_path / "small", side=24)
    assert read(tmp_path / "small" / "a-0.png").shape == (24, 24)


def test_limits_say_which_faces_are_kept(crop: Crop, tmp_path: Path) -> None:
    assert crop(tmp_path / "1", limits=FaceLimits(min_score=0.93)).written == 3
    assert crop(tmp_path / "2", limits=FaceLimits(min_score=0.6)).written == 6
    with pytest.raises(DataError, match=r"no face to write: .*5 small, 1 of a low score"):
        crop(tmp_path / "3", limits=FaceLimits(min_side=49))
    for options in ({"min_score": 0.5}, {"min_score": 1.1}, {"min_side": 0}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            FaceLimits(**options)  # type: ignore[arg-type]


def test_near_copies_of_held_out_faces_are_dropped(crop: Crop, tmp_path: Path) -> None:
    held_out = [
        Faces(np.stack(pixels), np.zeros(len(pixels), np.int64), np.arange(len(pixels)))
        for pixels in ([draw_face(1, 1)], [draw_face(6, 6), draw_face(5, 5)[:, ::-1] // 2])
    ]
    found = crop(held_out=held_out)
    assert (found.dropped["near copies of held-out faces"], found.written) == (2, 3)
    assert not list(tmp_path.glob("faces/a-1.png")) + list(tmp_path.glob("faces/trip/b.bmp-0.png"))
    everything = [draw_face(label, label) for label in range(7)]
    known = Faces(np.stack(everything), np.zeros(7, np.int64), np.arange(7))
    with pytest.raises(DataError, match="5 near copies of held-out faces"):
        crop(tmp_path / "none", held_out=[known, known])


def test_a_call_can_be_repeated(
    crop: Crop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    crop()
    faces = tmp_path / "faces"
    (faces / "a-1.png").unlink()
    before = (faces / "a-0.png").stat()
    found = crop()
    assert (found.written, found.present) == (1, 4)
    assert str(found).endswith("1 written, 4 there already")
    after = (faces / "a-0.png").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not caplog.records
    crop(limits=FaceLimits(min_score=0.93))
    assert "PNG files of other faces in it: 2" in caplog.text
    for content in (b"no image", (faces / "a-1.png").read_bytes()):
        (faces / "a-0.png").write_bytes(content)
        with pytest.raises(ConfigError, match=r"a-0\.png: holds another image"):
            crop()
        assert (faces / "a-0.png").read_bytes() == content


def test_what_cannot_be_read_is_named_and_left_out(
    crop: Crop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos = tmp_path / "photos"
    (photos / "bad.jpg").write_bytes(b"no image")
    (photos / "notes.txt").touch()
    (photos / "film.mp4").touch()
    with caplog.at_level(logging.WARNING):
        found = crop()
    assert (found.photographs, found.unreadable, found.written) == (4, 1, 5)
    assert f"{photos / 'bad.jpg'}: not an image" in caplog.text
    assert "videos left out: 1" in caplog.text
    assert "left out: 1 .txt" in caplog.text
    assert str(found).startswith("4 photographs (1 more unreadable): 6 faces")
    assert found.to_dict()["dropped"] == {"of a low score": 1, "small": 0}


def test_wrong_folders_are_refused_before_a_photograph_is_read(
    crop: Crop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    for output in (photos, photos / "faces"):
        with pytest.raises(ConfigError, match="in the folder of the photographs"):
            crop(output)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        crop(tmp_path / "file")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "film.mp4").touch()
    for folder in ("nothing", "films", "missing", "file"):
        with pytest.raises(DataError, match=folder):
            crop_photographs(tmp_path / folder, tmp_path / "faces")
    monkeypatch.undo()
    with pytest.raises(ModelError, match="YuNet isn't installed"):
        crop_photographs(photos, tmp_path / "faces", detector="yunet")
    assert not (tmp_path / "faces").exists()


def test_the_real_detector_finds_the_example(yunet: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.open(EXAMPLE).save(photos / "one.png")
    found = crop_photographs(photos, tmp_path / "faces", detector=yunet)
    assert (found.faces, found.written) == (1, 1)


def test_names_are_unique_whatever_the_suffixes(crop: Crop, tmp_path: Path) -> None:
    draw_photograph(tmp_path / "photos" / "trip" / "b.png.bmp", 6)
    crop()
    faces = tmp_path / "faces" / "trip"
    names = sorted(path.name for path in faces.iterdir())
    assert names == ["b.bmp-0.png", "b.png-0.png", "b.png.bmp-0.png"]
    for name, label in zip(names, (5, 4, 6), strict=True):
        assert np.array_equal(read(faces / name), draw_face(label, label))


def test_held_out_faces_are_prepared_once(crop: Crop, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Faces] = []

    class Counted(cropped_faces.NearCopies):
        def __init__(self, others: Faces) -> None:
            made.append(others)
            super().__init__(others)

    monkeypatch.setattr(cropped_faces, "NearCopies", Counted)
    monkeypatch.setattr(photographs, "_BATCH_SIZE", 1)
    held_out = Faces(draw_face(1, 1)[None], np.zeros(1, np.int64), np.zeros(1, np.int64))
    assert crop(held_out=[held_out]).dropped["near copies of held-out faces"] == 1
    assert len(made) == 1


def test_one_photograph_and_one_face_are_singular() -> None:
    assert str(CropSummary(1, 0, 1, written=1)) == "1 photograph: 1 face, 0 dropped, 1 written"
