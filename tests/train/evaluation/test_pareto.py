from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from matplotlib.text import Annotation, Text
from PIL import Image

from fer_edge.errors import DataError
from fer_edge.runtime.device.board import read_board
from fer_edge.runtime.diagnostics.benchmark import Benchmark, Row
from fer_edge.runtime.diagnostics.statistics import Speed
from fer_edge.train.evaluation.pareto import Point, front, pareto, points
from fer_edge.train.evaluation.plots import save


def row(
    model: str, ms: float, accuracy: float | None, size: int = 10**6, backend: str = "onnxruntime"
) -> Row:
    ends = (0.99 * ms, 1.01 * ms)
    speed = Speed("1", 300, ms, ends, ms, ms, (ms,), 1000 / ms, 1.0, 1.0, 2**26, ())
    return Row(model, "fp32", size, backend, 1, 1, speed, None, accuracy)


def rated(*rows: Row) -> Benchmark:
    return Benchmark("0", read_board(), (), rows, "test", 3589)


def names(some: list[Point]) -> list[str]:
    return [point.model for point in some]


def test_the_front() -> None:
    table = [
        *(row("slow", 9, 0.7), row("fast", 1, 0.5), row("beaten", 5, 0.55)),
        *(row("middle", 4, 0.6), row("as fast, worse", 4, 0.59), row("as good, slower", 5, 0.6)),
    ]
    assert names(front(points(rated(*table)))) == ["fast", "middle", "slow"]
    assert names(front(points(rated(table[0])))) == ["slow"]


def test_only_what_was_measured_with_one_face_and_one_thread() -> None:
    from dataclasses import replace

    one = row("m", 1, 0.5)
    others = [replace(one, threads=2), replace(one, batch=8), replace(one, accuracy=None)]
    found = rated(one, *others, replace(one, speed=None, failure="it crashed"))
    assert len(points(found)) == 1
    with pytest.raises(DataError, match="nothing to plot"):
        pareto(rated(*others))


def test_no_label_lies_on_another(tmp_path: Path) -> None:
    table = [
        row(f"fer-mobilenet_v{i}.onnx", 1 + 0.1 * (i % 3), 0.6 + 0.001 * i, 10**6 * (i + 1), engine)
        for i in range(5)
        for engine in ("onnxruntime", "openvino")
    ]
    figure = pareto(rated(*table))
    save(figure, tmp_path / "pareto.png")
    with Image.open(tmp_path / "pareto.png") as picture:
        assert min(picture.size) > 300
    axes = figure.axes[0]
    labels = [child for child in axes.get_children() if isinstance(child, Annotation)]
    assert len(labels) == len(table)
    boxes = [Text.get_window_extent(label) for label in labels]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    frame = axes.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)


def test_models_of_one_name_are_told_apart_by_their_folders() -> None:
    figure = pareto(
        rated(row("a/m.onnx", 1, 0.5), row("b/m.onnx", 2, 0.6), row("c/n.onnx", 3, 0.7))
    )
    labels = [child for child in figure.axes[0].get_children() if isinstance(child, Annotation)]
    assert [label.get_text().split("\n")[0] for label in labels] == [
        *("a/m.onnx", "b/m.onnx", "n.onnx")
    ]


def test_areas_are_sizes() -> None:
    figure = pareto(rated(row("a", 1, 0.5, 4_000_000), row("b", 2, 0.6, 1_000_000)))
    (circles,) = [one for one in figure.axes[0].collections if len(one.get_offsets()) == 2][:1]
    large, small = circles.get_sizes()  # type: ignore[attr-defined]
    assert large == pytest.approx(4 * small)
