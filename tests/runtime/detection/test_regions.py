from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.runtime.boxes import area, intersection
from fer_edge.runtime.detection.regions import (
    MAX_FRACTION,
    STEP,
    choose_regions,
    shrink_to_interior,
)
from fer_edge.runtime.preprocess import Box

SIZE = (640, 480)


def regions(*boxes: Box, size: tuple[int, int] = SIZE, factor: float = 1.0) -> list[Box] | None:
    return choose_regions(boxes, (factor, factor), size, 2.0)


def test_a_region_is_twice_as_large_as_its_box_and_on_the_grid() -> None:
    assert regions((304, 208, 48, 48)) == [(256, 160, 128, 128)]
    assert regions((304, 208, 20, 48)) == [(288, 160, 64, 128)]
    assert regions((608, 416, 96, 96), factor=0.5) == [(256, 160, 128, 128)]


def test_at_the_edge_it_lies_inside() -> None:
    assert regions((0, 0, 30, 30)) == [(0, 0, 64, 64)]
    assert regions((600, 430, 40, 50)) == [(576, 384, 64, 96)]
    assert regions((590, 420, 40, 50), size=(630, 470)) == [(544, 384, 86, 86)]


def test_regions_that_overlap_become_one_where_that_saves() -> None:
    assert regions((304, 208, 48, 48), (352, 208, 48, 48)) == [(256, 160, 192, 128)]
    assert regions((100, 200, 40, 40), (300, 200, 40, 40)) == [
        (64, 160, 96, 128),
        (256, 160, 128, 128),
    ]


def test_the_whole_image_is_searched_where_regions_are_as_large() -> None:
    assert regions((100, 50, 300, 300)) is None
    assert regions(*((x, y, 90, 90) for x in (0, 200, 400) for y in (0, 200, 400))) is None
    assert regions((4, 4, 24, 24), size=(32, 32)) is None


def test_the_interior_ends_inside_edges_that_may_cut_off_a_face() -> None:
    boxes = [(32, 64, 96, 128), (0, 0, 64, 64), (576, 416, 64, 64)]
    inside, first, last = shrink_to_interior(boxes, SIZE)
    assert inside.tolist() == [33, 65, 94, 126]
    assert first[:2].max() < -1000
    assert (first[:2] + first[2:]).tolist() == [63, 63]
    assert last[:2].tolist() == [577, 417]
    assert (last[:2] + last[2:]).min() > 1000
    assert shrink_to_interior([], SIZE).shape == (0, 4)


PLACE, SIDE = st.integers(0, 600), st.integers(1, 200)


@given(st.lists(st.tuples(PLACE, PLACE, SIDE, SIDE), max_size=5), st.tuples(SIDE, SIDE))
def test_every_box_is_in_a_region_as_far_as_it_is_in_the_image(
    boxes: list[Box], more: tuple[int, int]
) -> None:
    size = 440 + more[0], 440 + more[1]
    inside = [(x, y, min(w, size[0] - x), min(h, size[1] - y)) for x, y, w, h in boxes]
    inside = [one for one in inside if min(one) >= 0 and min(one[2:]) > 0]
    found = choose_regions(inside, (1.0, 1.0), size, 2.0)
    if found is None:
        return
    padded = (size[0] + STEP) * (size[1] + STEP)
    assert sum(map(area, found)) <= MAX_FRACTION * padded
    for x, y, width, height in found:
        assert x % STEP == y % STEP == 0
        assert width % STEP == 0 or x + width == size[0]
        assert height % STEP == 0 or y + height == size[1]
        assert min(x, y) >= 0
        assert x + width <= size[0]
        assert y + height <= size[1]
    for box in inside:
        assert max(intersection(box, one) for one in found) == pytest.approx(area(box))
