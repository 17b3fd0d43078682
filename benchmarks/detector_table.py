"""Compare the package's face detector with YuNet on labelled photographs.

FER_EDGE_DETECTOR=yunet.onnx python -m benchmarks.detector_table PHOTOGRAPHS LABELS [--keep]

PHOTOGRAPHS is a folder with val/KIND/, LABELS the file of `fer detector label`. Both detectors
search the photographs of val once, as `fer detector evaluate` does, and by default, as `fer infer`
does: with a second look for small faces. Mosaics of 1,920 px, each made of 16 of these photographs,
are searched in both ways. Times are of one run in which both have turns. `--keep` writes
benchmarks/results/detector.json.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx

from benchmarks.lib.mosaics import CELL, CELLS, count_inside, make_mosaic
from benchmarks.lib.result_tables import save_result, to_markdown
from benchmarks.lib.timing import compare, time_in_turns
from fer_edge.runtime.detection.detector import SIDE, Detection, Detector
from fer_edge.runtime.detection.find_detector import BUILT_IN, find_detector, find_yunet
from fer_edge.runtime.formats.model_files import model_size
from fer_edge.runtime.formats.spec_reader import read_detector_spec
from fer_edge.train.detector.checkpoint import make_network
from fer_edge.train.detector.evaluate import DetectorReport, evaluate_detector
from fer_edge.train.detector.labels import Photograph, read_labels
from fer_edge.train.detector.metrics import Tally, count_false
from fer_edge.train.detector.network import count_multiplications
from fer_edge.train.detector.photographs import read_photograph

SIDES = (640, 320)
FRAME = (480, 640)
"""Height and width, in pixels, for the number of multiplications."""
AUTO = "--detect-side auto"
SEED = 0
TIMED, ROUNDS = 8, 10
"""Photographs of one timed call, and rounds."""
OURS, YUNET = "built-in", "YuNet"

Row = list[str | int | float]


def quality_rows(reports: Mapping[str, Sequence[DetectorReport]]) -> Iterator[Row]:
    """Recall, false faces and average precision; by detector, the report of each of `SIDES`."""
    yield ["score threshold", *(f"{found[0].score_threshold:g}" for found in reports.values())]
    for i, side in enumerate(SIDES):
        at = [found[i] for found in reports.values()]
        first = at[0].metrics
        name = f"at {side} px: "
        yield [
            f"{name}recall of {first.marked:,} marked faces",
            *(f"{100 * one.metrics.recall:.2f} %" for one in at),
        ]
        for size, (count, _) in at[0].recall_by_size.items():
            shown = (f"{100 * one.recall_by_size[size][1]:.1f} %" for one in at)
            yield [f"{name}of the {count:,} of {describe_size(size)}", *shown]
        yield [
            f"{name}average precision",
            *(f"{100 * one.metrics.average_precision:.2f} %" for one in at),
        ]
        for kind in at[0].false_by_kind:
            shown = (f"{one.false_by_kind[kind]:.3f}" for one in at)
            yield [f"{name}false faces on each photograph of kind {kind}", *shown]


def describe_size(size: str) -> str:
    """A range of `recall_by_size` in words."""
    low, _, high = size.partition("-")
    return f"{low} to {high} px" if high else f"{low} px or more"


def to_rows(found: Sequence[Detection]) -> np.ndarray:
    """Detections as a tally takes them: float32 `[N, 9]`; the eyes aren't compared."""
    rows = [[*one.box, 0, 0, 0, 0, one.score] for one in found]
    return np.array(rows, np.float32).reshape(-1, 9)


def default_rows(
    paths: Mapping[str, Path], val: Sequence[Photograph], folder: Path
) -> Iterator[Row]:
    """Recall and false faces of the default search, by sizes in pixels of the photograph."""
    tallies, false = {}, {}
    for name, path in paths.items():
        detector, tally = Detector(path), Tally(0.0)
        counts: dict[str, list[int]] = {}
        for photograph in val:
            found = to_rows(detector(read_photograph(folder / photograph.name)))
            tally.add(found, photograph, 1.0)
            if photograph.kind.is_background:
                counts.setdefault(photograph.kind_name, []).append(count_false(found, photograph))
        tallies[name], false[name] = tally, counts
    marked = len(tallies[OURS].marked)
    yield [
        f"{AUTO}: recall of {marked:,} marked faces",
        *(f"{100 * one.recall:.2f} %" for one in tallies.values()),
    ]
    by_size = [one.recall_by_size() for one in tallies.values()]
    for size, (count, _) in by_size[0].items():
        shown = (f"{100 * one[size][1]:.1f} %" for one in by_size)
        yield [f"{AUTO}: of the {count:,} of {describe_size(size)}", *shown]
    for kind in false[OURS]:
        shown = (f"{np.mean(one[kind]):.3f}" for one in false.values())
        yield [f"{AUTO}: false faces on each photograph of kind {kind}", *shown]


