"""Plot reports and training curves with matplotlib, without a display."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.atomic import whole_file
from fer_edge.errors import MissingExtraError
from fer_edge.train.evaluation.annotator_agreement import AnnotatorAgreement
from fer_edge.train.evaluation.calibration_error import reliability_bins
from fer_edge.train.evaluation.metrics import Report, wilson_interval

try:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from fer_edge.train.evaluation.label_fonts import with_label_fonts
except ModuleNotFoundError:
    raise MissingExtraError("matplotlib", "train") from None

BLUE, RED, GREEN = "#2f6f9f", "#c8452f", "#3d8b4f"


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file atomically; "$" in a name or label starts no formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=110)


@with_label_fonts
def plot_confusion(report: Report) -> Figure:
    """Confusion matrix: true labels in rows; colour is the fraction of the row, text the count."""
    counts = report.confusion
    fractions = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.6 + 0.75 * len(report.labels)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if fractions[row, column] > 0.55 else "black"
        text = f"{count}\n{fractions[row, column]:.0%}" if counts[row].any() else "-"
        axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=9)
    ticks = range(len(report.labels))
    axes.set_xticks(ticks, report.labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, report.labels)
    axes.set(xlabel="predicted label", ylabel="true label")
    axes.set_title(
        f"{Path(report.model).name} on {report.split}: "
        f"accuracy {report.accuracy:.2%} on {len(report.truth):,} faces",
        fontsize=11,
    )
    figure.colorbar(image, ax=axes, shrink=0.8, label="fraction of the true label's faces")
    return figure


@with_label_fonts
def plot_reliability(report: Report) -> Figure:
    """Reliability diagram: accuracy against confidence in 15 bins, and the number of faces."""
    mean, accuracy, count = reliability_bins(report.probabilities, report.truth)
    ends = np.array(
        [wilson_interval(a, n) for a, n in zip(accuracy.tolist(), count.tolist(), strict=True)]
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
        label="accuracy at the bin's mean confidence, 95 % interval",
    )
    upper.plot([0, 1], [0, 1], "--", color="gray", label="perfect calibration")
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.01))
    upper.set_title(
        f"{Path(report.model).name} on {report.split}: expected calibration error "
        f"{report.metrics().ece:.3f}\n"
        f"(perfectly calibrated model: {report.ece_if_calibrated.mean:.3f})",
        fontsize=11,
    )
    lower.bar(edges[:-1], count, width, align="edge", color="gray", edgecolor="white")
    lower.set(xlabel="confidence", ylabel="faces")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


@with_label_fonts
def plot_annotators(report: Report, agreement: AnnotatorAgreement) -> Figure:
    """Accuracy on FER+'s majority labels against the number of annotators who agreed."""
    figure = Figure(figsize=(6, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    votes = [level.votes for level in agreement.levels]
    faces = [level.faces for level in agreement.levels]
    accuracy = np.array([level.accuracy for level in agreement.levels])
    ends = np.array([wilson_interval(level.accuracy, level.faces) for level in agreement.levels])
    upper.bar(votes, accuracy, 0.8, color=BLUE)
    upper.errorbar(
        votes, accuracy, np.abs(ends.T - accuracy), fmt="none", color="black", capsize=3,
        label="95 % interval",
    )  # fmt: skip
    upper.plot(votes, [k / 10 for k in votes], "o--", color=RED, label="one random annotator")
    upper.set(ylabel="accuracy on the majority label", ylim=(0, 1.02))
    upper.set_title(
        f"{Path(report.model).name} on {report.split}: accuracy {agreement.accuracy:.2%} on "
        f"{agreement.n:,} majority labels",
        fontsize=11,
    )
    lower.bar(votes, faces, 0.8, color="gray")
    lower.set(xlabel="annotators of ten who chose the majority label", ylabel="faces")
    lower.set_xticks(votes)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def plot_curves(rows: list[dict[str, str]], metric: str = "val_accuracy") -> Figure:
    """Loss and the metric of validation over the epochs of a run's `metrics.csv`."""
    epochs = [int(row["epoch"]) for row in rows]

    def column(name: str) -> list[float]:
        return [float(row[name]) for row in rows]

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, column("train_loss"), ".-", color=BLUE, label="train (augmented, smoothed)")
    left.plot(epochs, column("val_loss"), ".-", color=RED, label="validation")
    left.set(xlabel="epoch", ylabel="loss")
    left.legend()
    values = [100 * value for value in column(metric)]
    best = int(np.argmax(values))
    right.plot(epochs, values, ".-", color=RED)
    right.plot(epochs[best], values[best], "o", color=GREEN)
    # in the title: beside the point, the text would cover the line or leave the figure
    right.set_title(f"{values[best]:.2f} % in epoch {epochs[best]}", color=GREEN, fontsize=11)
    right.set(
        xlabel="epoch", ylabel=f"{metric.replace('val_', 'validation ').replace('_', ' ')}, %"
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


@with_label_fonts
def plot_gallery(report: Report, pixels: npt.NDArray[np.uint8], columns: int = 8) -> Figure:
    """Two rows of correct and two of wrong predictions, from high to low confidence."""
    is_correct = report.predicted == report.truth
    confidence = report.probabilities.max(1)
    figure = Figure(figsize=(1.5 * columns, 8.6), layout="constrained")
    grid = figure.subplots(4, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for top, chosen, colour in ((0, is_correct, GREEN), (2, ~is_correct, RED)):
        indices = np.flatnonzero(chosen)
        indices = indices[np.argsort(-confidence[indices], kind="stable")]
        if len(indices) > 2 * columns:
            indices = indices[np.linspace(0, len(indices) - 1, 2 * columns).astype(int)]
        for axes, index in zip(grid[top : top + 2].flat, indices, strict=False):
            axes.imshow(pixels[index], cmap="gray", vmin=0, vmax=255)
            truth = report.labels[report.truth[index]]
            predicted = report.labels[report.predicted[index]]
            text = f"{predicted} {confidence[index]:.0%}"
            if predicted != truth:
                probability = report.probabilities[index, report.truth[index]]
                text += f"\ntruth {truth} {probability:.0%}"
            axes.set_title(text, fontsize=8, color=colour)
    figure.suptitle(
        f"{Path(report.model).name} on {report.split}: correct predictions above, wrong "
        "ones below, by confidence",
        fontsize=11,
    )
    return figure
