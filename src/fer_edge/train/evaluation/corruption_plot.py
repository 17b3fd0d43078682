"""Plot what corruptions do to a model: accuracy and calibration error, and predicted labels."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fer_edge.train.evaluation.corruption_report import CorruptionReport
from fer_edge.train.evaluation.label_fonts import with_label_fonts
from fer_edge.train.evaluation.metrics import Report, wilson_interval
from fer_edge.train.evaluation.plots import BLUE, RED

_TRUTH = "true labels"


@with_label_fonts
def plot_corruptions(report: Report, corruptions: CorruptionReport) -> Figure:
    """Accuracy and calibration error of each corruption, and how often each label is predicted.

    The last bar on the right is how often each label is the true one.
    """
    rows = corruptions.all_rows
    names = [row.name for row in rows]
    places = np.arange(len(rows))
    figure = Figure(figsize=(11.5, 1.8 + 0.28 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2)
    accuracy = np.array([row.accuracy for row in rows])
    ends = np.array([wilson_interval(value, corruptions.n) for value in accuracy.tolist()])
    left.barh(places, accuracy, 0.75, color=BLUE, label="accuracy, 95 % interval")
    # the mean has no interval: its rows are of the same faces
    left.errorbar(
        accuracy[:-1], places[:-1], xerr=np.abs(ends.T - accuracy)[:, :-1], fmt="none",
        color="black", capsize=2,
    )  # fmt: skip
    left.axvline(accuracy[0], color=BLUE, linestyle="--", linewidth=1)
    left.plot([row.ece for row in rows], places, "o", color=RED, label="calibration error")
    left.set(xlim=(0, 1), xlabel="accuracy, calibration error")
    left.set_yticks(places, names)
    truth = np.bincount(report.truth, minlength=len(report.labels)) / len(report.truth)
    fractions = np.array([*(row.predicted for row in rows), truth])
    colours = matplotlib.colormaps["tab20"].resampled(max(len(report.labels), 2))
    starts = np.zeros(len(fractions))
    lines = np.arange(len(fractions))
    for number, label in enumerate(report.labels):
        part = fractions[:, number]
        right.barh(lines, part, 0.75, starts, color=colours(number), label=label)
        starts += part
    right.set(xlim=(0, 1), xlabel="fraction of the predictions")
    right.set_yticks(lines, [*names, _TRUTH])
    for axes in (left, right):
        axes.set_ylim(len(fractions) - 0.4, -0.6)  # rows beside each other, the first one above
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False, fontsize=9)
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=4, frameon=False, fontsize=9)
    figure.suptitle(
        f"{Path(report.model).name} on {report.split}, {corruptions.n:,} faces: accuracy "
        f"{rows[0].accuracy:.2%}, with corruptions {rows[-1].accuracy:.2%} on average",
        fontsize=11,
    )
    return figure
