from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fer_edge.errors import DataError
from fer_edge.runtime.device.board import read_board
from fer_edge.runtime.diagnostics.benchmark import Benchmark, Row
from fer_edge.runtime.diagnostics.statistics import Speed
from fer_edge.train.evaluation.pareto import (
    ParetoPoint,
    pareto_front,
    pareto_points,
    plot_pareto,
)
from fer_edge.train.evaluation.plots import save_figure


def row(
    model: str, ms: float, accuracy: float | None, size: int = 10**6, backend: str = "onnxruntime"
) -> Row:
    ends = (0.99 * ms, 1.01 * ms)
    speed = Speed("1", 300, ms, ends, ms, ms, (ms,), 1000 / ms, 1.0, 1.0, 2**26, ())
    return Row(model, "fp32", size, backend, 1, 1, speed, None, accuracy)


def rated(*rows: Row) -> Benchmark:
    return Benchmark("0", read_board(), (), rows, "test", 3589)


def names(some: list[ParetoPoint]) -> list[str]:
    return [point.model for point in some]


def test_the_front() -> None:
    table = [
        *(row("slow", 9, 0.7), row("fast", 1, 0.5), row("beaten", 5, 0.55)),
        *(row("middle", 4, 0.6), row("as fast, worse", 4, 0.59), row("as good, slower", 5, 0.6)),
    ]
    assert names(pareto_front(pareto_points(rated(*table)))) == ["fast", "middle", "slow"]
    assert names(pareto_front(pareto_points(rated(table[0])))) == ["slow"]


def test_only_what_was_measured_with_one_face_and_one_thread() -> None:
    from dataclasses import replace

    one = row("m", 1, 0.5)
    others = [replace(one, threads=2), replace(one, batch=8), replace(one, accuracy=None)]
    found = rated(one, *others, replace(one, speed=None, failure="it crashed"))
    assert len(pareto_points(found)) == 1
    with pytest.raises(DataError, match="nothing to plot"):
        plot_pareto(rated(*others))


def test_the_legend_names_models_and_engines(tmp_path: Path) -> None:
    table = [
        row(f"fer-{i}.onnx", 1 + 0.1 * (i % 3), 0.6 + 0.001 * i, 10**6 * (i + 1), engine)
        for i in range(14)
        for engine in ("onnxruntime", "openvino")
    ]
    figure = plot_pareto(rated(*table))
    save_figure(figure, tmp_path / "pareto.png")
    with Image.open(tmp_path / "pareto.png") as image:
        assert min(image.size) > 300
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == [
        *(f"fer-{i}.onnx, {i + 1}.0 MB" for i in range(14)),
        *("onnxruntime", "openvino", "Pareto front"),
    ]
    entries = list(legend.legend_handles)
    assert len({line.get_marker() for line in entries[:14]}) == 14  # type: ignore[union-attr]
    assert entries[14].get_color() != entries[15].get_color()  # type: ignore[union-attr]
    figure.draw_without_rendering()
    (axes,) = figure.axes
    frame = axes.get_tightbbox()
    assert not any(text.get_window_extent().overlaps(frame) for text in legend.get_texts())


def test_models_with_one_file_name_are_shown_with_their_folders() -> None:
    figure = plot_pareto(
        rated(row("a/m.onnx", 1, 0.5), row("b/m.onnx", 2, 0.6), row("c/n.onnx", 3, 0.7))
    )
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text.split(",")[0] for text in texts[:3]] == ["a/m.onnx", "b/m.onnx", "n.onnx"]


def test_a_file_name_is_no_formula(tmp_path: Path) -> None:
    figure = plot_pareto(rated(row("$\\frac$\x1b.onnx", 1, 0.6)))
    save_figure(figure, tmp_path / "pareto.png")
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == r"$\frac$\x1b.onnx, 1.0 MB"
