"""Measuring a model under corruptions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import BarContainer

from fer_edge.spec import CropSpec
from fer_edge.train.data.dataset import Faces
from fer_edge.train.evaluation.corruption_plot import plot_corruptions
from fer_edge.train.evaluation.corruption_report import (
    CorruptionReport,
    CorruptionRow,
    measure_corruptions,
)
from fer_edge.train.evaluation.corruptions import make_corruptions
from fer_edge.train.evaluation.evaluate import Model, evaluate, predict_probabilities
from fer_edge.train.evaluation.metrics import Report
from fer_edge.train.evaluation.plots import save_figure


def measure(model: Model, faces: Faces) -> tuple[Report, CorruptionReport]:
    report = evaluate(model, faces, "test")

    def predict(pixels: np.ndarray) -> np.ndarray:
        return predict_probabilities(model, pixels)

    return report, measure_corruptions(report, predict, faces.pixels, model.spec.crop)


def test_rows_are_what_the_model_predicts(model: Model, faces: Faces) -> None:
    report, found = measure(model, faces)
    metrics = report.metrics()
    assert (found.clean.accuracy, found.clean.unchanged) == (report.accuracy, 1.0)
    assert (found.clean.ece, found.n) == (metrics.ece, len(faces))
    assert [row.name for row in found.rows] == list(make_corruptions(CropSpec()))
    rows = {row.name: row for row in found.rows}
    assert rows["contrast x 0.5"].unchanged > 0.9
    dark = rows["brightness x 0.25"]
    assert dark.unchanged == 0
    assert max(dark.predicted) == dark.predicted[1] == 1.0
    assert dark.accuracy == pytest.approx((faces.labels == 1).mean())
    for row in found.all_rows:
        assert sum(row.predicted) == pytest.approx(1)


def test_the_mean_leaves_out_the_clean_faces() -> None:
    rows = (
        CorruptionRow("a", 0.2, 0.4, 0.1, (0.5, 0.5)),
        CorruptionRow("b", 0.4, 0.2, 0.3, (1.0, 0.0)),
    )
    clean = CorruptionRow("clean", 1.0, 1.0, 0.0, (0.0, 1.0))
    found = CorruptionReport(("happy", "sad"), 10, clean, rows)
    mean = found.mean
    assert (mean.accuracy, mean.unchanged, mean.ece) == pytest.approx((0.3, 0.3, 0.2))
    assert mean.predicted == (0.75, 0.25)
    document = found.to_dict()
    assert document["rows"][1] == {
        "name": "b", "accuracy": 0.4, "unchanged": 0.2, "ece": 0.3,
        "predicted": {"happy": 1.0, "sad": 0.0},
    }  # fmt: skip
    assert document["clean"]["accuracy"] == 1.0
    assert document["mean"]["predicted"] == {"happy": 0.75, "sad": 0.25}


def test_progress(model: Model, faces: Faces) -> None:
    many = faces.take(np.arange(300) % len(faces))
    seen: list[tuple[str, int, int]] = []
    report = evaluate(model, many, "test")
    measure_corruptions(
        report,
        lambda pixels: predict_probabilities(model, pixels),
        many.pixels,
        model.spec.crop,
        lambda *step: seen.append(step),
    )
    assert seen[:2] == [
        ("noise, sigma 5 (1 of 20)", 256, 300),
        ("noise, sigma 5 (1 of 20)", 300, 300),
    ]
    assert seen[-1] == ("eyes covered (20 of 20)", 300, 300)


def test_the_plot(model: Model, faces: Faces, tmp_path: Path) -> None:
    report, found = measure(model, faces)
    figure = plot_corruptions(report, found)
    left, right = figure.axes
    names = [row.name for row in found.all_rows]
    assert [text.get_text() for text in left.get_yticklabels()] == names
    assert [text.get_text() for text in right.get_yticklabels()] == [*names, "true labels"]
    bars = next(one for one in left.containers if isinstance(one, BarContainer))
    widths = [bar.get_width() for bar in bars]
    assert widths == pytest.approx([row.accuracy for row in found.all_rows])
    assert [bars.get_label() for bars in right.containers] == list(report.labels)
    truth = np.bincount(report.truth, minlength=len(report.labels)) / len(report.truth)
    for number, bars in enumerate(right.containers):
        assert isinstance(bars, BarContainer)
        expected = [*(row.predicted[number] for row in found.all_rows), truth[number]]
        assert [bar.get_width() for bar in bars] == pytest.approx(expected)
    save_figure(figure, tmp_path / "c.png")
    many = tuple(f"class {i}" for i in range(23))
    row = replace(found.clean, predicted=(1.0, *[0.0] * 22))
    wide = CorruptionReport(many, found.n, row, tuple(replace(row, name=n) for n in "ab"))
    report = replace(report, labels=many)
    save_figure(plot_corruptions(report, wide), tmp_path / "wide.png")
