"""Labels of photographs: written, read, refused; marks joined with what a detector finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import DataError
from fer_edge.train.detector import label_photographs as labelling
from fer_edge.train.detector.label_photographs import box_of_points, join_marks, label_photographs
from fer_edge.train.detector.labels import (
    MIN_SCORE,
    make_photograph,
    mirror,
    read_labels,
    write_labels,
)

FACE = [10, 20, 30, 40, 18, 35, 32, 35, 0.7, 0]


def test_labels_come_back(tmp_path: Path) -> None:
    rows = {"val/web/b.jpg": [FACE], "train/animal/a.jpg": []}
    write_labels(rows, tmp_path / "l.json")
    labels = read_labels(tmp_path / "l.json")
    assert [one.name for one in labels.photographs] == sorted(rows)
    (photograph,) = labels.split("val")
    assert photograph.boxes.tolist() == [FACE[:4]]
    assert photograph.eyes.tolist() == [FACE[4:8]]
    assert len(labels.sha256) == 64


@pytest.mark.parametrize(
    ("kind", "score", "marked", "is_certain"),
    [
        ("web", 0.61, 0, True),
        ("web", 0.59, 0, False),
        ("object", 0.7, 0, False),
        ("object", 0.8, 0, True),
        ("web", 0.3, 1, True),
    ],
)
def test_who_is_certain(kind: str, score: float, marked: int, is_certain: bool) -> None:
    photograph = make_photograph(f"train/{kind}/a.jpg", [[*FACE[:8], score, marked]])
    assert photograph.is_certain.tolist() == [is_certain]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"photographs": {}}',
        '{"photographs": {"train/web/a.jpg": [[1, 2]]}}',
        '{"photographs": {"train/web/a.jpg": [[1, 2, 0, 4, 5, 6, 7, 8, 1, 0]]}}',
        '{"photographs": {"train/web/a.jpg": [["x"]]}}',
        '{"photographs": {"train/moon/a.jpg": []}}',
        '{"photographs": {"train/web/../a.jpg": []}}',
    ],
)
def test_damaged_labels(content: str, tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"l\.json: damaged .*fer detector label"):
        read_labels(path)


def test_missing_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_labels(tmp_path / "l.json")
    write_labels({"train/web/a.jpg": []}, tmp_path / "l.json")
    with pytest.raises(DataError, match="no photograph of val"):
        read_labels(tmp_path / "l.json").split("val")


MARK = [20.0, 30, 40, 30, 30, 42, 30, 50]


def test_a_mark_makes_the_face_certain_and_keeps_the_box() -> None:
    box = box_of_points(np.reshape(MARK, (4, 2)))
    found = np.array([[*(box + 1), 1, 2, 3, 4, 0.4, 0]], np.float32)
    (row,) = join_marks(found, [MARK])
    assert row[:4].tolist() == (box + 1).tolist()
    assert row[4:].tolist() == [*MARK[:4], 1, 1]


def test_a_mark_that_was_not_found_gets_a_box_around_its_points() -> None:
    elsewhere = np.array([[200, 200, 30, 40, 1, 2, 3, 4, 0.9, 0]], np.float32)
    rows = join_marks(elsewhere, [MARK])
    assert len(rows) == 2
    x, y, width, height = rows[1, :4]
    assert x < 20
    assert x + width > 40
    assert y < 30
    assert y + height > 50
    assert rows[1, 8:].tolist() == [1, 1]


def test_a_much_larger_box_is_another_face() -> None:
    around = np.array([[0, 0, 200, 200, 1, 2, 3, 4, 0.9, 0]], np.float32)
    assert len(join_marks(around, [MARK])) == 2


def test_labelling(yunet: Path, tmp_path: Path, photographs: Path) -> None:
    (tmp_path / "p").symlink_to(photographs)
    count = label_photographs(tmp_path / "p", tmp_path / "l.json", detector=yunet)
    labels = read_labels(tmp_path / "l.json")
    assert len(labels.photographs) == count
    assert all(one.is_empty for one in labels.photographs if "animal" in one.name)


def test_a_mirror_exchanges_the_eyes() -> None:
    face = np.array([[10, 20, 30, 40, 15, 30, 30, 31]], np.float32)
    assert mirror(face, 100).tolist() == [[60, 20, 30, 40, 70, 31, 85, 30]]
    assert np.array_equal(mirror(mirror(face, 100), 100), face)


def test_a_face_is_certain_where_most_searches_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def detect(_: object, pixels: np.ndarray, __: float) -> np.ndarray:
        """One face that is there in every search, and one that only the first has."""
        side = pixels.shape[0]
        face = np.array([[20, 30, 40, 40, 30, 42, 50, 43, *[0] * 6, 0.8]], np.float32)
        if pixels[0, 0, 0] == 0:  # a mirror
            face[0, :8] = mirror(face[:, :8], 200)
        face[:, :14] *= side / 200
        false = np.array([[130, 100, 30, 30, 140, 110, 150, 110, *[0] * 6, 0.9]], np.float32)
        return np.concatenate([face, false]) if side == 200 and pixels[0, 0, 0] else face

    monkeypatch.setattr(labelling, "detect_faces", detect)
    image = Image.new("RGB", (200, 200), "white")
    image.paste((0, 0, 0), (100, 0, 200, 200))
    (row,) = labelling.find_faces(lambda _: {}, image)
    assert row == pytest.approx([20, 30, 40, 40, 30, 42, 50, 43, 0.8, 0], abs=0.5)


@pytest.mark.parametrize(("side", "scores"), [(700, [MIN_SCORE]), (400, [0.9]), (4, [])])
def test_a_face_that_no_search_can_find(
    monkeypatch: pytest.MonkeyPatch, side: int, scores: list[float]
) -> None:
    """One that is too large is unsure, one that is too small is none."""

    def detect(_: object, pixels: np.ndarray, __: float) -> np.ndarray:
        x = (1000 - side) / 2
        face = np.array([[x, x, side, side, *[500.0] * 10, 0]], np.float32)
        face *= pixels.shape[0] / 1000
        face[:, 14] = 0.9
        return face

    monkeypatch.setattr(labelling, "detect_faces", detect)
    rows = labelling.find_faces(lambda _: {}, Image.new("RGB", (1000, 1000)))
    assert rows[:, 8].tolist() == pytest.approx(scores)


def test_what_half_of_the_searches_find_is_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    def detect(_: object, pixels: np.ndarray, __: float) -> np.ndarray:
        scale = pixels.shape[0] / 200
        face = scale * np.array([[80, 30, 40, 40, 90, 42, 110, 42, *[0] * 6, 0]], np.float32)
        face[:, 14] = 0.9
        return face if pixels[0, 0, 0] else face[:0]

    monkeypatch.setattr(labelling, "detect_faces", detect)
    image = Image.new("RGB", (200, 200), "white")
    image.paste((0, 0, 0), (100, 0, 200, 200))
    (row,) = labelling.find_faces(lambda _: {}, image)
    assert row[8] == pytest.approx(0.45)
