"""Tags: the text beside a face's box, and where it hides least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import ImageDraw, ImageFont

from fer_edge.runtime.boxes import area, intersection
from fer_edge.runtime.drawing.colours import ON_COLOUR
from fer_edge.runtime.drawing.fonts import find_font
from fer_edge.runtime.results import Face
from fer_edge.text import printable

_MIN_TEXT = 12
"""Pixels."""
_MAX_TAG_OVERLAP, _MAX_FACE_OVERLAP = 0.05, 0.25
"""Fractions: of a tag's area that other tags may cover, of a face's area that a tag may hide."""

Boxes = npt.NDArray[np.float64]
"""As in `runtime.boxes`: x, y, width, height, in pixels."""


@dataclass(frozen=True)
class Tag:
    """A label, with its confidence or without, on the expression's colour.

    Attributes:
        pieces: texts and their fonts, from left to right: a script's font may lack digits.
        gap: pixels between the pieces and beside them.
    """

    pieces: tuple[tuple[str, ImageFont.FreeTypeFont], ...]
    gap: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, in pixels."""
        width = sum(font.getlength(text) + self.gap for text, font in self.pieces) + self.gap
        metrics = [font.getmetrics() for _, font in self.pieces]
        ascent, descent = (max(one) for one in zip(*metrics, strict=True))
        return width, ascent + descent

    def draw(self, pen: ImageDraw.ImageDraw, box: Boxes, colour: str) -> None:
        """Draw the tag at a box that `place_tag` found."""
        left, top, width, height = box.tolist()
        pen.rectangle((left, top, left + width - 1, top + height - 1), fill=colour)
        base = top + max(font.getmetrics()[0] for _, font in self.pieces)
        for text, font in self.pieces:
            left += self.gap
            pen.text((left, base), text, font=font, fill=ON_COLOUR, anchor="ls")
            left += font.getlength(text)


def tag_variants(face: Face, width: float, side: int) -> Iterator[Tag]:
    """A face's tags, the preferred first: large, small, without the confidence.

    `width` is that of the face's box, `side` the drawing's longer side, in pixels.
    """
    shown, labels = face.track or face, tuple(map(printable, face.probabilities))
    smallest = max(_MIN_TEXT, side // 110)
    largest = max(smallest, min(round(width / 5), side * 3 // 100))
    number = (f"#{face.track.number}",) if face.track else ()
    texts = (*number, printable(shown.emotion), f"{shown.confidence:.0%}")
    without = texts[:-1]
    for size, pieces in (
        *((size, texts) for size in (largest, (largest + smallest) // 2, smallest)),
        *((smallest, without), (_MIN_TEXT, texts), (_MIN_TEXT, without)),
    ):
        fonts = (find_font(text, size, beside=labels) for text in pieces)
        yield Tag(tuple(zip(pieces, fonts, strict=True)), size / 4)


def place_tag(
    tag: Tag, box: Boxes, others: Boxes, taken: Boxes, size: tuple[int, int]
) -> Boxes | None:
    """Where a tag hides least: above the face, below it or in its upper edge; None: nowhere.

    Args:
        box: of its face.
        others: boxes of the other faces, `[N, 4]`.
        taken: boxes of the tags that are drawn already, `[M, 4]`.
        size: width and height of the drawing, in pixels.
    """
    width, height = tag.size
    if width > size[0] or height > size[1]:
        return None
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    best, lowest = None, np.inf
    for y, own_cost in ((top - height, 0.0), (bottom, 0.0), (top, 0.5)):
        for x in (left, right - width, (left + right - width) / 2):
            place = np.array([min(max(x, 0.0), size[0] - width), y, width, height])
            is_inside = y >= 0 and y + height <= size[1]
            covered = intersection(place, taken).sum() / area(place)
            if not is_inside or covered > _MAX_TAG_OVERLAP:
                continue
            hidden = intersection(place, others)
            if (hidden > _MAX_FACE_OVERLAP * area(others)).any():
                continue
            cost = hidden.sum() / area(place) + own_cost
            if cost < lowest - 1e-9:
                best, lowest = place, cost
    return best
