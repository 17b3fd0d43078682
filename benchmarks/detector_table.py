"""Compare the package's face detector with YuNet on labelled photographs.

FER_EDGE_DETECTOR=yunet.onnx python -m benchmarks.detector_table PHOTOGRAPHS LABELS [--keep]

PHOTOGRAPHS is a folder with val/KIND/, LABELS the file of `fer detector label`. Both detectors
search the photographs of val once, as `fer detector evaluate` does, and by default, as `fer infer`
does: with further searches for small faces and for those that fill the image. Mosaics of 1,920 px,
each made of 16 of these photographs, and close-ups of their marked faces are searched in both ways,
rotated photographs with a `side` of 640, and rotated close-ups by default.
Times are of one run in which both have turns. `--keep` writes benchmarks/results/detector.json.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from benchmarks.lib.detector_quality import (
    ONCE,
    Row,
    close_up_rows,
    default_rows,
    mosaic_rows,
    quality_rows,
)
from benchmarks.lib.result_tables import save_result, to_markdown
from benchmarks.lib.rotated import rotated_rows
from benchmarks.lib.timing import compare, time_in_turns
from fer_edge.runtime.detection.detector import Detector
from fer_edge.runtime.detection.find_detector import BUILT_IN, find_detector, find_yunet
from fer_edge.runtime.detection.searches import SIDE
from fer_edge.runtime.formats.model_files import model_size
from fer_edge.runtime.formats.spec_reader import read_detector_spec
from fer_edge.train.detector.checkpoint import make_network
from fer_edge.train.detector.labels import Photograph, read_labels
from fer_edge.train.detector.network import count_multiplications
from fer_edge.train.detector.photographs import read_photograph

OURS, YUNET = "built-in", "YuNet"
FRAME = (480, 640)
"""Height and width, in pixels, for the number of multiplications."""
SEED = 0
LARGE = ", for large faces"
"""Ends the name of a detector that searches for these as well."""
TIMED, ROUNDS = 8, 10
"""Photographs of one timed call, and rounds."""


def time_rows(paths: Mapping[str, Path], val: Sequence[Photograph], folder: Path) -> Iterator[Row]:
    """Time for one photograph on one thread, from its pixels to its faces.

    It is searched with a `side` of 640, and as a frame of a video, for large faces as well.
    """
    chosen = random.Random(SEED).sample(list(val), min(TIMED, len(val)))
    images = [read_photograph(folder / one.name).convert("RGB") for one in chosen]

    def search(detector: Detector) -> None:
        for image in images:
            detector(image, for_crowd=False)

    calls: dict[str, Callable[[], object]] = {
        name + way: partial(search, Detector(path, side=side))
        for name, path in paths.items()
        for way, side in (("", SIDE), (LARGE, None))
    }
    rounds = [
        {name: seconds / len(images) for name, seconds in turn.items()}
        for turn in time_in_turns(calls, ROUNDS)
    ]
    found = compare(rounds, YUNET)
    latencies = [found[name] for name in paths]  # turns are in random order
    shown = (f"{1000 * one.seconds:.2f}" for one in latencies)
    yield [f"{ONCE}: ms for a photograph of val, one thread", *shown]
    yield [f"{ONCE}: times YuNet's", *(one.format_ratio() for one in latencies)]
    larger = (compare(rounds, name)[name + LARGE].format_ratio() for name in paths)
    yield [f"with the searches for large faces: times of {ONCE}", *larger]


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
    rows: list[Row] = []
    for part in (quality_rows, default_rows, mosaic_rows, close_up_rows, rotated_rows, time_rows):
        rows += part(paths, val, photographs)
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
