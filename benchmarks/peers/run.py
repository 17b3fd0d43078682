"""How does fer-edge compare with other packages? All in one run, on the same faces and photographs.

FER2013=/path/to/fer2013.tar.gz FER_EDGE_DETECTOR=/path/to/yunet.onnx \\
    python -m benchmarks.peers.run [PHOTOGRAPH...] [--faces N] [--rounds 40] [--runs 7]
        [--only ENVIRONMENT...] [--cache FOLDER] [--timed-by COMMAND] [--timing-only] [--keep]

Makes an environment for each peer (all of them: a quarter of an hour and 23 GB; `--only` selects
some) and runs each contender there as a process of its own, on one core and one thread. The first
half is what a busy machine doesn't change: accuracy and sizes. The second half is timed, in a run
of its own that `--timed-by` can start in a quiet hour; `--timing-only` is that half alone.

- accuracy: FER2013's test split, one face after the other, with the contender's own resizing and
  scaling; labels are compared by name.
- ms/face: from 48 x 48 bytes in memory to a label. In each round every contender has a turn in a
  random order: 3 calls, then 10 whose median counts. Shown are the median over rounds, and the
  ratio to the first row, taken within each round, with its quartiles.
- cold start: a process that reads one image of a face and prints its label: the smallest and the
  median time of the runs, and the peak memory.
- installed: site-packages of the environment, less pip and setuptools.

A peer that can't be installed or doesn't run has a row that says why. Nothing is selected on the
test split: it is read once, for this table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import median
from textwrap import shorten
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.lib.result_tables import packaged_titles, save_result, to_markdown
from benchmarks.peers.environments import (
    ROOT,
    NotInstalled,
    build_wheel,
    installed_bytes,
    make,
)
from benchmarks.peers.rows import (
    Row,
    accuracy,
    cold_start,
    latency,
    ncnn_path,
    photographs,
    started,
)
from benchmarks.peers.table import OURS, TABLE
from fer_edge.runtime.formats.model_files import BUNDLED, bundled
from fer_edge.train.data.loading import read_data

FIRST_HALF = "first_half.json"
COLUMNS = [
    "",
    "accuracy",
    "ms/face",
    "times the first row",
    "cold start, s",
    "memory, MB",
    "installed, MB",
    "with",
]


def install(rows: list[Row], cache: Path, fp32: Path) -> None:
    """Make every environment, and the checkpoint's fp32 files."""
    wheel = build_wheel(cache)
    pythons: dict[str, Path | NotInstalled] = {}
    for row in rows:
        environment = row.contender.environment
        if environment.name not in pythons:
            try:
                pythons[environment.name] = make(environment, cache, wheel)
            except NotInstalled as error:
                pythons[environment.name] = error
        python = pythons[environment.name]
        if isinstance(python, NotInstalled):
            row.failure = str(python)
        else:
            row.python, row.installed = python, installed_bytes(python)
    command = [sys.executable, "-m", "fer_edge", "export", "--output"]
    for more in ([str(fp32)], [str(ncnn_path(fp32)), "--format", "ncnn"]):
        subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL)


def format_factor(value: float, ours: float) -> str:
    """The ratio to ours, where it differs by more than 5 %."""
    return "" if 0.95 < value / ours < 1.05 else f", {value / ours:.1f} x"


def format_row(row: Row, ours: Row) -> list[str | int | float]:
    """The cells of a row; `ours` is the first row."""
    if row.failure:
        why = shorten(row.failure, 120, placeholder=" ...").replace("|", "/")
        size = f"{row.installed / 1e6:,.0f}" if row.installed else ""
        return [row.contender.name, "", "", "", "", "", size, f"doesn't run: {why}"]
    assert row.score is not None
    assert row.latency is not None
    accuracy = f"{100 * row.score.accuracy:.2f} %"
    if row.score.own_n < row.score.n:
        accuracy += f" ({100 * row.score.own_accuracy:.2f} % on its own labels)"
    seconds, megabytes, _ = zip(*row.cold, strict=True)
    one = row.latency
    return [
        row.contender.name,
        accuracy,
        f"{1000 * one.seconds:.2f}",
        one.format_ratio(),
        f"{row.fastest_start:.2f} ({median(seconds):.2f})"
        + format_factor(row.fastest_start, ours.fastest_start),
        f"{max(megabytes):,.0f}",
        f"{row.installed / 1e6:,.0f}{format_factor(row.installed, ours.installed)}",
        ", ".join(f"{name} {version}" for name, version in row.versions.items()),
    ]


def format_photographs(row: Row) -> list[str | int | float]:
    cells = [
        f"{len(found['labels'])}: {1000 * median(found['seconds']):,.0f} ms" if found else ""
        for found in row.photographs
    ]
    return [row.contender.name, *cells]


