"""The chart of a timeline: a row for each face, a colour for each expression."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from fer_edge.runtime.drawing.colours import (
    BACKGROUND,
    EMPTY,
    ON_COLOUR,
    PALETTE,
    TEXT,
    UNCERTAIN_COLOUR,
)
from fer_edge.runtime.drawing.fonts import find_font, replace_missing
from fer_edge.runtime.drawing.timeline_bins import BinnedFaces, ChartData, Indices
from fer_edge.runtime.results import UNCERTAIN
from fer_edge.text import printable

WIDTH, MAX_HEIGHT = 1600, 900
LEFT, RIGHT, BOTTOM = 190, 1560, 56
"""The rows' left and right edge, and the space below them, in pixels."""
STRIP, GAP = 20, 24
"""Heights of a row's strip and of the space between two rows."""
_MAX_ROW = 330
_OVERSAMPLING = 4
"""Levels in a pixel, so that the edges of the areas are smooth."""
_STEPS = (
    *(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10_800, 21_600, 43_200, *(86_400 * 2**k for k in range(40))),
)
_MAX_TICKS = 13
CAPTION = "Area: the smoothed probability of each expression. Strip above: the expression shown."
_DIMMED = "#9aa3ad"

Point = tuple[float, float]


def draw_chart(data: ChartData) -> Image.Image:
    """The chart, RGB, 1600 px wide and at most 900 px high; without faces it says so.

    Raises:
        ConfigError: no font has a label's characters.
    """
    chart = _Chart(data)
    top = chart.draw_head()
    row = min((MAX_HEIGHT - top - BOTTOM) // max(len(data.rows), 1), _MAX_ROW)
    for i, (number, faces) in enumerate(data.rows):
        chart.draw_row(number, faces, top + row * i, row - GAP)
    if data.rows:
        chart.draw_axis(top, top + row * len(data.rows) - GAP)
    else:
        message = "no face was found" if data.source else "no frame was read"
        chart.write((WIDTH / 2, top + row / 2), message, 32, anchor="mm")
    return chart.image.crop((0, 0, WIDTH, top + row * max(len(data.rows), 1) + BOTTOM))


def title_of(source: str) -> str:
    """A source's title: a file's name, a camera's number, an address without its password."""
    if "://" in source:
        address = urlsplit(source)
        return f"{address.hostname or ''}{address.path}"
    return f"camera {source}" if source.isdecimal() else Path(source).name


def format_time(seconds: float, *, longest: float, decimals: int = 0) -> str:
    """A time as `7 s`, `1:07` or `1:00:07`, in the form that `longest`, in seconds, needs."""
    seconds, longest = round(seconds, decimals), round(longest, decimals)
    if longest < 60:
        return f"{seconds:.{decimals}f} s"
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:0{decimals + 3 if decimals else 2}.{decimals}f}"
    hours, left = divmod(int(minutes), 60)
    return f"{hours}:{left:02}:{text}" if longest >= 3600 else f"{int(minutes)}:{text}"


def ticks(start: float, end: float) -> tuple[list[float], float]:
    """Round times in [start, end], at most 14, and the step between them, in seconds."""
    step = next(one for one in _STEPS if one * _MAX_TICKS >= end - start)
    first = int(np.ceil(start / step - 1e-9))
    last = int(np.floor(end / step + 1e-9))
    return [k * step for k in range(first, last + 1)], step


