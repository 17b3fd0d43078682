"""What the tables say of detectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.lib import close_ups, detector_quality, mosaics
from benchmarks.lib.detector_quality import (
    close_up_rows,
    default_rows,
    describe_size,
    mosaic_rows,
    quality_rows,
    to_rows,
)
from benchmarks.lib.mosaics import CELL, count_inside, make_mosaic
from PIL import Image

from fer_edge.detector_spec import DetectorMetrics
from fer_edge.runtime.detection.detector import Detection
from fer_edge.train.detector import evaluate
from fer_edge.train.detector.evaluate import DetectorReport
from fer_edge.train.detector.labels import Photograph, read_labels
from tests.support.photographs import write_photographs

EYES = ((1.0, 2.0), (3.0, 4.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder, {"web": 24, "animal": 8})
    return folder


@pytest.fixture
def val(folder: Path) -> list[Photograph]:
    return read_labels(folder / "labels.json").split("val")


def report(path: Path, recall: float, side: int) -> DetectorReport:
    metrics = DetectorMetrics("val", side, 10, 9, recall, 0.8, 4, 0.25)
    return DetectorReport(str(path), 0.5, metrics, {"16-32": (9, recall)}, {"animal": 0.25})


def test_a_row_has_a_cell_for_each_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    recalls = {("a", 640): 0.9, ("a", 320): 0.8, ("b", 640): 0.95, ("b", 320): 0.7}

    def evaluate(path: Path, *_: object, side: int) -> DetectorReport:
        return report(path, recalls[path.name, side], side)

    monkeypatch.setattr(detector_quality, "evaluate_detector", evaluate)
    assert list(quality_rows({"a": Path("a"), "b": Path("b")}, [], Path())) == [
        ["score threshold", "0.5", "0.5"],
        ["at 640 px: recall of 9 marked faces", "90.00 %", "95.00 %"],
        ["at 640 px: of the 9 of 16 to 32 px", "90.0 %", "95.0 %"],
        ["at 640 px: false faces on each photograph of kind animal", "0.250", "0.250"],
        ["at 640 px: average precision", "80.00 %", "80.00 %"],
        ["at 320 px: recall of 9 marked faces", "80.00 %", "70.00 %"],
        ["at 320 px: of the 9 of 16 to 32 px", "80.0 %", "70.0 %"],
        ["at 320 px: false faces on each photograph of kind animal", "0.250", "0.250"],
        ["at 320 px: average precision", "80.00 %", "80.00 %"],
    ]
    assert describe_size("128-") == "128 px or more"


def test_a_mosaic_has_the_faces_where_the_photographs_are(
    folder: Path, val: list[Photograph]
) -> None:
    assert len(val) == 16
    mosaic, labels, empty = make_mosaic(val, folder)
    assert mosaic.size == (1920, 1920)
    assert len(labels.boxes) == 12
    assert len(empty) == 4
    pixels = np.asarray(mosaic)
    for (x, y, w, h), (ex, ey, *_) in zip(labels.boxes, labels.eyes, strict=True):
        assert pixels[int(y + 0.6 * h), int(x + w / 2)] == 230  # of a drawn face
        assert pixels[int(ey), int(ex)] == 10
    x, y = empty[0]
    found = [Detection((x + 9, y + 9, 30, 30), 0.9, EYES), Detection((5, 5, 9, 9), 0.8, EYES)]
    assert count_inside(found, [(x, y)]) == (2 if (x, y) == (0, 0) else 1)
    assert count_inside(found, [(x + CELL, y)]) == 0
    assert to_rows(found)[:, -1].tolist() == pytest.approx([0.9, 0.8])


def test_a_photograph_that_is_too_large_for_a_mosaic(
    monkeypatch: pytest.MonkeyPatch, folder: Path, val: list[Photograph]
) -> None:
    monkeypatch.setattr(mosaics, "CELL", 40)
    with pytest.raises(ValueError, match=r"^val/.*: larger than 40 px: shrink it$"):
        make_mosaic(val, folder)


def test_what_the_default_search_finds(
    monkeypatch: pytest.MonkeyPatch, folder: Path, val: list[Photograph]
) -> None:
    """Detectors that find a face twice, or none, in each photograph."""
    last = val[-1]
    box = tuple(last.boxes[0].round().astype(int).tolist())

    class Found:
        def __init__(self, path: Path) -> None:
            self.count = {"none": 0, "two": 2}[path.name]

        def __call__(self, _: object) -> list[Detection]:
            return [Detection(box, 0.9, EYES)] * self.count

    monkeypatch.setattr(detector_quality, "Detector", Found)
    monkeypatch.setattr(evaluate, "read_photograph", lambda _: Image.new("L", (100, 100)))
    paths = {"a": Path("two"), "b": Path("none")}
    thing = replace(last, name="val/object/a.png", is_marked=np.zeros(1, np.bool_))
    photographs = [last, thing, *(one for one in val if one.is_empty)]
    recall, size, *false = default_rows(paths, photographs, folder)
    assert recall == ["--detect-side auto: recall of 1 marked faces", "100.00 %", "0.00 %"]
    assert size[0].startswith("--detect-side auto: of the 1 of ")
    assert size[1:] == ["100.0 %", "0.0 %"]
    name = "--detect-side auto: false faces on each photograph of kind"
    assert false == [
        [f"{name} object", "1.000", "0.000"],  # a face is found once
        [f"{name} animal", "2.000", "0.000"],
    ]


def test_what_is_found_in_mosaics(
    monkeypatch: pytest.MonkeyPatch, folder: Path, val: list[Photograph]
) -> None:
    """A detector that finds every bright ellipse, but in a shrunk mosaic none."""

    class Found:
        def __init__(self, _: Path, *, side: int | None) -> None:
            self.side = side

        def __call__(self, mosaic: object) -> list[Detection]:
            if self.side:
                return []
            boxes = made_of[id(mosaic)].boxes.round().astype(int).tolist()
            return [Detection(tuple(box), 0.9, EYES) for box in boxes]

    made_of: dict[int, Photograph] = {}

    def remember(*arguments: object) -> object:
        made = make_mosaic(*arguments)  # type: ignore[arg-type]
        made_of[id(made[0])] = made[1]
        return made

    monkeypatch.setattr(detector_quality, "Detector", Found)
    monkeypatch.setattr(detector_quality, "make_mosaic", remember)
    rows = list(mosaic_rows({"a": Path("a"), "b": Path("b")}, val, folder))
    assert [row[1:] for row in rows[:-1]] == [
        *(["0.00 %"] * 2, ["0.000"] * 2, ["100.00 %"] * 2, ["0.000"] * 2)
    ]
    assert rows[0][0] == "1 mosaics of 1,920 px, --detect-side 640: recall of 12 marked faces"


def draw_face(box: tuple[int, int, int, int]) -> Image.Image:
    """A white box in a black image of 400 x 300 pixels."""
    x, y, w, h = box
    image = Image.new("L", (400, 300))
    image.paste(255, (x, y, x + w, y + h))
    return image


def test_a_close_up_shows_its_face_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = [[100, 60, 80, 100], [0, 60, 80, 100], [100, 60, 40, 50]]  # at the edge; too small
    count = len(boxes)
    photograph = Photograph(
        "val/web/a.png",
        np.array(boxes, np.float32),
        np.full((count, 4), [120, 90, 160, 85], np.float32),
        np.ones(count, np.float32),
        np.ones(count, np.bool_),
    )
    monkeypatch.setattr(close_ups, "read_photograph", lambda _: draw_face((100, 60, 80, 100)))
    [(image, face)] = close_ups.cut_close_ups([photograph], Path(), 0.8)
    assert image.size == (640, 480)
    eyes = [243.2, 163.2, 396.8, 144]
    np.testing.assert_allclose(face, [166.4, 48, 307.2, 384, *eyes])
    pixels = np.asarray(image)
    assert pixels[55:425, 175:465].min() == 255
    assert pixels[:40].max() == pixels[:, :158].max() == 0


def test_how_many_faces_that_fill_an_image_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a detector that finds the face in further searches alone, and one that finds an eye."""

    class Found:
        def __init__(self, path: Path, *, side: int | None) -> None:
            self.box = (200, 60, 300, 400) if path.name == "face" else (200, 60, 90, 90)
            self.count = int(side is None)

        def __call__(self, _: object) -> list[Detection]:
            return [Detection(self.box, 0.9, EYES)] * self.count

    def cut(*_: object) -> Iterator[tuple[None, np.ndarray]]:
        return iter([(None, np.array([200, 60, 300, 380, 0, 0, 1, 0]))] * 3)

    monkeypatch.setattr(detector_quality, "Detector", Found)
    monkeypatch.setattr(detector_quality, "cut_close_ups", cut)
    paths = {"a": Path("face"), "b": Path("eye")}
    names, *cells = zip(*close_up_rows(paths, [], Path()), strict=True)
    assert names == tuple(
        f"3 faces that fill {percent} % of the height, {way}: found"
        for percent in (60, 80, 100)
        for way in ("--detect-side 640", "--detect-side auto")
    )
    assert cells == [("0.0 %", "100.0 %") * 3, ("0.0 %",) * 6]
    monkeypatch.setattr(detector_quality, "cut_close_ups", lambda *_: iter([]))
    assert {row[1] for row in close_up_rows(paths, [], Path())} == {"0.0 %"}
