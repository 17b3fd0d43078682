"""The models in Chromium, Node and Python: labels of every test face, and time a face.

python -m benchmarks.browser DATA [--models base,small] [--keep]

DATA is FER2013, and FER_EDGE_ONNXRUNTIME_WEB names npm's package onnxruntime-web. Every engine
predicts faces one by one on one thread, Chromium all of them, Node and Python the first ones; these
then predict all of them in batches, for the labels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from playwright.sync_api import Browser, sync_playwright

from benchmarks.lib.result_tables import save_result, to_markdown
from benchmarks.lib.web_site import chromium_options, predict_in_page, serve_folder, write_site
from fer_edge.export.node import NodeModel, find_node
from fer_edge.export.web_page import DETECTOR_NAME, MODEL_NAME
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats.model_files import BUNDLED, bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.data.fer2013 import read_fer2013

COLUMNS = ["model", "engine", "ms/face", "same label", "max |Δlogit|"]
TIMED = 256
"""Faces that are timed."""

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def time_one_by_one(predict: Callable[[Pixels], Floats], faces: Pixels) -> float:
    """Milliseconds a face."""
    predict(faces[:1])
    began = time.perf_counter()
    for face in faces:
        predict(face[None])
    return 1000 * (time.perf_counter() - began) / len(faces)


def measure(
    name: str, faces: Pixels, timed: Pixels, browser: Browser
) -> list[list[str | int | float]]:
    """The rows of one model: under Chromium, Node and Python."""
    model = bundled("model", name)
    spec = read_spec(model)
    python = open_backend(model, backend="onnxruntime", threads=1)
    expected = python(faces)
    found: dict[str, tuple[float, Floats]] = {}
    with tempfile.TemporaryDirectory() as folder:
        site = write_site(Path(folder), model)
        with serve_folder(site) as (address, _):
            page = browser.new_page()
            page.goto(address)
            page.locator("#self-test:not(:empty)").wait_for()
            logits, seconds = predict_in_page(page, faces, len(spec.labels))
            found[f"Chromium {browser.version}"] = (1000 * seconds / len(faces), logits)
            page.close()
        if node := find_node():
            paths = (site, site / MODEL_NAME, site / DETECTOR_NAME)
            with NodeModel(node, *paths, spec) as predict:
                found[f"Node {node.version}"] = (time_one_by_one(predict, timed), predict(faces))
    found["Python, ONNX Runtime"] = (time_one_by_one(python, timed), expected)
    return [
        [
            spec.title,
            engine,
            f"{milliseconds:.2f}",
            f"{(logits.argmax(1) == expected.argmax(1)).sum():,} of {len(faces):,}",
            f"{np.abs(logits - expected).max():.1g}",
        ]
        for engine, (milliseconds, logits) in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="FER2013")
    parser.add_argument("--models", default=",".join(BUNDLED), help="models in the package")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/browser.json")
    chosen = parser.parse_args()
    names = chosen.models.split(",")
    faces = read_fer2013(chosen.data).split("test").pixels
    rows: list[list[str | int | float]] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium_options())
        for name in names:
            rows += measure(name, faces, faces[:TIMED], browser)
        browser.close()
    print(to_markdown(COLUMNS, rows))
    if chosen.keep:
        save_result(
            "browser",
            COLUMNS,
            rows,
            command="python -m benchmarks.browser fer2013.tar.gz --keep",
            model=[read_spec(bundled("model", name)).title for name in names],
            versions={one: version(one) for one in ("fer-edge", "onnxruntime", "numpy")},
        )


if __name__ == "__main__":
    main()
