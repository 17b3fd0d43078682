"""The picture of a timeline: a row a face, colours for expressions, time from left to right."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw

from fer_edge.runtime.drawing.annotate import INK, ON_COLOUR, PALE, PALETTE, PAPER, UNSURE
from fer_edge.runtime.drawing.fonts import find_font, readable
from fer_edge.runtime.results import UNCERTAIN

if TYPE_CHECKING:
    from fer_edge.runtime.drawing.timeline import Seen, Timeline

WIDTH, MOST_HEIGHT = 1600, 900
LEFT, RIGHT, BOTTOM = 190, 1560, 56
"""Of the rows: their sides, and the room under them, in pixels."""
STRIP, GAP = 20, 24
"""Heights of a row's strip and of the space between two rows."""
_TALLEST = 330
_FINE = 4
"""Levels in a pixel, so that the colours' edges are smooth."""
_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
_LONGER = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_MOST_TICKS = 13
HOW_TO_READ = (
    "Height of a colour: how likely that expression is, smoothed. Strip above: the one shown."
)
_DIM = "#9aa3ad"

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def chart(timeline: Timeline, *, font: Path | None = None) -> Image.Image:
    """The picture, RGB, 1600 px wide and at most 900 high; it says so when there was no face.

    Raises:
        ConfigError: no font has a label's characters.
    """
    rows = timeline.rows()
    head = Image.new("RGB", (WIDTH, MOST_HEIGHT), PAPER)
    top = _head(ImageDraw.Draw(head), timeline, font)
    room = (MOST_HEIGHT - top - BOTTOM) // max(len(rows), 1)
    row = min(room, _TALLEST)
    picture = head.crop((0, 0, WIDTH, top + row * max(len(rows), 1) + BOTTOM))
    pen = ImageDraw.Draw(picture, "RGBA")
    if not rows:
        words = "no frame was read" if timeline.empty else "no face was seen"
        _words(pen, (WIDTH / 2, top + row / 2), words, 32, anchor="mm")
        return picture
    bottom = top + row * len(rows) - GAP
    for i, (number, seen) in enumerate(rows):
        _row(picture, pen, timeline, number, seen, top + row * i, row - GAP, font)
    _axis(pen, timeline, top, bottom)
    return picture


def named(source: str) -> str:
    """What a plot calls a source: a file's name, a camera's number, an address without password."""
    if "://" in source:
        address = urlsplit(source)
        return f"{address.hostname or ''}{address.path}"
    return f"camera {source}" if source.isdecimal() else Path(source).name


def clock(seconds: float, *, most: float, places: int = 0) -> str:
    """A time as `7 s`, `1:07` or `1:00:07`, so as `most`, the longest beside it, has to be."""
    seconds, most = round(seconds, places), round(most, places)
    if most < 60:
        return f"{seconds:.{places}f} s"
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:0{places + 3 if places else 2}.{places}f}"
    hours, left = divmod(int(minutes), 60)
    return f"{hours}:{left:02}:{text}" if most >= 3600 else f"{int(minutes)}:{text}"


def ticks(start: float, end: float) -> tuple[list[float], float]:
    """Round times in [start, end], at most 14, and the step between them, in seconds."""
    steps = (*_SECONDS, *_LONGER, *(_LONGER[-1] * 2**k for k in range(1, 40)))
    step = next(one for one in steps if one * _MOST_TICKS >= end - start)
    first = int(np.ceil(start / step - 1e-9))
    last = int(np.floor(end / step + 1e-9))
    return [k * step for k in range(first, last + 1)], step


