"""Which photographs the parts of pieces show, and how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from fer_edge.errors import DataError
from fer_edge.train.detector.choice import Chooser
from fer_edge.train.detector.config import DetectorConfig
from fer_edge.train.detector.labels import Photograph, make_photograph

CONFIG = DetectorConfig("photographs", "labels.json", background=0.25)


def photograph(name: str, *sides: int) -> Photograph:
    """One with certain faces of these shorter sides, and a small unsure one after them."""
    rows = [[9, 9, side, side + 2, 0, 0, 1, 1, 1, 0] for side in sides]
    if sides:
        rows.append([9, 9, 12, 14, 0, 0, 1, 1, 0.3, 0])
    return make_photograph(f"train/{name}", rows)


ALL = [
    photograph("web/large.jpg", 100),
    photograph("web/both.jpg", 60, 12, 9, 17, 18),
    photograph("mask/large.jpg", 40),
    photograph("texture/t.jpg"),
    photograph("scene/people.jpg", 12),
]


def test_photographs_without_people_are_a_fraction() -> None:
    chooser, random = Chooser(ALL, CONFIG), np.random.default_rng(0)
    names = Counter(chooser.choose(random).photograph.name for _ in range(4000))
    backgrounds = names["train/texture/t.jpg"] + names["train/scene/people.jpg"]
    assert backgrounds / 4000 == pytest.approx(0.25, abs=0.03)
    assert chooser.choose_empty(random).name == "train/texture/t.jpg"
    never = Chooser(ALL, replace(CONFIG, background=0.0))
    assert all(never.choose(random).photograph.kind_name in ("web", "mask") for _ in range(500))


def test_small_faces_are_seen_as_they_are() -> None:
    """More often than by chance, and then each of them alike."""
    chooser, random = Chooser(ALL, replace(CONFIG, background=0.0)), np.random.default_rng(0)
    choices = [chooser.choose(random) for _ in range(4000)]
    small = [one for one in choices if one.faces.tolist() == [1, 3]]
    assert {one.photograph.name for one in small} == {"train/web/both.jpg"}
    assert all(one.is_natural for one in small)
    web = sum(one.photograph.kind_name == "web" for one in choices)
    assert len(small) / web == pytest.approx(0.15, abs=0.03)
    others = [one.is_natural for one in choices if one.faces.tolist() != [1, 3]]
    assert np.mean(others) == pytest.approx(0.3, abs=0.03)


def test_without_people_there_is_nothing_to_learn() -> None:
    with pytest.raises(DataError, match=r"^no photograph of people: web, mask, crowd"):
        Chooser(ALL[3:], CONFIG)
