"""Plot accuracy against latency, with the models that no other one dominates."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from fer_edge.errors import DataError
from fer_edge.runtime.diagnostics.benchmark import Benchmark
from fer_edge.text import printable
from fer_edge.train.evaluation.plots import BLUE, GREEN, RED

COLOURS = (BLUE, RED, "#8a5fa8", "#b8862b")
"""Colour of each engine, in the order of the rows."""
MARKERS = "osD^vPX*<>ph"
"""Shape of each model, in the order of the rows; further ones are numbered."""


@dataclass(frozen=True)
class ParetoPoint:
    """One model under one engine.

    Attributes:
        model: path of the file.
        backend: name of the engine.
        size: bytes of the file.
        ms: median milliseconds of one face with one thread; `low`, `high`: its 95 % interval.
        accuracy: in [0, 1].
    """

    model: str
    backend: str
    size: int
    ms: float
    low: float
    high: float
    accuracy: float


def pareto_points(benchmark: Benchmark) -> list[ParetoPoint]:
    """The rows measured with one face and one thread that have an accuracy."""
    return [
        ParetoPoint(
            row.model,
            row.backend,
            row.size,
            row.speed.p50_ms,
            *row.speed.interval_ms,
            row.accuracy,
        )
        for row in benchmark.rows
        if (row.threads, row.batch) == (1, 1) and row.speed is not None and row.accuracy is not None
    ]


def pareto_front(points: Sequence[ParetoPoint]) -> list[ParetoPoint]:
    """The points that no other point dominates in speed and accuracy, fastest first."""
    front: list[ParetoPoint] = []
    for point in sorted(points, key=lambda one: (one.ms, -one.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def plot_pareto(benchmark: Benchmark) -> Figure:
    """Plot accuracy against the median latency of one face with one thread.

    Colours are engines, shapes are models; the legend below the axes names both.

    Raises:
        DataError: no row was measured with one face and one thread and has an accuracy.
    """
    points = pareto_points(benchmark)
    if not points:
        raise DataError("nothing to plot: no accuracy of a model timed with one face and thread")
    sizes = {point.model: point.size for point in points}
    shapes = {
        model: MARKERS[i] if i < len(MARKERS) else f"${i + 1}$" for i, model in enumerate(sizes)
    }
    engines = dict.fromkeys(point.backend for point in points)
    colours = dict(zip(engines, itertools.cycle(COLOURS), strict=False))
    figure = Figure(figsize=(8, 5 + 0.13 * (len(shapes) + len(colours))), layout="constrained")
    axes = figure.subplots()
    for point in points:
        axes.errorbar(
            point.ms,
            100 * point.accuracy,
            xerr=[[point.ms - point.low], [point.high - point.ms]],
            linestyle="",
            marker=shapes[point.model],
            color=colours[point.backend],
            markersize=10,
            markeredgewidth=0.5,
            zorder=3,
        )
    _set_scales(axes, points)
    _draw_front(axes, pareto_front(points))
    axes.set(xlabel="median ms per face, one thread, with its 95 % interval", ylabel="accuracy, %")
    axes.grid(alpha=0.3)
    faces = f", {benchmark.faces:,} faces" if benchmark.faces else ""
    axes.set_title(f"accuracy on {benchmark.split}{faces}, against latency", fontsize=11)
    names = _distinct_file_names(list(shapes))
    labels = {model: f"{names[model]}, {size / 1e6:.1f} MB" for model, size in sizes.items()}
    entries = [
        *(_entry(labels[model], shape, "gray") for model, shape in shapes.items()),
        *(_entry(engine, "o", colour) for engine, colour in colours.items()),
        Line2D([], [], color=GREEN, label="Pareto front"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def _entry(label: str, marker: str, colour: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, color=colour, markersize=8, label=label)


def _distinct_file_names(models: Sequence[str]) -> dict[str, str]:
    """The file name of each path, or the whole path where two have the same file name."""
    names = [printable(Path(model).name) for model in models]
    pairs = zip(models, names, strict=True)
    return {model: name if names.count(name) == 1 else printable(model) for model, name in pairs}


def _draw_front(axes: Axes, front: Sequence[ParetoPoint]) -> None:
    """Draw the staircase above and left of which there is no point."""
    corners = [(front[0].ms, axes.get_ylim()[0])]
    for point, following in itertools.zip_longest(front, front[1:]):
        end = axes.get_xlim()[1] if following is None else following.ms
        corners += [(point.ms, 100 * point.accuracy), (end, 100 * point.accuracy)]
    axes.plot(*zip(*corners, strict=True), color=GREEN, zorder=1)


def _set_scales(axes: Axes, points: Sequence[ParetoPoint]) -> None:
    times, percents = [point.ms for point in points], [100 * point.accuracy for point in points]
    factor = max(max(times) / min(times), 3) ** 0.2
    low, high = min(times) / factor, max(times) * factor
    margin = max(0.15 * (max(percents) - min(percents)), 0.5)
    axes.set(xscale="log", xlim=(low, high), ylim=(min(percents) - margin, max(percents) + margin))
    is_narrow = high < 8 * low
    axes.xaxis.set_major_locator(MaxNLocator(7) if is_narrow else LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
