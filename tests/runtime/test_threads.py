"""One recognizer, many threads: the same answers as one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from PIL import Image, ImageEnhance

from fer_edge import Recognizer
from fer_edge.runtime.backends import ENGINES
from fer_edge.runtime.detection.detector import Detector
from tests.support.files import EXAMPLE

THREADS = 8
ROUNDS = 6
T = TypeVar("T")


def pictures(side: int) -> list[Image.Image]:
    """The example in sizes and lights of its own for each thread."""
    face = Image.open(EXAMPLE).convert("RGB")
    return [
        ImageEnhance.Brightness(face.resize((side + 16 * i, side + 8 * i))).enhance(0.6 + 0.1 * i)
        for i in range(THREADS)
    ]


def at_once(call: Callable[[Image.Image], T], shown: Sequence[Image.Image]) -> list[list[T]]:
    """What each thread, with a picture of its own, was told in each round."""
    together = threading.Barrier(len(shown))

    def rounds(picture: Image.Image) -> list[T]:
        together.wait()
        return [call(picture) for _ in range(ROUNDS)]

    with ThreadPoolExecutor(len(shown)) as pool:
        return list(pool.map(rounds, shown))


@pytest.mark.parametrize("backend", ENGINES)
def test_whole_faces(backend: str, model_for: Callable[[str], Path]) -> None:
    model = model_for(backend) if backend == "ncnn" else None
    recognizer = Recognizer.load(model, faces="whole", backend=backend)
    shown = pictures(96)
    found = at_once(lambda picture: recognizer(picture).to_dict()["faces"], shown)
    alone = Recognizer.load(model, faces="whole", backend=backend)
    expected = [alone(picture).to_dict()["faces"] for picture in shown]
    assert found == [[faces] * ROUNDS for faces in expected]
    assert len({faces[0]["confidence"] for faces in expected}) == THREADS


def test_faces_that_are_found(yunet: Path) -> None:
    # the detector too is opened by whichever thread needs it first
    recognizer = Recognizer.load(faces="auto", detector=yunet)
    lazily = Recognizer.load(faces="auto", detector=yunet)
    shown = pictures(260)
    expected = [recognizer(picture).to_dict()["faces"] for picture in shown]
    assert all(len(faces) == 1 for faces in expected)
    found = at_once(lambda picture: lazily(picture).to_dict()["faces"], shown)
    assert found == [[faces] * ROUNDS for faces in expected]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_detector_alone(yunet: Path, engine: str) -> None:
    pytest.importorskip(engine, reason=f"{engine} isn't installed")
    detector = Detector(yunet, engine=engine)
    shown = pictures(260)
    expected = [detector(picture) for picture in shown]
    assert all(len(faces) == 1 for faces in expected)
    assert at_once(detector, shown) == [[faces] * ROUNDS for faces in expected]
