"""Pictures of results: a box and a name on each face, a panel of bars when there is one face."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from fer_edge.runtime.drawing.fonts import find_font
from fer_edge.runtime.preprocess import is_deep, to_gray

if TYPE_CHECKING:
    from fer_edge.runtime.results import Face, Result

SMALLEST = 360
"""A picture whose longer side is shorter is enlarged to this, so that text can be read."""
PALETTE = ("#e4572e", "#76b041", "#8a5fbf", "#f2b134", "#4a7fb5", "#e86fa4", "#8d99a6", "#2a9d8f")
PAPER, INK, PALE, UNSURE = "#16191d", "#f4f4f4", "#2c3138", "#c9ced4"
ON_COLOUR = "#101214"
_LEAST_TEXT = 12
"""Pixels."""
_MOST_OF_TAG, _MOST_OF_FACE = 0.05, 0.25
"""Of a name's area that other names may take, and of a face's that another's name may hide."""

Floats = npt.NDArray[np.float64]
"""Of rectangles `[..., 4]`: left, top, right, bottom, in pixels."""


def colour_of(face: Face) -> str:
    """A colour an expression, by the label's place in the spec; another for "uncertain"."""
    labels, shown = list(face.probabilities), (face.track or face).emotion
    return PALETTE[labels.index(shown) % len(PALETTE)] if shown in labels else UNSURE


