"""Accuracy against time, as a picture: which models none is both faster and better than."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from fer_edge.errors import DataError
from fer_edge.runtime.diagnostics.benchmark import Benchmark
from fer_edge.train.evaluation.plots import BLUE, GREEN, RED

COLOURS = (BLUE, RED, "#8a5fa8", "#b8862b")
"""Of engines, in the order of the rows."""
AREA = 900.0
"""Of the largest file, in square points."""
GAP = 5.0
LINE = 2.0
"""Half of what a line takes, in points."""
DISTANCES = (0.0, 12.0, 26.0, 44.0, 66.0, 92.0)
"""Between a circle and its label, in points."""
STEPS = 16
"""Directions that a label is tried in."""


@dataclass(frozen=True)
class Point:
    """One model under one engine: milliseconds of a face, the median's interval, share right."""

    model: str
    backend: str
    size: int
    ms: float
    low: float
    high: float
    accuracy: float


def points(found: Benchmark) -> list[Point]:
    """What was measured with one face and one thread, and has an accuracy."""
    rows = [row for row in found.rows if (row.threads, row.batch) == (1, 1)]
    return [
        Point(
            row.model,
            row.backend,
            row.size,
            row.speed.p50_ms,
            *row.speed.interval_ms,
            row.accuracy,
        )
        for row in rows
        if row.speed is not None and row.accuracy is not None
    ]


def front(some: Sequence[Point]) -> list[Point]:
    """Those that none is at least as fast and more accurate than, from the fastest on."""
    best: list[Point] = []
    for point in sorted(some, key=lambda one: (one.ms, -one.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def pareto(found: Benchmark) -> Figure:
    """Accuracy against the median time of one face with one thread; a circle's area is the file's.

    Raises:
        DataError: nothing was measured so.
    """
    some = points(found)
    if not some:
        raise DataError(
            "nothing to plot: no model was timed with one face and one thread and rated"
        )
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    engines = list(dict.fromkeys(point.backend for point in some))
    for engine, colour in zip(engines, itertools.cycle(COLOURS), strict=False):
        mine = [point for point in some if point.backend == engine]
        places = [point.ms for point in mine], [100 * point.accuracy for point in mine]
        axes.scatter(
            *places,
            s=[_area(point, some) for point in mine],
            color=colour,
            alpha=0.6,
            edgecolor="white",
            label=engine,
        )
        ends = [[p.ms - p.low for p in mine], [p.high - p.ms for p in mine]]
        axes.errorbar(*places, xerr=ends, fmt="none", ecolor="black", elinewidth=1)
    _scales(axes, some)
    corners = _front(axes, front(some))
    axes.set(
        xlabel="ms of one face with one thread: median, and its 95 % interval", ylabel="accuracy, %"
    )
    axes.grid(alpha=0.3)
    faces = f", {found.faces:,} faces" if found.faces else ""
    axes.set_title(f"accuracy on {found.split}{faces}; area: size of the file", fontsize=11)
    legend = axes.legend(loc="lower right", markerscale=0.4)
    figure.draw_without_rendering()  # only then it is known where things are
    _labels(figure, axes, some, corners, legend.get_window_extent())
    return figure


def _front(axes: Axes, best: Sequence[Point]) -> list[tuple[float, float]]:
    """Draw the line that nothing is above and left of; its corners."""
    corners = [(best[0].ms, axes.get_ylim()[0])]
    for point, following in itertools.zip_longest(best, best[1:]):
        end = axes.get_xlim()[1] if following is None else following.ms
        corners += [(point.ms, 100 * point.accuracy), (end, 100 * point.accuracy)]
    axes.plot(*zip(*corners, strict=True), color=GREEN, zorder=1, label="Pareto front")
    return corners


def _scales(axes: Axes, some: Sequence[Point]) -> None:
    times, shares = [point.ms for point in some], [100 * point.accuracy for point in some]
    spread = max(max(times) / min(times), 3) ** 0.3
    low, high = min(times) / spread, max(times) * spread
    margin = max(0.25 * (max(shares) - min(shares)), 0.5)
    axes.set(xscale="log", xlim=(low, high), ylim=(min(shares) - margin, max(shares) + margin))
    near = high < 8 * low
    axes.xaxis.set_major_locator(MaxNLocator(7) if near else LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")


def _labels(
    figure: Figure,
    axes: Axes,
    some: Sequence[Point],
    corners: Sequence[tuple[float, float]],
    legend: Bbox,
) -> None:
    """A name beside each circle, at the nearest place where it covers nothing."""
    points_a_pixel = 72 / figure.dpi
    circles = [_circle(axes, point, some, points_a_pixel) for point in some]
    frame = _scaled(axes.get_window_extent(), points_a_pixel)
    taken = [_scaled(legend, points_a_pixel)]
    taken += [Bbox.from_extents(x - r, y - r, x + r, y + r) for x, y, r in circles]
    bars = [[(end, 100 * point.accuracy) for end in (point.low, point.high)] for point in some]
    for ends in (*bars, *itertools.pairwise(corners)):
        line = _scaled(Bbox(axes.transData.transform(ends)), points_a_pixel)
        taken.append(line.padded(LINE))
    for point, (x, y, radius) in zip(some, circles, strict=True):
        name = Path(point.model).name
        alike = {other.model for other in some if Path(other.model).name == name}
        note = axes.annotate(
            f"{name if len(alike) == 1 else point.model}\n"
            f"{point.backend}, {point.size / 1e6:.1f} MB",
            (point.ms, 100 * point.accuracy),
            (0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": "gray", "shrinkA": 0, "shrinkB": radius},
        )
        size = _scaled(Text.get_window_extent(note), points_a_pixel)  # without its line
        places = list(_around(x, y, radius + GAP, size.width, size.height))
        best = min(places, key=lambda box: _covered(box, taken, frame))
        note.set_position(((best.x0 + best.x1) / 2 - x, (best.y0 + best.y1) / 2 - y))
        if note.arrow_patch is not None:
            note.arrow_patch.set_visible(places.index(best) >= STEPS)  # the nearest ones need none
        taken.append(best)


def _circle(
    axes: Axes, point: Point, some: Sequence[Point], scale: float
) -> tuple[float, float, float]:
    """Centre and radius, in points."""
    x, y = axes.transData.transform((point.ms, 100 * point.accuracy))
    return x * scale, y * scale, math.sqrt(_area(point, some) / math.pi)


def _area(point: Point, some: Sequence[Point]) -> float:
    return AREA * point.size / max(other.size for other in some)


def _scaled(box: Bbox, scale: float) -> Bbox:
    return Bbox(box.get_points() * scale)


def _around(x: float, y: float, radius: float, width: float, height: float) -> Iterator[Bbox]:
    """Places for a label of that size about a circle, the nearest ones first."""
    for distance in DISTANCES:
        for step in range(STEPS):
            angle = 2 * math.pi * step / STEPS
            left = x + math.cos(angle) * (radius + distance + width / 2) - width / 2
            bottom = y + math.sin(angle) * (radius + distance + height / 2) - height / 2
            yield Bbox.from_bounds(left, bottom, width, height)


def _covered(box: Bbox, taken: Sequence[Bbox], frame: Bbox) -> float:
    """Square points of a label that lie on something else, or outside the axes."""
    outside = box.width * box.height - _common(box, frame)
    return outside + sum(_common(box, other) for other in taken)


def _common(one: Bbox, other: Bbox) -> float:
    shared = Bbox.intersection(one, other)
    return 0.0 if shared is None else shared.width * shared.height
