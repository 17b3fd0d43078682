"""Pictures of results: a box and a name on each face, a panel of bars when there is one face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from fer_edge.runtime.preprocess import is_deep, to_gray

if TYPE_CHECKING:
    from fer_edge.runtime.results import Face, Result

SMALLEST = 360
"""A picture whose longer side is shorter is enlarged to this, so that text can be read."""
PALETTE = ("#e4572e", "#76b041", "#8a5fbf", "#f2b134", "#4a7fb5", "#e86fa4", "#8d99a6", "#2a9d8f")
PAPER, INK, PALE, UNSURE = "#16191d", "#f4f4f4", "#2c3138", "#c9ced4"


def colour_of(face: Face) -> str:
    """A colour an expression, by the label's place in the spec; another for "uncertain"."""
    labels, shown = list(face.probabilities), (face.track or face).emotion
    return PALETTE[labels.index(shown) % len(PALETTE)] if shown in labels else UNSURE


def draw(result: Result) -> Image.Image:
    """The annotated picture, RGB; with one face, a panel of every label's probability beside it."""
    zoom = max(1.0, SMALLEST / max(result.width, result.height))
    size = (round(result.width * zoom), round(result.height * zoom))
    image = result.image
    if is_deep(image):
        image = Image.fromarray(to_gray(image))
    picture = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for face in result.faces:
        _mark(pen, face, [round(value * zoom) for value in face.box], size)
    if len(result.faces) != 1 or result.frame is not None:
        return picture  # frames of a video are of one size
    panel = _panel(result.faces[0], picture.height)
    both = Image.new("RGB", (picture.width + panel.width, panel.height), PAPER)
    both.paste(picture, (0, (panel.height - picture.height) // 2))
    both.paste(panel, (picture.width, 0))
    return both


def _mark(pen: ImageDraw.ImageDraw, face: Face, box: list[int], size: tuple[int, int]) -> None:
    """A box, and a name over it as wide as a face with neighbours can have."""
    x, y, w, h = box
    shown = face.track or face  # what doesn't flicker, in a video
    colour = colour_of(face)
    height = max(12.0, min(w / 5, 0.03 * max(size)))
    pen.rectangle((x, y, x + w - 1, y + h - 1), outline=colour, width=max(2, round(height / 7)))
    font = ImageFont.load_default(height)
    text = f"{shown.emotion} {shown.confidence:.0%}"
    _, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    wide, high = right + height / 2, bottom + top
    over = y - high if y >= high else y
    at = max(0.0, min(x, size[0] - wide))
    pen.rectangle((at, over, at + wide, over + high), fill=colour)
    pen.text((at + height / 4, over), text, font=font, fill="#101214")


def _panel(face: Face, height: int) -> Image.Image:
    font = ImageFont.load_default(16)
    row = max(28, min(48, height // len(face.probabilities)))
    names = max(font.getlength(label) for label in face.probabilities)
    left, bar = round(names) + 32, 160
    panel = Image.new(
        "RGB", (left + bar + 72, max(height, row * len(face.probabilities) + 16)), PAPER
    )
    pen = ImageDraw.Draw(panel)
    top = (panel.height - row * len(face.probabilities)) / 2
    for i, (label, share) in enumerate(face.probabilities.items()):
        middle = top + row * (i + 0.5)
        pen.text((left - 12, middle), label, font=font, fill=INK, anchor="rm")
        pen.rectangle((left, middle - 8, left + bar, middle + 8), fill=PALE)
        if share * bar >= 1:
            pen.rectangle(
                (left, middle - 8, left + share * bar, middle + 8), fill=PALETTE[i % len(PALETTE)]
            )
        pen.text((left + bar + 8, middle), f"{share:.1%}", font=font, fill=INK, anchor="lm")
    return panel
