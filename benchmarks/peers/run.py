"""fer-edge and its neighbours, measured in one run on the same faces and photographs.

FER2013=/path/to/fer2013.tar.gz FER_EDGE_DETECTOR=/path/to/yunet.onnx \\
    python -m benchmarks.peers.run [PHOTOGRAPH...] [--faces N] [--rounds 40] [--runs 7]
        [--only WORD] [--cache FOLDER] [--timed-by COMMAND] [--settled] [--keep]

Makes an environment for each neighbour (the first time: a quarter of an hour and 23 GB) and runs
each contender there as a process of its own, on one core and one thread. The first half is what a
busy machine doesn't change: accuracy and sizes. The second is what is timed, in a run of its own
that `--timed-by` can start in a quiet hour; `--settled` is that half alone.

- accuracy: FER2013's test split, one face after the other, with the contender's own resizing and
  scaling; labels are compared by name.
- ms a face: from 48 x 48 bytes in memory to a label. In each round every contender has a turn in a
  random order: 3 calls, then 10 that count, of which the median is kept. Printed are the median
  over rounds, and the ratio to ours, taken within each round, with its quartiles.
- cold start: a process that reads one picture of a face and prints its label, the smallest and the
  median of the runs, and the largest memory that the system counted for it.
- installed: site-packages of the environment, less pip and setuptools.

A neighbour that can't be installed or doesn't run has a row that says why. The test split chooses
nothing here: it is read once, for this table.
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

from benchmarks.lib.result_tables import save_result
from benchmarks.peers.environments import (
    ROOT,
    NotInstalled,
    build_wheel,
    installed_bytes,
    make,
)
from benchmarks.peers.rows import Row, accuracy, cold_start, latency, of_ncnn, photographs, started
from benchmarks.peers.table import OURS, TABLE
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.train.data.loading import read_data

SETTLED = "settled.json"
COLUMNS = [
    "",
    "accuracy",
    "ms a face",
    "times the first row",
    "cold start, s",
    "memory, MB",
    "installed, MB",
    "with",
]


def install(rows: list[Row], cache: Path, fp32: Path) -> None:
    """Every environment, and the checkpoint's fp32 files."""
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
            row.trouble = str(python)
        else:
            row.python, row.installed = python, installed_bytes(python)
    command = [sys.executable, "-m", "fer_edge", "export", "--output"]
    for more in ([str(fp32)], [str(of_ncnn(fp32)), "--format", "ncnn"]):
        subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL)


def times(value: float, ours: float) -> str:
    """How many times ours, where it isn't about as much."""
    return "" if 0.95 < value / ours < 1.05 else f", {value / ours:.1f} x"


def as_read(row: Row, ours: Row) -> list[str | int | float]:
    """A row of the table; `ours` is the first."""
    if row.trouble:
        why = shorten(row.trouble, 120, placeholder=" ...").replace("|", "/")
        size = f"{row.installed / 1e6:,.0f}" if row.installed else ""
        return [row.contender.name, "", "", "", "", "", size, f"doesn't run: {why}"]
    assert row.score is not None
    assert row.latency is not None
    share = f"{100 * row.score.everywhere:.2f} %"
    if row.score.own_of < row.score.of:
        share += f" ({100 * row.score.on_own:.2f} % on its own labels)"
    seconds, megabytes, _ = zip(*row.cold, strict=True)
    one = row.latency
    return [
        row.contender.name,
        share,
        f"{1000 * one.seconds:.2f}",
        one.format_ratio(),
        f"{row.coldest:.2f} ({median(seconds):.2f}){times(row.coldest, ours.coldest)}",
        f"{max(megabytes):,.0f}",
        f"{row.installed / 1e6:,.0f}{times(row.installed, ours.installed)}",
        ", ".join(f"{name} {version}" for name, version in row.versions.items()),
    ]


def photographs_as_read(row: Row) -> list[str | int | float]:
    cells = [
        f"{len(found['labels'])}: {1000 * median(found['seconds']):,.0f} ms" if found else ""
        for found in row.photographs
    ]
    return [row.contender.name, *cells]


