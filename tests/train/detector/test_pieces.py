"""Pieces of photographs: their faces are where the labels say, and each depends on its number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_edge.detector_spec import count_cells
from fer_edge.errors import DataError
from fer_edge.train.detector.batches import collate, make_loader
from fer_edge.train.detector.config import DetectorConfig
from fer_edge.train.detector.labels import make_photograph, read_labels
from fer_edge.train.detector.pieces import PieceDataset
from fer_edge.train.detector.whole import WholePhotographs


@pytest.fixture
def config(photographs: Path) -> DetectorConfig:
    labels = str(photographs / "labels.json")
    return DetectorConfig(
        str(photographs), labels, piece_side=128, max_face=100, pieces=24, batch_size=8, workers=0
    )


@pytest.fixture
def dataset(config: DetectorConfig, photographs: Path) -> PieceDataset:
    return PieceDataset(read_labels(Path(config.labels)).split("train"), photographs, config)


def test_faces_are_where_they_are_said_to_be(dataset: PieceDataset) -> None:
    """A drawn face is brighter than what surrounds it, and its eyes are black."""
    faces = 0
    for i in range(30):
        piece = dataset[i]
        for x, y, w, h, *eyes in piece.faces:
            if min(w, h) < 14 or x < 1 or y < 1 or x + w > 127 or y + h > 127:
                continue
            if not (x <= eyes[0] and eyes[2] <= x + w):
                continue  # the edge of a part cuts it
            faces += 1
            # the middle of the forehead, and between the eyes and the mouth
            bright = piece.pixels[int(y + 0.15 * h), int(x + w / 2)]
            for ex, ey in (eyes[:2], eyes[2:]):
                assert float(piece.pixels[int(ey), int(ex)]) < 0.6 * float(bright) + 20
            assert eyes[0] < eyes[2]
    assert faces > 10


def test_small_faces_are_frequent(dataset: PieceDataset) -> None:
    sizes = np.concatenate([dataset[i].faces[:, 2:4].min(1) for i in range(60)])
    assert sizes.min() >= dataset.config.min_face
    assert 0.25 < (sizes < 32).mean() < 0.95


def test_many_faces_have_about_the_size_of_the_photograph(
    photographs: Path, config: DetectorConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = make_photograph("train/web/web-0.png", [[20, 30, 18, 24, 24, 38, 32, 38, 1, 1]])
    dataset = PieceDataset([face], photographs, replace(config, background=0.0))

    def count_near() -> float:
        sizes = np.concatenate([dataset[i].faces[:, 2:4].min(1) for i in range(100)])
        return float(((sizes > 18 / 1.25) & (sizes < 18 * 1.25)).mean())

    near = count_near()
    monkeypatch.setattr("fer_edge.train.detector.choice._NATURAL_PROBABILITY", 0.0)
    assert near > count_near() + 0.1


def test_large_faces_come_more_often_in_a_piece_of_one_part(
    photographs: Path, config: DetectorConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fer_edge.train.detector.choice._NATURAL_PROBABILITY", 0.0)
    monkeypatch.setattr("fer_edge.train.detector.pieces._PARTS", ((1, 1.0),))
    face = make_photograph("train/web/web-0.png", [[20, 30, 18, 24, 24, 38, 32, 38, 1, 1]])
    dataset = PieceDataset([face], photographs, replace(config, background=0.0, rotated=0.0))
    largest = min(config.max_face, 0.9 * config.piece_side)

    def count_large() -> float:
        sizes = np.concatenate([dataset[i].faces[:, 2:4].min(1) for i in range(60)])
        return float((sizes > 0.45 * largest).mean())

    large = count_large()
    monkeypatch.setattr("fer_edge.train.detector.pieces._CLOSE_UPS", 0.0)
    assert large > count_large() + 0.15


def test_backgrounds_are_patterns_too(
    photographs: Path, config: DetectorConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "fer_edge.train.detector.pieces.draw_pattern",
        lambda _, width, height: np.full((height, width), 7),
    )
    config = replace(config, background=1.0)
    dataset = PieceDataset(read_labels(Path(config.labels)).split("train"), photographs, config)
    drawn = [dataset[i] for i in range(30)]
    assert not any(len(piece.faces) for piece in drawn)
    assert 0.05 < np.mean([(piece.pixels == 7).mean() for piece in drawn]) < 0.4


def test_a_piece_depends_on_seed_and_number_alone(dataset: PieceDataset, photographs: Path) -> None:
    one, again = dataset[5], dataset[5]
    assert np.array_equal(one.pixels, again.pixels)
    assert np.array_equal(one.faces, again.faces)
    assert not np.array_equal(one.pixels, dataset[6].pixels)
    train = read_labels(Path(dataset.config.labels)).split("train")
    other = PieceDataset(train, photographs, replace(dataset.config, seed=1))
    assert not np.array_equal(one.pixels, other[5].pixels)


def test_workers_change_nothing(dataset: PieceDataset, photographs: Path) -> None:
    train = read_labels(Path(dataset.config.labels)).split("train")
    parallel = PieceDataset(train, photographs, replace(dataset.config, workers=1))
    for one, other in zip(
        make_loader(dataset, dataset.config), make_loader(parallel, parallel.config), strict=True
    ):
        assert all(bool((a == b).all()) for a, b in zip(one, other, strict=True))


def test_unsure_and_small_faces_are_ignored(photographs: Path, config: DetectorConfig) -> None:
    name = "train/web/web-0.png"
    rows = [
        [20, 30, 30, 40, 28, 45, 42, 45, 0.4, 0],
        [80, 60, 3, 4, 81, 61, 82, 61, 0.9, 0],
    ]
    dataset = PieceDataset([make_photograph(name, rows)], photographs, replace(config, min_face=60))
    pieces = [dataset[i] for i in range(8)]
    assert not any(len(piece.faces) for piece in pieces)
    assert any(piece.ignored.any() for piece in pieces)


def test_a_batch_of_different_numbers_of_faces(dataset: PieceDataset) -> None:
    pieces = [dataset[i] for i in range(6)]
    pixels, faces, ignored = collate(pieces)
    assert pixels.shape == (6, 128, 128)
    assert ignored.shape == (6, count_cells(128, 128))
    for row, piece in zip(faces, pieces, strict=True):
        assert int((row[:, 2] > 0).sum()) == len(piece.faces)


def test_whole_photographs(photographs: Path) -> None:
    val = read_labels(photographs / "labels.json").split("val")
    whole = WholePhotographs(val, photographs, 96)
    index = next(i for i, one in enumerate(val) if len(one.boxes))
    piece = whole[index]
    assert piece.pixels.shape == (96, 96)
    assert whole.scales[index] == 0.6
    assert piece.faces[0, :4] == pytest.approx(0.6 * val[index].boxes[0])
    assert (piece.pixels[80:] == 0).all()


def test_errors(photographs: Path, config: DetectorConfig, tmp_path: Path) -> None:
    empty = make_photograph("train/texture/t.png", [])
    with pytest.raises(DataError, match="no photograph of people"):
        PieceDataset([empty], photographs, config)
    gone = make_photograph("train/web/gone.png", [])
    with pytest.raises(DataError, match=r"gone\.png.*label the photographs again"):
        PieceDataset([gone], tmp_path, replace(config, background=0.0))[0]