def _head(pen: ImageDraw.ImageDraw, timeline: Timeline, font: Path | None) -> int:
    """Title, how to read it, legend; where the rows begin, in pixels."""
    title = readable(named(timeline.source), font=font) or "no video"
    large = find_font(title, 34, font=font)
    while large.getlength(title) > WIDTH - 80:
        title = title[: -max(4, len(title) // 20)] + "..."
    pen.text((40, 52), title, font=large, fill=INK, anchor="ls")
    length = timeline.end - timeline.start
    took = clock(length, most=length, places=int(length < 10))
    faces = f"{timeline.count:,} {'face' if timeline.count == 1 else 'faces'} in {took}"
    _words(pen, (40, 86), faces, 20)
    if not timeline.count:
        return 120
    _words(pen, (WIDTH - 40, 86), HOW_TO_READ, 17, fill=_DIM, anchor="rs")
    entries = [(one, PALETTE[i % len(PALETTE)]) for i, one in enumerate(timeline.labels)]
    entries += [(UNCERTAIN, UNSURE)] if timeline.uncertain else []
    entries += [("not in the picture", PALE)]
    x, y = 40.0, 126
    for label, colour in entries:
        own = find_font(label, 20, font=font, beside=timeline.labels)
        wide = 30 + own.getlength(label)
        if x + wide > WIDTH - 40 and x > 40:
            x, y = 40.0, y + 32
        pen.rectangle((x, y - 16, x + 19, y + 3), fill=colour)
        pen.text((x + 30, y), label, font=own, fill=INK, anchor="ls")
        x += wide + 34
    return y + 36


def _words(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    *,
    fill: str = INK,
    anchor: str = "ls",
) -> None:
    """Words of our own, in Pillow's own font."""
    pen.text(place, text, font=find_font(text, size), fill=fill, anchor=anchor)


def _row(
    picture: Image.Image,
    pen: ImageDraw.ImageDraw,
    timeline: Timeline,
    number: int,
    seen: Seen,
    top: int,
    high: int,
    font: Path | None,
) -> None:
    area = top + STRIP + 3
    name = f"face {number}" if number else f"{seen.count:,} other{'s' if seen.count > 1 else ''}"
    took = clock(seen.seconds, most=seen.seconds, places=int(seen.seconds < 10))
    _words(pen, (40, area + 16), name, 22)
    _words(pen, (40, area + 38), f"{'seen' if number else 'sum'} {took}", 17, fill=_DIM)
    for text, y in (("100%", area), ("0%", top + high)):
        _words(pen, (LEFT - 8, y), text, 13, fill=_DIM, anchor="rm")
    here, shares, shown = columns(seen, timeline)
    colours = [PALETTE[i % len(PALETTE)] for i in range(seen.labels)]
    strip = np.where(here, shown, -1)
    picture.paste(_coloured(strip[None].repeat(STRIP, 0), [*colours, UNSURE, PALE]), (LEFT, top))
    _names(pen, strip, (*timeline.labels, UNCERTAIN), top, font)
    levels = (
        (np.arange((top + high - area) * _FINE) + 0.5)[::-1, None] / (top + high - area) / _FINE
    )
    place = np.zeros((len(levels), len(here)), np.int64)
    for edge in shares.cumsum(1)[:, :-1].T:
        place += levels > edge
    fine = _coloured(np.where(here, place, -1), [*colours, UNSURE, PALE])
    picture.paste(fine.reduce((1, _FINE)), (LEFT, area))


def _names(
    pen: ImageDraw.ImageDraw, strip: Places, labels: tuple[str, ...], top: int, font: Path | None
) -> None:
    """What was shown, where it was shown long enough for its name."""
    edges = [0, *(np.flatnonzero(np.diff(strip)) + 1).tolist(), len(strip)]
    for begin, end in pairwise(edges):
        if strip[begin] < 0:
            continue
        label = labels[strip[begin]]
        own = find_font(label, 15, font=font, beside=labels)
        if own.getlength(label) + 8 <= end - begin:
            at = (LEFT + (begin + end) / 2, top + STRIP / 2)
            pen.text(at, label, font=own, fill=ON_COLOUR, anchor="mm")


def _coloured(places: Places, colours: list[str]) -> Image.Image:
    table = np.array([ImageColor.getrgb(one)[:3] for one in colours], np.uint8)
    return Image.fromarray(table[places])


def columns(seen: Seen, timeline: Timeline) -> tuple[Mask, Floats, Places]:
    """What the plot's columns of pixels show, from left to right.

    Returns:
        Whether the face was seen, `[columns]`; the mean of its smoothed probabilities,
        `[columns, labels]`; and the place of the label that was shown longest, `[columns]`, with
        the number of labels for "uncertain".
    """
    bins = np.arange(len(seen.sums) + 1) * timeline.width
    edges = np.linspace(0, timeline.end - timeline.start, RIGHT - LEFT + 1)
    whole = np.vstack([np.zeros(seen.sums.shape[1]), seen.sums.cumsum(0)])
    sums = np.diff(np.stack([np.interp(edges, bins, one) for one in whole.T], 1), axis=0)
    here = sums[:, 0] > 1e-6 * edges[1]
    shares = sums[:, 1 : seen.labels + 1] / np.where(here, sums[:, 0], 1)[:, None]
    return here, shares, sums[:, seen.labels + 1 :].argmax(1)


def _axis(pen: ImageDraw.ImageDraw, timeline: Timeline, top: int, bottom: int) -> None:
    times, step = ticks(timeline.start, timeline.end)
    places = 0 if step >= 1 else 1 if step >= 0.1 else 2
    scale = (RIGHT - LEFT) / (timeline.end - timeline.start)
    for time in times:
        x = LEFT + (time - timeline.start) * scale
        pen.line((x, top, x, bottom + 8), fill=(0, 0, 0, 70), width=1)
        pen.line((x, bottom, x, bottom + 8), fill=_DIM, width=1)
        text = clock(time, most=times[-1], places=places)
        most = WIDTH - 4 - find_font(text, 18).getlength(text) / 2
        _words(pen, (min(x, most), bottom + 30), text, 18, anchor="ms")
    unit = "s" if times[-1] < 60 else "min:s" if times[-1] < 3600 else "h:min:s"
    _words(pen, (40, bottom + 30), f"time, {unit}", 17, fill=_DIM)
