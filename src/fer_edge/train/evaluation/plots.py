"""Pictures of figures, drawn without a display."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.atomic import whole_file
from fer_edge.errors import MissingExtraError
from fer_edge.train.evaluation.annotator_agreement import People
from fer_edge.train.evaluation.calibration_error import reliability
from fer_edge.train.evaluation.metrics import Report, interval

try:
    from matplotlib.figure import Figure

    from fer_edge.train.evaluation.label_fonts import lettered
except ModuleNotFoundError:
    raise MissingExtraError("matplotlib", "train") from None

BLUE, RED, GREEN = "#2f6f9f", "#c8452f", "#3d8b4f"


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=110)


@lettered
def confusion(report: Report) -> Figure:
    """Rows are truths, columns answers; colour is the share of the row, text the count."""
    counts = report.confusion
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.6 + 0.75 * len(report.labels)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if shares[row, column] > 0.55 else "black"
        text = f"{count}\n{shares[row, column]:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=9)
    places = range(len(report.labels))
    axes.set_xticks(places, report.labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, report.labels)
    axes.set(xlabel="answer", ylabel="truth")
    axes.set_title(
        f"{Path(report.model).name} on {report.split}: "
        f"{report.accuracy:.2%} of {len(report.truth)} right",
        fontsize=11,
    )
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the truth")
    return figure


@lettered
def reliability_diagram(report: Report) -> Figure:
    """Accuracy against confidence in 15 bins, and how many faces fall into each."""
    mean, accuracy, count = reliability(report.probabilities, report.truth)
    ends = np.array(
        [interval(a, n) for a, n in zip(accuracy.tolist(), count.tolist(), strict=True)]
    )
    edges = np.linspace(0, 1, len(count) + 1)
    some = count > 0
    figure = Figure(figsize=(6, 6.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    width = 1 / len(count)
    upper.bar(edges[:-1][some], accuracy[some], width, align="edge", color=BLUE, edgecolor="white")
    upper.errorbar(
        mean[some],
        accuracy[some],
        np.abs(ends.T - accuracy)[:, some],
        fmt="o",
        color=RED,
        capsize=3,
        label="at the bin's mean confidence, with its 95 % interval",
    )
    upper.plot([0, 1], [0, 1], "--", color="gray", label="calibrated")
    upper.set(ylabel="share right", xlim=(0, 1), ylim=(0, 1.01))
    upper.legend(loc="upper left")
    upper.set_title(
        f"{Path(report.model).name} on {report.split}: expected calibration error "
        f"{report.metrics().ece:.3f}\n"
        f"(if every confidence were right: {report.ece_by_chance.mean:.3f} by chance)",
        fontsize=11,
    )
    lower.bar(edges[:-1], count, width, align="edge", color="gray", edgecolor="white")
    lower.set(xlabel="confidence", ylabel="faces")
    return figure


@lettered
def people(report: Report, found: People) -> Figure:
    """Accuracy by the majority's labels against how many of the ten agreed."""
    figure = Figure(figsize=(6, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    votes = [level.votes for level in found.levels]
    faces = [level.faces for level in found.levels]
    accuracy = np.array([level.accuracy for level in found.levels])
    ends = np.array([interval(level.accuracy, level.faces) for level in found.levels])
    upper.bar(votes, accuracy, 0.8, color=BLUE)
    upper.errorbar(
        votes, accuracy, np.abs(ends.T - accuracy), fmt="none", color="black", capsize=3,
        label="95 % interval",
    )  # fmt: skip
    upper.plot(votes, [k / 10 for k in votes], "o--", color=RED, label="one of the ten, by chance")
    upper.set(ylabel="answers as the majority", ylim=(0, 1.02))
    upper.legend(loc="upper left")
    upper.set_title(
        f"{Path(report.model).name} on {report.split}: {found.accuracy:.2%} of {found.n} as the "
        "majority of ten people",
        fontsize=11,
    )
    lower.bar(votes, faces, 0.8, color="gray")
    lower.set(xlabel="people of ten who gave the majority's label", ylabel="faces")
    lower.set_xticks(votes)
    return figure


def curves(rows: list[dict[str, str]]) -> Figure:
    """Loss and validation accuracy over the epochs of a `metrics.csv`."""
    epochs = [int(row["epoch"]) for row in rows]

    def column(name: str) -> list[float]:
        return [float(row[name]) for row in rows]

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, column("train_loss"), ".-", color=BLUE, label="train (augmented, smoothed)")
    left.plot(epochs, column("val_loss"), ".-", color=RED, label="validation")
    left.set(xlabel="epoch", ylabel="cross-entropy")
    left.legend()
    accuracy = [100 * value for value in column("val_accuracy")]
    best = int(np.argmax(accuracy))
    right.plot(epochs, accuracy, ".-", color=RED)
    right.plot(epochs[best], accuracy[best], "o", color=GREEN)
    # above the axes: beside the point it would lie on the line, or beyond the picture's edge
    right.set_title(f"{accuracy[best]:.2f} % in epoch {epochs[best]}", color=GREEN, fontsize=11)
    right.set(xlabel="epoch", ylabel="validation accuracy, %")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


@lettered
def gallery(report: Report, pixels: npt.NDArray[np.uint8], columns: int = 8) -> Figure:
    """Two rows of right and two of wrong answers, spread from the surest to the least sure."""
    right = report.predicted == report.truth
    confidence = report.probabilities.max(1)
    figure = Figure(figsize=(1.5 * columns, 8.6), layout="constrained")
    grid = figure.subplots(4, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for top, chosen, colour in ((0, right, GREEN), (2, ~right, RED)):
        places = np.flatnonzero(chosen)
        places = places[np.argsort(-confidence[places], kind="stable")]
        if len(places) > 2 * columns:
            places = places[np.linspace(0, len(places) - 1, 2 * columns).astype(int)]
        for axes, place in zip(grid[top : top + 2].flat, places, strict=False):
            axes.imshow(pixels[place], cmap="gray", vmin=0, vmax=255)
            truth = report.labels[report.truth[place]]
            answer = report.labels[report.predicted[place]]
            text = f"{answer} {confidence[place]:.0%}"
            if answer != truth:
                share = report.probabilities[place, report.truth[place]]
                text += f"\ntruth {truth} {share:.0%}"
            axes.set_title(text, fontsize=8, color=colour)
    figure.suptitle(
        f"{Path(report.model).name} on {report.split}: right answers above, wrong ones below, "
        "surest first",
        fontsize=11,
    )
    return figure
