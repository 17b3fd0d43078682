from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge import Face, Result
from fer_edge.runtime.results import softmax

PROBABILITIES = {"happy": 0.75, "sad": 0.25}


def result(width: int, height: int, *boxes: tuple[int, int, int, int]) -> Result:
    faces = tuple(Face(box, 0.9, "happy", 0.75, PROBABILITIES) for box in boxes)
    return Result("x.png", width, height, faces, Image.new("RGB", (width, height), "gray"))


def test_softmax_of_large_logits() -> None:
    assert softmax(np.array([[1e4, 0.0], [0.0, 0.0]])).tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_to_dict() -> None:
    assert result(60, 40, (1, 2, 3, 4)).to_dict() == {
        "source": "x.png",
        "width": 60,
        "height": 40,
        "faces_from": "whole",
        "faces": [
            {
                "box": [1, 2, 3, 4],
                "score": 0.9,
                "emotion": "happy",
                "confidence": 0.75,
                "probabilities": PROBABILITIES,
                "small": False,
            }
        ],
    }


@pytest.mark.parametrize("size", [(16, 16), (48, 48), (900, 200), (2000, 3000)])
def test_plot_of_any_size(size: tuple[int, int]) -> None:
    image = result(*size, (0, 0, *size)).plot()
    assert image.mode == "RGB"
    assert max(image.size) >= 360


def test_deep_images_are_drawn_as_they_are_read() -> None:
    face = Face((0, 0, 400, 400), 1.0, "happy", 0.75, PROBABILITIES)
    deep = Image.new("I;16", (400, 400), 32_896)
    image = Result("x", 400, 400, (face,), deep).plot()
    assert image.getpixel((200, 200)) == (128, 128, 128)


def test_no_face_and_two_faces_have_no_bar_chart() -> None:
    assert result(400, 300).plot().size == (400, 300)
    assert result(400, 300, (0, 0, 50, 50), (90, 90, 50, 50)).plot().size == (400, 300)


def test_save(tmp_path: Path) -> None:
    path = result(60, 40, (0, 0, 60, 40)).save(tmp_path / "deep" / "a.png")
    with Image.open(path) as image:
        assert image.format == "PNG"
    with pytest.raises(ValueError, match="unknown file extension"):
        result(60, 40).save(tmp_path / "a.nothing")
    assert not (tmp_path / "a.nothing").exists()