def figures(row: Row) -> dict[str, Any]:
    """Everything about a row, unrounded."""
    return {
        "name": row.contender.name,
        "pip install": row.contender.environment.steps,
        "adapter": row.contender.told,
        "versions": row.versions,
        "trouble": row.trouble,
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
    options.add_argument("--faces", type=int, help="the first so many, for a trial")
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--runs", type=int, default=7)
    options.add_argument("--only", default="", help="rows whose name holds it, and ours")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    options.add_argument("--cache", type=Path, default=home / "fer-edge-peers")
    options.add_argument("--timed-by", default="", help="what starts the second half: taskset -c 0")
    options.add_argument("--settled", action="store_true", help="the second half alone")
    options.add_argument("--keep", action="store_true")
    chosen = options.parse_args()
    if chosen.keep and (chosen.only or chosen.faces):
        options.error("what is kept has every row and every face")

    rows = [Row(one) for one in TABLE if one.name == OURS or chosen.only in one.name]
    cache = chosen.cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    data = read_data(Path(os.environ["FER2013"]))
    test = data.split("test")
    pixels = test.pixels[: chosen.faces]
    truth = [data.labels[label] for label in test.labels[: chosen.faces]]
    fp32, faces, face = (cache / name for name in ("fp32.onnx", "faces.npy", "face.png"))
    detector = os.environ.get("FER_EDGE_DETECTOR")
    if not chosen.settled:
        install(rows, cache, fp32)
        np.save(faces, pixels)
        Image.fromarray(pixels[0]).save(face)
        with started(rows, fp32, cache, detector):
            accuracy(rows, faces, truth)
        write_settled(rows, cache, len(pixels))
        again = [
            *shlex.split(chosen.timed_by),
            sys.executable,
            "-m",
            "benchmarks.peers.run",
            *sys.argv[1:],
        ]
        sys.exit(subprocess.run([*again, "--settled"], check=False).returncode)
    read_settled(rows, cache, len(pixels))
    with started(rows, fp32, cache, detector):
        if rows[0].trouble:
            sys.exit(f"{OURS}, which the others are compared with: {rows[0].trouble}")
        latency(rows, faces, len(pixels), chosen.rounds)
        photographs(rows, [ROOT / "examples" / "astronaut.png", *chosen.photographs])
    cold_start(rows, face, fp32, chosen.runs, cache)
    report(rows, chosen)


def write_settled(rows: list[Row], cache: Path, faces: int) -> None:
    """Keep what the machine's speed doesn't change for the second half."""
    found = {row.contender.name: row.settled() for row in rows}
    document = {"of": digest(), "faces": faces, "rows": found}
    (cache / SETTLED).write_text(json.dumps(document))


def read_settled(rows: list[Row], cache: Path, faces: int) -> None:
    """Take over what an earlier first half found with the same model and faces."""
    path = cache / SETTLED
    known = json.loads(path.read_text()) if path.is_file() else {}
    if (known.get("of"), known.get("faces")) != (digest(), faces):
        sys.exit(f"{path} isn't of this model and these faces: run it without --settled")
    if missing := {row.contender.name for row in rows} - known["rows"].keys():
        sys.exit(f"{path} lacks {min(missing)}: run it without --settled")
    for row in rows:
        row.settle(known["rows"][row.contender.name])


def digest() -> str:
    """Of the bundled model and checkpoint."""
    both = (bundled(kind).read_bytes() for kind in ("model", "checkpoint"))
    return hashlib.sha256(b"".join(both)).hexdigest()


def report(rows: list[Row], chosen: argparse.Namespace) -> None:
    """Print the two tables, or keep them."""
    names = ["astronaut.png", *(path.name for path in chosen.photographs)]
    tables = {
        "peers": (COLUMNS, [as_read(row, rows[0]) for row in rows], [figures(row) for row in rows]),
        "peers-photographs": (
            ["faces found: time", *names],
            [photographs_as_read(row) for row in rows if any(row.photographs)],
            None,
        ),
    }
    given = " ".join(["python -m benchmarks.peers.run", *names[1:], f"--rounds {chosen.rounds}"])
    versions = {"Python": sys.version.split()[0], **rows[0].versions}
    for name, (columns, lines, numbers) in tables.items():
        if chosen.keep:
            path = save_result(
                name,
                columns,
                lines,
                command=f"{given} --runs {chosen.runs} --keep",
                versions=versions,
                figures=numbers,
            )
            print(f"written: {path}", file=sys.stderr)
        for line in [columns, *lines]:
            print("| " + " | ".join(map(str, line)) + " |")
        print()


if __name__ == "__main__":
    main()