def draw_result(result: Result, *, font: Path | None = None) -> Image.Image:
    """The annotated picture, RGB; with one face, a panel of every label's probability beside it.

    A name stands where it hides no other one and as little of other faces as can be; in a crowd
    that leaves no room for it, the box's colour stands alone.

    Args:
        result: what was read.
        font: a font file for the labels; see `fonts.find_font`.

    Raises:
        ConfigError: no font has a label's characters.
    """
    zoom = max(1.0, SMALLEST / max(result.width, result.height))
    size = (round(result.width * zoom), round(result.height * zoom))
    image = result.image
    if is_deep(image):
        image = Image.fromarray(to_gray(image))
    picture = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    _mark(picture, result.faces, zoom, font)
    if len(result.faces) != 1 or result.frame is not None:
        return picture  # frames of a video are of one size
    panel = _panel(result.faces[0], size, font)
    both = Image.new("RGB", (picture.width + panel.width, panel.height), PAPER)
    both.paste(picture, (0, (panel.height - picture.height) // 2))
    both.paste(panel, (picture.width, 0))
    return both


def _mark(picture: Image.Image, faces: tuple[Face, ...], zoom: float, font: Path | None) -> None:
    """Boxes first, then names: no box runs through a name."""
    pen = ImageDraw.Draw(picture)
    # in the order of their numbers, since the detector's own changes from frame to frame
    faces = tuple(sorted(faces, key=lambda one: (one.track.number if one.track else 0, one.box)))
    boxes = np.array([face.box for face in faces], np.float64).reshape(-1, 4) * zoom
    boxes[:, 2:] += boxes[:, :2]
    for face, box in zip(faces, boxes, strict=True):
        _outline(pen, box, colour_of(face), max(picture.size))
    taken = np.empty((0, 4))
    for i, face in enumerate(faces):
        others = np.delete(boxes, i, 0)
        for tag in _tags(face, boxes[i], max(picture.size), font):
            place = _place(tag, boxes[i], others, taken, picture.size)
            if place is not None:
                tag.draw(pen, place, colour_of(face))
                taken = np.vstack([taken, place])
                break


def _outline(pen: ImageDraw.ImageDraw, box: Floats, colour: str, side: int) -> None:
    """Wide enough to be seen when a large picture is shrunk, between two dark lines."""
    left, top, right, bottom = (round(value) for value in box.tolist())
    most = min(right - left, bottom - top) // 12
    line = max(2, min(round(side / 400), most))
    dark = max(1, line // 3)
    edges = (left - dark, top - dark, right - 1 + dark, bottom - 1 + dark)
    pen.rectangle(edges, outline=PAPER, width=line + 2 * dark)
    pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=line)


@dataclass(frozen=True)
class _Tag:
    """A name, or a name and its share, to stand on the expression's colour.

    Attributes:
        pieces: texts and their fonts, from left to right: a script's font may lack digits.
        gap: pixels between the pieces and beside them.
    """

    pieces: tuple[tuple[str, ImageFont.FreeTypeFont], ...]
    gap: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels."""
        wide = sum(font.getlength(text) + self.gap for text, font in self.pieces) + self.gap
        up, down = (max(one) for one in zip(*(f.getmetrics() for _, f in self.pieces), strict=True))
        return wide, up + down

    def draw(self, pen: ImageDraw.ImageDraw, place: Floats, colour: str) -> None:
        left, top, right, bottom = place.tolist()
        pen.rectangle((left, top, right - 1, bottom - 1), fill=colour)
        base = top + max(font.getmetrics()[0] for _, font in self.pieces)
        for text, font in self.pieces:
            left += self.gap
            pen.text((left, base), text, font=font, fill=ON_COLOUR, anchor="ls")
            left += font.getlength(text)


def _tags(face: Face, box: Floats, side: int, font: Path | None) -> Iterator[_Tag]:
    """What a face's tag may be, the most wanted first: large, small, without the share."""
    shown, labels = face.track or face, tuple(face.probabilities)  # a track doesn't flicker
    least = max(_LEAST_TEXT, side // 110)
    largest = max(least, min(round((box[2] - box[0]) / 5), side * 3 // 100))
    number = (f"#{face.track.number}",) if face.track else ()
    texts = (*number, shown.emotion, f"{shown.confidence:.0%}")
    for size, kept in (
        (largest, 2),
        ((largest + least) // 2, 2),
        (least, 2),
        (least, 1),
        (_LEAST_TEXT, 2),
        (_LEAST_TEXT, 1),
    ):
        pieces = tuple(
            (text, find_font(text, size, font=font, beside=labels))
            for text in texts[: len(number) + kept]
        )
        yield _Tag(pieces, size / 4)


def _place(
    tag: _Tag,
    box: Floats,
    others: Floats,
    taken: Floats,
    size: tuple[int, int],
) -> Floats | None:
    """Where a tag hides least: above the face, below it, in its upper edge; None: nowhere."""
    wide, high = tag.size
    if wide > size[0] or high > size[1]:
        return None
    left, top, right, bottom = box.tolist()
    best, least, area = None, np.inf, wide * high
    sizes = (others[:, 2:] - others[:, :2]).prod(1)
    for y, own in ((top - high, 0.0), (bottom, 0.0), (top, 0.5)):
        for x in (left, right - wide, (left + right - wide) / 2):
            x = min(max(x, 0.0), size[0] - wide)
            place = np.array([x, y, x + wide, y + high])
            fits = y >= 0 and y + high <= size[1]
            if not fits or _shared(place, taken).sum() / area > _MOST_OF_TAG:
                continue
            hidden = _shared(place, others)
            if (hidden > _MOST_OF_FACE * sizes).any():
                continue
            cost = hidden.sum() / area + own
            if cost < least - 1e-9:
                best, least = place, cost
    return best


def _shared(place: Floats, others: Floats) -> Floats:
    """Area in pixels that each of the others shares with a place."""
    sides = np.minimum(place[2:], others[:, 2:]) - np.maximum(place[:2], others[:, :2])
    shared: Floats = sides.clip(0).prod(1)
    return shared


def _panel(face: Face, size: tuple[int, int], font: Path | None) -> Image.Image:
    """A bar a label, beside a picture of `size`, in letters that grow with it."""
    labels = tuple(face.probabilities)
    text = max(16, round(sqrt(size[0] * size[1]) / 45))
    number = find_font("0.%", text, font=font, beside=labels)
    fonts = [find_font(label, text, font=font, beside=labels) for label in labels]
    names = max(own.getlength(label) for label, own in zip(labels, fonts, strict=True))
    row = round(max(1.75 * text, min(3 * text, size[1] / len(labels))))
    left, bar = round(names) + 2 * text, 10 * text
    wide = left + bar + text // 2 + round(number.getlength("100.0%")) + text
    panel = Image.new("RGB", (wide, max(size[1], row * len(labels) + text)), PAPER)
    pen = ImageDraw.Draw(panel)
    top = (panel.height - row * len(labels)) / 2
    for i, (label, share) in enumerate(face.probabilities.items()):
        middle = top + row * (i + 0.5)
        edges = (middle - text / 2, middle + text / 2)
        pen.text((left - 0.75 * text, middle), label, font=fonts[i], fill=INK, anchor="rm")
        pen.rectangle((left, edges[0], left + bar, edges[1]), fill=PALE)
        if share * bar >= 1:
            colour = PALETTE[i % len(PALETTE)]
            pen.rectangle((left, edges[0], left + share * bar, edges[1]), fill=colour)
        at = (left + bar + text // 2, middle)
        pen.text(at, f"{share:.1%}", font=number, fill=INK, anchor="lm")
    return panel