def unrounded(row: Row) -> dict[str, Any]:
    """Everything measured of a row."""
    return {
        "name": row.contender.name,
        "pip install": row.contender.environment.steps,
        "adapter": row.contender.adapter,
        "versions": row.versions,
        "failure": row.failure,
        "score": vars(row.score) if row.score else None,
        "latency": vars(row.latency) if row.latency else None,
        "cold": row.cold,
        "installed": row.installed,
        "photographs": row.photographs,
    }


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("photographs", nargs="*", type=Path)
    options.add_argument("--faces", type=int, help="use only the first FACES faces")
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--runs", type=int, default=7)
    options.add_argument(
        "--only",
        nargs="+",
        choices=list(dict.fromkeys(one.environment.name for one in TABLE)),
        help="rows of these environments, and the first",
    )
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    options.add_argument("--cache", type=Path, default=home / "fer-edge-peers")
    options.add_argument("--timed-by", default="", help="command that starts the second half")
    options.add_argument("--timing-only", action="store_true", help="the second half alone")
    options.add_argument("--keep", action="store_true")
    chosen = options.parse_args()
    if chosen.keep and chosen.faces:
        options.error("--keep: the table is of all faces, without --faces")

    rows = [
        Row(one)
        for one in TABLE
        if one.name == OURS or not chosen.only or one.environment.name in chosen.only
    ]
    cache = chosen.cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    data = read_data(Path(os.environ["FER2013"]))
    test = data.split("test")
    pixels = test.pixels[: chosen.faces]
    truth = [data.labels[label] for label in test.labels[: chosen.faces]]
    fp32, faces, face = (cache / name for name in ("fp32.onnx", "faces.npy", "face.png"))
    detector = os.environ.get("FER_EDGE_DETECTOR")
    if not chosen.timing_only:
        install(rows, cache, fp32)
        np.save(faces, pixels)
        Image.fromarray(pixels[0]).save(face)
        with started(rows, fp32, cache, detector):
            accuracy(rows, faces, truth)
        write_first_half(rows, cache, len(pixels))
        again = [
            *shlex.split(chosen.timed_by),
            sys.executable,
            "-m",
            "benchmarks.peers.run",
            *sys.argv[1:],
        ]
        sys.exit(subprocess.run([*again, "--timing-only"], check=False).returncode)
    read_first_half(rows, cache, len(pixels))
    with started(rows, fp32, cache, detector):
        if rows[0].failure:
            sys.exit(f"{OURS}, which the others are compared with: {rows[0].failure}")
        latency(rows, faces, len(pixels), chosen.rounds)
        photographs(rows, [ROOT / "examples" / "astronaut.png", *chosen.photographs])
    cold_start(rows, face, fp32, chosen.runs, cache)
    report(rows, chosen)


def write_first_half(rows: list[Row], cache: Path, faces: int) -> None:
    """Save what the machine's speed doesn't change for the second half."""
    found = {row.contender.name: row.first_half() for row in rows}
    document = {"of": digest(), "faces": faces, "rows": found}
    (cache / FIRST_HALF).write_text(json.dumps(document))


def read_first_half(rows: list[Row], cache: Path, faces: int) -> None:
    """Restore the first half of an earlier run with the same model and faces."""
    path = cache / FIRST_HALF
    known = json.loads(path.read_text()) if path.is_file() else {}
    if (known.get("of"), known.get("faces")) != (digest(), faces):
        sys.exit(f"{path} is of another model or other faces: run without --timing-only")
    if missing := {row.contender.name for row in rows} - known["rows"].keys():
        sys.exit(f"{path} lacks {min(missing)}: run without --timing-only")
    for row in rows:
        row.restore(known["rows"][row.contender.name])


def digest() -> str:
    """SHA-256 of the models in the package and their checkpoints."""
    files = (bundled(kind, name) for name in BUNDLED for kind in ("model", "checkpoint"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def report(rows: list[Row], chosen: argparse.Namespace) -> None:
    """Print the two tables, and save them with `--keep`."""
    names = ["astronaut.png", *(path.name for path in chosen.photographs)]
    tables = {
        "peers": (
            COLUMNS,
            [format_row(row, rows[0]) for row in rows],
            [unrounded(row) for row in rows],
        ),
    }
    if chosen.photographs:
        tables["peers-photographs"] = (
            ["faces found: time", *names],
            [format_photographs(row) for row in rows if any(row.photographs)],
            None,
        )
    only = ["--only", *chosen.only] if chosen.only else []
    words = [*names[1:], f"--rounds {chosen.rounds}", *only]
    given = " ".join(["python -m benchmarks.peers.run", *words])
    versions = {"Python": sys.version.split()[0], **rows[0].versions}
    for name, (columns, lines, numbers) in tables.items():
        if chosen.keep:
            path = save_result(
                name,
                columns,
                lines,
                command=f"{given} --runs {chosen.runs} --keep",
                model=packaged_titles(),
                versions=versions,
                figures=numbers,
            )
            print(f"written: {path}", file=sys.stderr)
        print(to_markdown(columns, lines), end="\n\n")


if __name__ == "__main__":
    main()
