from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fer_edge.runtime.detection.searches import Finder, LargeFinder, PhotographSearch

Rows = npt.NDArray[np.float32]


class Tilted:
    """Finds faces of fixed places, whose eyes it sees as low as the image is wide.

    Args:
        boxes: as fractions of the image's sides.
    """

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self.boxes, self.sizes = boxes, list[tuple[int, int]]()

    def __call__(self, image: Image.Image) -> Rows:
        self.sizes.append(image.size)
        width, height = image.size
        sides = np.array([width, height, width, height])
        rows = [[*np.multiply(box, sides), 0, width, 1, width, 0.9] for box in self.boxes]
        return np.array(rows, np.float32).reshape(-1, 9)


def search(find: Finder, image: Image.Image) -> Rows:
    return LargeFinder(find, misses_large=True, for_missed=False)(image)


def test_eyes_of_a_large_face_are_those_of_a_smaller_image() -> None:
    find = Tilted((0.1, 0.1, 0.3, 0.3), (0.5, 0.5, 0.1, 0.1))
    rows = search(find, Image.new("L", (640, 480)))
    assert find.sizes == [(640, 480), (320, 240)]
    # in pixels of the larger image: a width of 320 becomes 640 again
    np.testing.assert_array_equal(rows[:, 4:8], [[0, 640, 2, 640], [0, 640, 1, 640]])
    np.testing.assert_allclose(rows[:, :4], [[64, 48, 192, 144], [320, 240, 64, 48]])


def test_a_face_that_is_still_large_is_searched_for_in_a_smaller_one() -> None:
    find = Tilted((0, 0, 1, 1))
    rows = search(find, Image.new("L", (640, 480)))
    assert find.sizes == [(640, 480), (320, 240), (160, 120), (80, 60)]
    np.testing.assert_array_equal(rows[:, 4:8], [[0, 640, 8, 640]])


def test_small_faces_are_searched_for_once() -> None:
    for boxes in ([], [(0.1, 0.1, 0.15, 0.2)]):
        find = Tilted(*boxes)
        assert len(search(find, Image.new("L", (640, 480)))) == len(boxes)
        assert find.sizes == [(640, 480)]


def test_a_face_that_is_not_found_again_keeps_its_eyes() -> None:
    found = np.array([[10, 10, 200, 200, 50, 60, 150, 60, 0.9]], np.float32)
    elsewhere = np.array([[150, 150, 50, 50, 0, 1, 2, 3, 0.9]], np.float32)
    for others in (elsewhere, elsewhere[:0]):
        rows = search(
            lambda image, others=others: (found if image.width == 640 else others).copy(),
            Image.new("L", (640, 480)),
        )
        np.testing.assert_array_equal(rows, found)


def test_the_face_that_overlaps_most_is_the_same_one() -> None:
    found = np.array([[100, 100, 200, 200, 0, 0, 0, 0, 0.9]], np.float32)
    # at half the resolution, an IoU of 0.6 and one of 0.8; these aren't large there
    others = np.array(
        [[75, 50, 100, 100, 1, 1, 1, 1, 0.9], [56, 50, 100, 100, 2, 2, 2, 2, 0.8]], np.float32
    )
    rows = search(
        lambda image: (found if image.width == 640 else others).copy(), Image.new("L", (640, 480))
    )
    np.testing.assert_array_equal(rows[0, 4:8], [4, 4, 4, 4])


def test_small_faces_of_an_enlarged_image_are_searched_for_once() -> None:
    find = Tilted((0.1, 0.1, 0.3, 0.3), (0.9, 0.9, 0.01, 0.01))
    PhotographSearch(find, 0.5, misses_large=True)(Image.new("L", (1920, 1440)), for_crowd=True)
    assert find.sizes == [(640, 480), (320, 240), (160, 120), (80, 60), (1920, 1440)]


@pytest.mark.parametrize("misses_large", [True, False])
def test_the_searches_of_a_photograph_give_the_eyes_of_large_faces(misses_large: bool) -> None:
    """Each at the resolution at which it isn't large."""
    find = Tilted((0.1, 0.1, 0.1, 0.1), (0.3, 0.1, 0.3, 0.3), (0.6, 0.2, 0.4, 0.8))
    search_photograph = PhotographSearch(find, 0.5, misses_large=misses_large)
    rows = search_photograph(Image.new("L", (1280, 960)), for_crowd=False)
    assert find.sizes == [(640, 480), (320, 240), (160, 120), (80, 60)][: 3 + misses_large]
    # x of the left eye grows as often as the searched image
    np.testing.assert_array_equal(rows[:, 6], [2, 4, 8] if misses_large else [2, 2, 2])


def found_at(faces: dict[int, list[list[float]]]) -> Finder:
    """Finds other faces (box and score) in images of other widths."""

    def find(image: Image.Image) -> Rows:
        rows = [[*face[:4], 0, 0, 1, 1, face[4]] for face in faces.get(image.width, [])]
        return np.array(rows, np.float32).reshape(-1, 9)

    return find


def test_only_large_faces_are_added_from_a_smaller_image() -> None:
    faces = {640: [[600, 9, 12, 15, 0.6]], 320: [[0, 0, 60, 63, 0.9], [80, 80, 66, 60, 0.8]]}
    search_photograph = PhotographSearch(found_at(faces), 0.5, misses_large=True)
    rows = search_photograph(Image.new("L", (640, 480)), for_crowd=False)
    expected = [[160, 160, 132, 120], [600, 9, 12, 15]]
    np.testing.assert_array_equal(rows[:, :4], expected)


@pytest.mark.parametrize(
    ("misses_large", "for_missed", "faces", "is_searched_again"),
    [
        (True, True, [], True),
        (True, True, [127], True),
        (True, True, [127, 128], True),
        (True, False, [], False),
        (True, False, [127], False),
        (True, False, [127, 128], True),
        (False, True, [], True),
        (False, True, [127], False),
        (False, True, [127, 128], True),
        (False, False, [127, 128], False),
    ],
)
def test_what_is_searched_again(
    misses_large: bool, for_missed: bool, faces: list[int], is_searched_again: bool
) -> None:
    found = {640: [[200 * i, 9, 9, side, 0.6] for i, side in enumerate(faces)]}
    found[320] = [[200, 90, 100, 100, 0.9]]
    rows = LargeFinder(found_at(found), misses_large, for_missed)(Image.new("L", (640, 480)))
    assert len(rows) == len(faces) + is_searched_again
