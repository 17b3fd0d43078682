from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fer_edge import Nearby, Recognizer, Result, SourceError, Tracker
from fer_edge.runtime.preprocess import Box
from tests.support.blobs import Blobs, draw_blobs
from tests.support.specs import make_spec

SIZE = (640, 480)
FACE = {200: (300, 200, 60, 80)}


class BrightnessBackend:
    """The brighter a face, the likelier the first label."""

    engine, spec = "fake", make_spec()

    def __call__(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        logits = np.zeros((len(faces), len(self.spec.labels)), np.float32)
        logits[:, 0] = faces.mean((1, 2)) / 8 - 20
        return logits


@pytest.fixture
def detector() -> Blobs:
    return Blobs()


@pytest.fixture
def recognizer(detector: Blobs) -> Recognizer:
    return Recognizer(BrightnessBackend(), faces="detect", open_detector=lambda: detector)


def draw(faces: dict[int, Box], seed: int = 0) -> Image.Image:
    """Faces in a dark scene, which the seed chooses."""
    coarse = np.random.default_rng(seed).integers(0, 90, (6, 8), np.uint8)
    scene = Image.fromarray(coarse).resize(SIZE, Image.Resampling.BILINEAR)
    blobs = draw_blobs(faces, SIZE)
    scene.paste(blobs, mask=blobs.point(lambda level: 255 * (level > 0)))
    return scene


def numbers(results: Sequence[Result]) -> list[list[int]]:
    return [[one.track.number for one in r.faces if one.track] for r in results]


def test_frames_are_numbered_and_their_faces_followed(
    recognizer: Recognizer, detector: Blobs
) -> None:
    follow = recognizer.follow()
    results = [follow(draw({200: (300 + 9 * i, 200, 60, 80)}), i / 25) for i in range(4)]
    assert [(one.frame, one.time) for one in results] == [(i, i / 25) for i in range(4)]
    assert [one.faces[0].box[0] for one in results] == [300, 309, 318, 327]
    assert numbers(results) == [[1]] * 4
    assert [size == SIZE for size in detector.searched] == [True, False, False, False]


def test_every_frame_is_searched_as_a_whole_on_request(
    recognizer: Recognizer, detector: Blobs
) -> None:
    follow = recognizer.follow(nearby=Nearby(every=1))
    for i in range(3):
        follow(draw(FACE), i / 25)
    assert detector.searched == [SIZE] * 3


def test_no_smoothing_crosses_a_cut(recognizer: Recognizer, detector: Blobs) -> None:
    tracker = Tracker(time_constant=10)
    follow = recognizer.follow(tracker)
    for i in range(3):
        follow(draw({250: FACE[200]}, seed=1), i / 25)
    detector.searched.clear()
    result = follow(draw({100: FACE[200]}, seed=2), 3 / 25)
    assert detector.searched == [SIZE]
    (face,) = result.faces
    assert face.track is not None
    assert face.track.number == 2
    assert face.track.probabilities == face.probabilities
    result = follow(draw({250: FACE[200]}, seed=2), 4 / 25)
    (face,) = result.faces
    assert face.track is not None
    assert face.track.number == 2, "the tracker given"
    assert face.track.probabilities != face.probabilities


def test_a_cut_ends_the_track_of_a_whole_frame() -> None:
    follow = Recognizer(BrightnessBackend()).follow()
    frames = [draw({}, seed) for seed in (1, 1, 2, 2)]
    results = [follow(frame, i / 25) for i, frame in enumerate(frames)]
    assert numbers(results) == [[1], [1], [2], [2]]
    assert {one.faces_from for one in results} == {"whole"}


def test_arrays_and_images_that_cannot_be_read(recognizer: Recognizer) -> None:
    follow = recognizer.follow()
    frame = np.asarray(draw(FACE).convert("RGB"))
    assert [follow(frame, i / 25).source for i in range(2)] == ["array"] * 2
    with pytest.raises(SourceError, match="an image without pixels"):
        follow(Image.new("L", (0, 5)), 1)
    for image in (Image.new("RGBA", SIZE), Image.new("I;16", SIZE), Image.new("F", SIZE)):
        assert follow(image, 2).faces == ()
    small = Recognizer(BrightnessBackend(), max_pixels=1000).follow()
    with pytest.raises(SourceError, match="pixels"):
        small(frame, 0)


def test_one_recognizer_serves_several_streams(recognizer: Recognizer) -> None:
    found: dict[int, list[Result]] = {}

    def run(number: int) -> None:
        follow, x = recognizer.follow(), 50 * number
        found[number] = [
            follow(draw({200: (x + 4 * i, 200, 60, 80)}, number), i / 25) for i in range(12)
        ]

    threads = [Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert numbers(found[number]) == [[1]] * 12
        boxes = [one.faces[0].box for one in found[number]]
        assert boxes == [(50 * number + 4 * i, 200, 60, 80) for i in range(12)]
