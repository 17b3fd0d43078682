from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.runtime.boxes import iou
from fer_edge.runtime.detection import shrink as shrink_module
from fer_edge.runtime.detection.detector import Detection, Detector
from fer_edge.runtime.detection.nearby import Nearby, NearbySearch
from fer_edge.runtime.preprocess import Box
from tests.support.blobs import Blobs, draw_blobs
from tests.support.files import EXAMPLE

SIZE = (640, 480)
RATE = 25


class Stream:
    """Frames that are searched one after the other, at 25 frames per second."""

    def __init__(self, nearby: Nearby | None = None, *, size: tuple[int, int] = SIZE) -> None:
        self.search = NearbySearch(nearby or Nearby(every=1000, interval=math.inf))
        self.detector, self.size, self.frame = Blobs(), size, 0

    def __call__(self, faces: Mapping[int, Box], step: float = 1 / RATE) -> dict[int, Box]:
        """Show faces: boxes by gray level."""
        self.detector.searched.clear()
        image = draw_blobs(faces, self.size)
        found = self.search(self.detector, image, None, self.frame * step)
        self.frame += 1
        scores = [one.score for one in found]
        assert scores == sorted(scores, reverse=True)
        return {round(one.score * 250): one.box for one in found}

    @property
    def is_whole(self) -> bool:
        """Whether the whole frame was searched."""
        return self.size in self.detector.searched


def test_a_face_that_moves_is_searched_for_near_where_it_was() -> None:
    stream = Stream()
    for i in range(20):
        box = (100 + 9 * i, 90 + 3 * i, 60, 80)
        assert stream({200: box}) == {200: box}
        assert stream.is_whole == (i == 0)
    ((width, height),) = stream.detector.searched
    assert width * height <= 160 * 192


@pytest.mark.parametrize("step", range(0, 80, 3))
def test_its_box_is_right_however_far_it_moves(step: int) -> None:
    stream = Stream()
    for i in range(3):
        box = (320 + step * i, 200 + step * i, 60, 80)
        assert stream({200: box}) == {200: box}
        assert not stream.is_whole or i == 0 or step > 10


def test_two_faces_near_each_other_are_found_once_each() -> None:
    stream = Stream()
    faces = {200: (100, 100, 60, 80), 150: (190, 100, 60, 80), 120: (500, 300, 40, 50)}
    for i in range(4):
        assert stream(faces) == faces
        assert stream.is_whole == (i == 0)
    assert len(stream.detector.searched) == 2


def test_a_face_that_is_lost_is_looked_for_in_the_whole_frame() -> None:
    stream = Stream()
    stream({200: (100, 100, 60, 80)})
    assert stream({200: (300, 100, 60, 80)}) == {200: (300, 100, 60, 80)}
    assert stream.is_whole
    assert stream({200: (300, 100, 60, 80)})
    assert not stream.is_whole
    assert stream({}) == {}
    assert stream.is_whole


def test_without_a_face_the_whole_frame_is_searched() -> None:
    stream = Stream()
    for _ in range(3):
        assert stream({}) == {}
        assert stream.detector.searched == [SIZE]
    assert stream({200: (100, 100, 60, 80)})


@pytest.mark.parametrize(
    ("nearby", "step", "whole"),
    [
        (Nearby(every=4, interval=math.inf), 1 / RATE, 4),
        (Nearby(every=1), 1 / RATE, 1),
        (Nearby(every=100, interval=0.5), 0.125, 4),
        (Nearby(every=100, interval=0.5), 2.0, 1),
        (Nearby(every=100, interval=0), 1 / RATE, 1),
    ],
)
def test_the_whole_frame_is_searched_from_time_to_time(
    nearby: Nearby, step: float, whole: int
) -> None:
    stream = Stream(nearby)
    seen = []
    for _ in range(9):
        stream({200: (100, 100, 60, 80)}, step)
        seen.append(stream.is_whole)
    assert seen == [i % whole == 0 for i in range(9)]


