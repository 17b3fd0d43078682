from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageColor

from fer_edge import Face, Result
from fer_edge.errors import ConfigError
from fer_edge.runtime.boxes import area, intersection
from fer_edge.runtime.drawing import fonts
from fer_edge.runtime.drawing.annotate import MIN_SIDE, draw_result
from fer_edge.runtime.drawing.colours import PALETTE, UNCERTAIN_COLOUR, colour_of
from fer_edge.runtime.drawing.face_tags import Tag
from tests.support.data import LABELS

Box = tuple[int, int, int, int]


def a_face(box: Box, label: int, labels: tuple[str, ...] = LABELS) -> Face:
    shares = {one: 0.7 if i == label else 0.05 for i, one in enumerate(labels)}
    return Face(box, 0.9, labels[label], 0.7, shares)


def result(width: int, height: int, *faces: Face) -> Result:
    return Result("x.png", width, height, faces, Image.new("RGB", (width, height), "white"))


def filled(image: Image.Image, label: int) -> tuple[int, int, int, int] | None:
    """The bounding box of rows that are mostly a label's colour: its tag."""
    pixels = np.asarray(image)
    same = (pixels == ImageColor.getrgb(PALETTE[label])).all(2)
    rows = np.flatnonzero(_longest(same) >= 8)
    if not len(rows):
        return None
    columns = np.flatnonzero(same[rows].any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def _longest(same: np.ndarray) -> np.ndarray:
    """The longest run in each row."""
    run, best = np.zeros(len(same), int), np.zeros(len(same), int)
    for column in same.T:
        run = (run + 1) * column
        best = np.maximum(best, run)
    return best


def tags(monkeypatch: pytest.MonkeyPatch, *image: Face, size: tuple[int, int]) -> list[np.ndarray]:
    """Boxes of the tags that are drawn."""
    places: list[np.ndarray] = []
    paint = Tag.draw

    def note(self: Tag, pen: object, place: np.ndarray, colour: str) -> None:
        places.append(place)
        paint(self, pen, place, colour)  # type: ignore[arg-type]

    monkeypatch.setattr(Tag, "draw", note)
    draw_result(result(*size, *image))
    return places


@pytest.mark.parametrize(
    ("width", "height", "box"),
    [
        (48, 48, (0, 0, 48, 48)),
        (1, 1, (0, 0, 1, 1)),
        (400, 6000, (0, 2000, 400, 400)),
        (6000, 400, (5600, 0, 400, 400)),
        (3, 300, (0, 0, 3, 300)),
        (400, 300, (-20, -20, 900, 900)),
        (800, 450, (0, 0, 120, 140)),
        (800, 450, (680, 310, 120, 140)),
        (800, 450, (720, 400, 40, 50)),
    ],
)
def test_tags_lie_inside_images_of_any_size(
    monkeypatch: pytest.MonkeyPatch, width: int, height: int, box: Box
) -> None:
    zoom = max(1.0, MIN_SIDE / max(width, height))
    for place in tags(monkeypatch, a_face(box, 5), size=(width, height)):
        assert place[0] >= 0
        assert place[1] >= 0
        assert place[0] + place[2] <= round(width * zoom)
        assert place[1] + place[3] <= round(height * zoom)


def test_a_tall_image_has_a_whole_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(tags(monkeypatch, a_face((0, 2000, 400, 400), 5), size=(400, 6000))) == 1


def test_text_grows_with_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    face = a_face((100, 100, 60, 60), 3), a_face((600, 600, 60, 60), 3)
    small = tags(monkeypatch, *face, size=(800, 800))[0]
    large = tags(monkeypatch, *face, size=(6000, 4000))[0]
    assert large[3] > 3 * small[3]


def test_tags_of_neighbours_do_not_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = [a_face((10 + 62 * i, 150, 56, 60), i % 7) for i in range(12)]
    places = tags(monkeypatch, *faces, size=(800, 450))
    assert len(places) == len(faces)
    for i, one in enumerate(places):
        for other in places[:i]:
            assert intersection(one, other) <= 0.05 * area(one)


def test_a_tag_hides_no_other_face(monkeypatch: pytest.MonkeyPatch) -> None:
    upper, lower = (200, 100, 60, 60), (200, 162, 60, 60)
    faces = a_face(upper, 1), a_face(lower, 3)
    for place, other in zip(
        tags(monkeypatch, *faces, size=(640, 480)), (lower, upper), strict=True
    ):
        assert intersection(place, other) <= 0.25 * area(other)


def test_tags_hide_no_faces_of_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = [a_face((21 * i, 21 * k, 20, 20), (i + k) % 7) for i in range(14) for k in range(14)]
    places = tags(monkeypatch, *faces, size=(300, 300))
    zoom = MIN_SIDE / 300
    boxes = zoom * np.array([one.box for one in faces])
    for place in places:
        hidden = intersection(place, boxes) > 0.25 * area(boxes)
        assert hidden.sum() <= 1  # its own
    image = np.asarray(draw_result(result(300, 300, *faces)))
    colours = set(map(tuple, image.reshape(-1, 3).tolist()))
    assert {ImageColor.getrgb(PALETTE[i]) for i in range(7)} <= colours


def test_colours_of_box_tag_and_bar() -> None:
    image = draw_result(result(400, 400, a_face((100, 100, 200, 200), 3)))
    happy = ImageColor.getrgb(PALETTE[3])
    assert image.getpixel((200, 100)) == happy
    tag = filled(image.crop((0, 0, 400, 99)), 3)
    assert tag is not None
    assert tag[0] == 100
    bars = filled(image.crop((400, 0, *image.size)), 3)
    less = filled(image.crop((400, 0, *image.size)), 0)
    assert bars is not None
    assert less is not None
    assert 10 * (bars[2] - bars[0]) > 9 * 14 * (less[2] - less[0])


def test_the_bar_chart_grows_with_the_image() -> None:
    small, large = (draw_result(result(n, n, a_face((9, 9, 90, 90), 3))) for n in (480, 3000))
    assert large.width - 3000 > 3 * (small.width - 480)


def test_labels_in_other_scripts() -> None:
    labels = ("злость", "радость")
    try:
        fonts.check_labels(labels)
    except ConfigError:
        pytest.skip("no font on this machine has Cyrillic letters")
    face = a_face((50, 50, 100, 100), 1, labels)
    same_boxes = a_face((50, 50, 100, 100), 1, ("", " "))
    assert (
        draw_result(result(400, 300, face)).size[0]
        > draw_result(result(400, 300, same_boxes)).size[0]
    )


def test_control_characters_of_labels_are_drawn_as_escapes() -> None:
    drawn, expected = (
        draw_result(result(400, 300, a_face((50, 50, 100, 100), 1, labels)))
        for labels in (("a\nb", "\x1b[1m"), (r"a\nb", r"\x1b[1m"))
    )
    assert drawn.tobytes() == expected.tobytes()
    fonts.check_labels(["a\u202eb"])


def test_labels_that_no_font_has_are_named() -> None:
    face = a_face((50, 50, 100, 100), 0, ("\U0003ffff", "happy"))
    with pytest.raises(ConfigError, match=r"U\+3FFFF"):
        draw_result(result(400, 300, face))


def test_tags_do_not_move_when_faces_change_order() -> None:
    one, two = a_face((100, 100, 60, 60), 1), a_face((150, 100, 60, 60), 3)
    there, back = draw_result(result(400, 300, one, two)), draw_result(result(400, 300, two, one))
    assert there.tobytes() == back.tobytes()


def test_a_face_too_small_to_rely_on_is_gray() -> None:
    face = a_face((10, 10, 12, 12), 3)
    assert colour_of(face) == PALETTE[3]
    assert colour_of(replace(face, small=True)) == UNCERTAIN_COLOUR