def look_again(paths: Mapping[str, Path], val: Sequence[Photograph], folder: Path) -> Iterator[Row]:
    """What a second look finds in mosaics of 1,920 px beyond one search, and what it costs."""
    chosen = random.Random(SEED).sample(list(val), len(val) - len(val) % CELLS**2)
    ways = {
        (name, way): Detector(path, side=side)
        for name, path in paths.items()
        for way, side in (("one search", SIDE), ("auto", None))
    }
    tallies = {key: Tally(0.0) for key in ways}
    false, seconds = dict.fromkeys(ways, 0), dict.fromkeys(ways, 0.0)
    empty = mosaics = 0
    for first in range(0, len(chosen), CELLS**2):
        mosaic, labels, places = make_mosaic(chosen[first : first + CELLS**2], folder)
        mosaics, empty = mosaics + 1, empty + len(places)
        for key in random.sample(list(ways), len(ways)):
            began = perf_counter()
            found = ways[key](mosaic)
            seconds[key] += perf_counter() - began
            tallies[key].add(to_rows(found), labels, 1.0)
            false[key] += count_inside(found, places)
    name = f"{mosaics} mosaics of {CELLS * CELL:,} px, "
    for way in ("one search", "auto"):
        at = f"at {SIDE} px" if way == "one search" else AUTO
        marked = len(tallies[OURS, way].marked)
        yield [
            f"{name}{at}: recall of {marked:,} marked faces",
            *(f"{100 * tallies[one, way].recall:.2f} %" for one in paths),
        ]
        yield [
            f"{name}{at}: false faces on each photograph of animals and textures",
            *(f"{false[one, way] / max(1, empty):.3f}" for one in paths),
        ]
    yield [
        f"{name}auto: times of one search",
        *(f"{seconds[one, 'auto'] / seconds[one, 'one search']:.1f}" for one in paths),
    ]


def time_rows(paths: Mapping[str, Path], val: Sequence[Photograph], folder: Path) -> Iterator[Row]:
    """Time for one photograph on one thread, from its pixels to its faces."""
    chosen = random.Random(SEED).sample(list(val), min(TIMED, len(val)))
    images = [read_photograph(folder / one.name).convert("RGB") for one in chosen]

    def search(detector: Detector) -> None:
        for image in images:
            detector(image)

    calls: dict[str, Callable[[], object]] = {
        name: partial(search, Detector(path, side=SIDE)) for name, path in paths.items()
    }
    rounds = [
        {name: seconds / len(images) for name, seconds in turn.items()}
        for turn in time_in_turns(calls, ROUNDS)
    ]
    found = compare(rounds, YUNET)
    latencies = [found[name] for name in paths]  # turns are in random order
    shown = (f"{1000 * one.seconds:.2f}" for one in latencies)
    yield ["ms for a photograph of val, one thread", *shown]
    yield ["times YuNet's", *(one.format_ratio() for one in latencies)]


def count_in_graph(path: Path, height: int, width: int) -> int:
    """Multiplications of the convolutions of an ONNX file for an image `[1, 3, height, width]`."""
    model = onnx.load(path)
    shape = model.graph.input[0].type.tensor_type.shape
    for dimension, value in zip(shape.dim, (1, 3, height, width), strict=True):
        dimension.dim_value = value
    for known in (*model.graph.value_info, *model.graph.output):
        known.type.tensor_type.ClearField("shape")  # it was of another size
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        one.name: [dimension.dim_value for dimension in one.type.tensor_type.shape.dim]
        for one in (*graph.value_info, *graph.output)
    }
    weights = {one.name: one.dims for one in graph.initializer}
    return sum(
        int(np.prod(shapes[node.output[0]]) * np.prod(weights[node.input[1]][1:]))
        for node in graph.node
        if node.op_type == "Conv"
    )


def measure(paths: Mapping[str, Path], photographs: Path, labels: Path) -> list[Row]:
    """All rows of the table; a cell for each detector."""
    val = read_labels(labels).split("val")
    reports = {
        name: [evaluate_detector(path, val, photographs, side=side) for side in SIDES]
        for name, path in paths.items()
    }
    rows = list(quality_rows(reports))
    for more in (default_rows, look_again, time_rows):
        rows += more(paths, val, photographs)
    network = make_network(read_detector_spec(paths[OURS]))
    counts = count_multiplications(network, *FRAME), count_in_graph(paths[YUNET], *FRAME)
    height, width = FRAME
    millions = (f"{one / 1e6:.1f}" for one in counts)
    rows.append([f"million multiplications for {width} x {height} px", *millions])
    rows.append(["file, KB", *(f"{model_size(path) / 1000:.0f}" for path in paths.values())])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path, help="folder with val/KIND/")
    parser.add_argument("labels", type=Path, help="file of fer detector label")
    parser.add_argument("--detector", type=Path, help="another file than the package's")
    parser.add_argument("--keep", action="store_true", help="write results/detector.json")
    options = parser.parse_args()
    ours = options.detector or find_detector(BUILT_IN)
    rows = measure({OURS: ours, YUNET: find_yunet()}, options.photographs, options.labels)
    columns = ["on val", OURS, YUNET]
    print(to_markdown(columns, rows))
    if options.keep:
        command = "python -m benchmarks.detector_table PHOTOGRAPHS LABELS --keep"
        save_result(
            "detector", columns, rows, command=command, model=read_detector_spec(ours).title
        )


if __name__ == "__main__":
    main()
