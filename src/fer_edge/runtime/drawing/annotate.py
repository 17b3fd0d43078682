"""Annotated images: a box and a tag on each face, and a bar chart where there is one face."""

from __future__ import annotations

from math import sqrt

import numpy as np
from PIL import Image, ImageDraw

from fer_edge.runtime.drawing.colours import BACKGROUND, EMPTY, PALETTE, TEXT, colour_of
from fer_edge.runtime.drawing.face_tags import Boxes, place_tag, tag_variants
from fer_edge.runtime.drawing.fonts import find_font
from fer_edge.runtime.pixel_values import to_eight_bits
from fer_edge.runtime.results import Face, Result
from fer_edge.text import printable

MIN_SIDE = 360
"""An image whose longer side is shorter is enlarged to this, so that text is legible."""


def draw_result(result: Result) -> Image.Image:
    """The annotated image, RGB; with one face, a bar chart of every label's probability beside it.

    In a crowd without room for a tag, the colour of the box alone shows the expression.

    Raises:
        ConfigError: no font has a label's characters.
        SourceError: the image's file has been removed or changed.
    """
    image = to_eight_bits(result.image)
    enlarged = max(1.0, MIN_SIDE / max(image.size))
    size = (round(image.width * enlarged), round(image.height * enlarged))
    if image.mode != "RGB" or image is result.image_source:
        image = image.convert("RGB")  # a copy, to draw on
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    _draw_faces(image, result.faces, image.width / result.width)
    if len(result.faces) != 1 or result.frame is not None:
        return image  # without a chart, so that all frames of a video have one size
    chart = _draw_bars(result.faces[0], size)
    both = Image.new("RGB", (image.width + chart.width, chart.height), BACKGROUND)
    both.paste(image, (0, (chart.height - image.height) // 2))
    both.paste(chart, (image.width, 0))
    return both


def _draw_faces(image: Image.Image, faces: tuple[Face, ...], zoom: float) -> None:
    """Boxes first, then tags, so that no box crosses a tag."""
    pen = ImageDraw.Draw(image)
    side = max(image.size)
    # in the order of their tracks, since the detector's own changes from frame to frame
    faces = tuple(sorted(faces, key=lambda one: (one.track.number if one.track else 0, one.box)))
    boxes = np.array([face.box for face in faces], np.float64).reshape(-1, 4) * zoom
    for face, box in zip(faces, boxes, strict=True):
        _draw_box(pen, box, colour_of(face), side)
    taken = np.empty((0, 4))
    for i, face in enumerate(faces):
        others = np.delete(boxes, i, 0)
        for tag in tag_variants(face, boxes[i, 2], side):
            place = place_tag(tag, boxes[i], others, taken, image.size)
            if place is not None:
                tag.draw(pen, place, colour_of(face))
                taken = np.vstack([taken, place])
                break


def _draw_box(pen: ImageDraw.ImageDraw, box: Boxes, colour: str, side: int) -> None:
    """A line wide enough to be seen when a large image is shrunk, between two dark lines."""
    x, y, width, height = box.tolist()
    left, top, right, bottom = (round(value) for value in (x, y, x + width, y + height))
    line = max(2, min(round(side / 400), min(right - left, bottom - top) // 12))
    dark = max(1, line // 3)
    edges = (left - dark, top - dark, right - 1 + dark, bottom - 1 + dark)
    pen.rectangle(edges, outline=BACKGROUND, width=line + 2 * dark)
    pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=line)


def _draw_bars(face: Face, size: tuple[int, int]) -> Image.Image:
    """A bar for each label, beside an image of `size`, in letters that grow with it."""
    labels = tuple(map(printable, face.probabilities))
    text = max(16, round(sqrt(size[0] * size[1]) / 45))
    number_font = find_font("0.%", text, beside=labels)
    fonts = [find_font(label, text, beside=labels) for label in labels]
    names = max(own.getlength(label) for label, own in zip(labels, fonts, strict=True))
    row = round(max(1.75 * text, min(3 * text, size[1] / len(labels))))
    left, bar = round(names) + 2 * text, 10 * text
    width = left + bar + text // 2 + round(number_font.getlength("100.0%")) + text
    chart = Image.new("RGB", (width, max(size[1], row * len(labels) + text)), BACKGROUND)
    pen = ImageDraw.Draw(chart)
    top = (chart.height - row * len(labels)) / 2
    for i, (label, probability) in enumerate(zip(labels, face.probabilities.values(), strict=True)):
        middle = top + row * (i + 0.5)
        upper, lower = middle - text / 2, middle + text / 2
        pen.text((left - 0.75 * text, middle), label, font=fonts[i], fill=TEXT, anchor="rm")
        pen.rectangle((left, upper, left + bar, lower), fill=EMPTY)
        if probability * bar >= 1:
            colour = PALETTE[i % len(PALETTE)]
            pen.rectangle((left, upper, left + probability * bar, lower), fill=colour)
        end = (left + bar + text // 2, middle)
        pen.text(end, f"{probability:.1%}", font=number_font, fill=TEXT, anchor="lm")
    return chart