def test_a_new_face_is_found_with_the_next_whole_frame() -> None:
    stream = Stream(Nearby(every=5, interval=math.inf))
    old, new = (100, 100, 60, 80), (500, 300, 60, 80)
    stream({200: old})
    for _ in range(4):
        assert stream({200: old, 150: new}) == {200: old}
    assert stream({200: old, 150: new}) == {200: old, 150: new}


def test_a_part_of_another_face_in_a_region_is_none() -> None:
    stream = Stream()
    old, passing = (100, 100, 60, 80), (170, 100, 200, 80)
    stream({200: old})
    assert stream({200: old, 150: passing}) == {200: old}


def test_large_faces_are_looked_for_in_the_whole_frame() -> None:
    stream = Stream()
    for _ in range(3):
        assert stream({200: (100, 50, 400, 400)})
        assert stream.detector.searched == [SIZE]


def test_after_a_cut_and_in_another_video_the_whole_frame_is_searched() -> None:
    stream, face = Stream(), {200: (100, 100, 60, 80)}
    stream(face)
    stream.search.forget()
    stream(face)
    assert stream.is_whole
    stream(face)
    assert not stream.is_whole
    stream.frame = 0
    stream(face)
    assert stream.is_whole
    stream.size = 320, 240
    assert stream(face) == face
    assert stream.is_whole


def test_a_reduced_copy_of_a_large_frame() -> None:
    detector, search = Blobs(side=320), NearbySearch()
    image = draw_blobs({200: (400, 200, 80, 120)}, (800, 600))
    found = []
    for i in range(2):
        detector.searched.clear()
        (one,) = search(detector, image, (1600, 1200), i / RATE)
        found.append(one.box)
        assert detector.searched == [(320, 240), (96, 128)][i : i + 1]
    assert iou(found[0], (800, 400, 160, 240)) > 0.85
    assert iou(*found) > 0.95


def test_small_faces_do_not_count() -> None:
    detector = Blobs(min_face=50)
    image = draw_blobs({200: (100, 100, 40, 80)}, SIZE)
    assert detector.search_regions(image, [(64, 64, 128, 128)]) == ()


@pytest.mark.parametrize(
    "options",
    [
        {"every": 0},
        {"interval": -1},
        {"interval": math.nan},
        {"widening": 0.5},
        {"widening": math.inf},
        {"iou_threshold": 0},
        {"iou_threshold": 1.1},
    ],
)
def test_values_out_of_range_are_named(options: dict[str, float]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=rf"^{name} must be .*, not {value}$"):
        Nearby(**options)  # type: ignore[arg-type]


def test_a_part_of_a_shrunk_image_is_that_part() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    image = Image.fromarray(pixels).resize((1000, 700), Image.Resampling.BICUBIC)
    size = shrink_module.shrunk_size(image.size, 320)
    whole = shrink_module.shrink(image, 320)
    assert whole.size == size == (320, 224)
    for box in [(64, 32, 96, 128), (256, 192, 64, 32), (0, 0, 320, 224)]:
        x, y, width, height = box
        part = shrink_module.shrink_region(image, box, size)
        expected = np.asarray(whole.crop((x, y, x + width, y + height)), float)
        difference = np.asarray(part, float) - expected
        assert abs(difference[1:-1, 1:-1]).max() <= 8
        assert abs(difference).mean() < 1


def test_boxes_are_those_of_the_whole_frame(yunet: Path) -> None:
    detector, search = Detector(yunet), NearbySearch()
    with Image.open(EXAMPLE) as example:
        face = example.convert("RGB").resize((130, 130))
    for i in range(4):
        frame = Image.new("RGB", SIZE, "gray")
        frame.paste(face, (150 + 9 * i, 200 - 5 * i))
        (found,) = search(detector, frame, None, i / RATE)
        (expected,) = detector(frame)
        assert iou(found.box, expected.box) > 0.95
        assert isinstance(found, Detection)
        np.testing.assert_allclose(found.landmarks, expected.landmarks, rtol=0, atol=3)
    assert search._frames == 3, "the last three were searched nearby"