class _Chart:
    def __init__(self, data: ChartData) -> None:
        self.data, self.labels = data, tuple(map(printable, data.labels))
        self.image = Image.new("RGB", (WIDTH, MAX_HEIGHT), BACKGROUND)
        self.pen = ImageDraw.Draw(self.image, "RGBA")

    def write(self, at: Point, text: str, size: int, fill: str = TEXT, anchor: str = "ls") -> None:
        """Text of the chart itself, which Pillow's own font has."""
        self.pen.text(at, text, font=find_font(text, size), fill=fill, anchor=anchor)

    def draw_head(self) -> int:
        """Title, caption and legend; returns where the rows begin, in pixels."""
        data = self.data
        title = replace_missing(printable(title_of(data.source))) or "no video"
        large = find_font(title, 34)
        while large.getlength(title) > WIDTH - 80:
            title = title[: -max(4, len(title) // 20)] + "..."
        self.pen.text((40, 52), title, font=large, fill=TEXT, anchor="ls")
        noun = "face" if data.face_count == 1 else "faces"
        self.write(
            (40, 86), f"{data.face_count:,} {noun} in {_duration(data.end - data.start)}", 20
        )
        if not data.face_count:
            return 120
        self.write((WIDTH - 40, 86), CAPTION, 17, fill=_DIMMED, anchor="rs")
        entries = [(one, PALETTE[i % len(PALETTE)]) for i, one in enumerate(self.labels)]
        entries += [(UNCERTAIN, UNCERTAIN_COLOUR)] if data.has_uncertain else []
        entries += [("not in the image", EMPTY)]
        x, y = 40.0, 126
        for label, colour in entries:
            own = find_font(label, 20, beside=self.labels)
            width = 30 + own.getlength(label)
            if x + width > WIDTH - 40 and x > 40:
                x, y = 40.0, y + 32
            self.pen.rectangle((x, y - 16, x + 19, y + 3), fill=colour)
            self.pen.text((x + 30, y), label, font=own, fill=TEXT, anchor="ls")
            x += width + 34
        return y + 36

    def draw_row(self, number: int, faces: BinnedFaces, top: int, height: int) -> None:
        area, bottom = top + STRIP + 3, top + height
        others = f"{faces.count:,} other{'s' if faces.count > 1 else ''}"
        self.write((40, area + 16), f"face {number}" if number else others, 22)
        duration = f"{'seen' if number else 'sum'} {_duration(faces.seconds)}"
        self.write((40, area + 38), duration, 17, fill=_DIMMED)
        for text, y in (("100%", area), ("0%", bottom)):
            self.write((LEFT - 8, y), text, 13, fill=_DIMMED, anchor="rm")
        is_seen, probabilities, shown = self.data.columns(faces, RIGHT - LEFT)
        colours = [PALETTE[i % len(PALETTE)] for i in range(faces.labels)]
        colours += [UNCERTAIN_COLOUR, EMPTY]
        strip = np.where(is_seen, shown, -1)
        self.image.paste(_to_colours(strip[None].repeat(STRIP, 0), colours), (LEFT, top))
        self.draw_names(strip, top)
        rows = (bottom - area) * _OVERSAMPLING
        levels = (np.arange(rows) + 0.5)[::-1, None] / rows
        indices = np.zeros((rows, len(is_seen)), np.int64)
        for edge in probabilities.cumsum(1)[:, :-1].T:
            indices += levels > edge
        areas = _to_colours(np.where(is_seen, indices, -1), colours)
        self.image.paste(areas.reduce((1, _OVERSAMPLING)), (LEFT, area))

    def draw_names(self, strip: Indices, top: int) -> None:
        """The label of each stretch of the strip that is long enough for it."""
        labels = (*self.labels, UNCERTAIN)
        edges = [0, *(np.flatnonzero(np.diff(strip)) + 1).tolist(), len(strip)]
        for begin, end in pairwise(edges):
            if strip[begin] < 0:
                continue
            label = labels[strip[begin]]
            own = find_font(label, 15, beside=labels)
            if own.getlength(label) + 8 <= end - begin:
                position = (LEFT + (begin + end) / 2, top + STRIP / 2)
                self.pen.text(position, label, font=own, fill=ON_COLOUR, anchor="mm")

    def draw_axis(self, top: int, bottom: int) -> None:
        data = self.data
        times, step = ticks(data.start, data.end)
        decimals = 0 if step >= 1 else 1 if step >= 0.1 else 2
        scale = (RIGHT - LEFT) / (data.end - data.start)
        for time in times:
            x = LEFT + (time - data.start) * scale
            self.pen.line((x, top, x, bottom + 8), fill=(0, 0, 0, 70), width=1)
            self.pen.line((x, bottom, x, bottom + 8), fill=_DIMMED, width=1)
            text = format_time(time, longest=times[-1], decimals=decimals)
            right = WIDTH - 4 - find_font(text, 18).getlength(text) / 2
            self.write((min(x, right), bottom + 30), text, 18, anchor="ms")
        unit = "s" if times[-1] < 60 else "min:s" if times[-1] < 3600 else "h:min:s"
        self.write((40, bottom + 30), f"time, {unit}", 17, fill=_DIMMED)


def _duration(seconds: float) -> str:
    return format_time(seconds, longest=seconds, decimals=int(seconds < 10))


def _to_colours(indices: Indices, colours: list[str]) -> Image.Image:
    table = np.array([ImageColor.getrgb(one)[:3] for one in colours], np.uint8)
    return Image.fromarray(table[indices])
