"""The contenders of `benchmarks/peers/run.py` as processes, and what is measured of them."""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.lib.timing import CALLS, WARM_UP, Latency, compare
from benchmarks.peers.environments import Environment, single_threaded
from benchmarks.peers.figures import Score, score

CHILD, COLD = (Path(__file__).parent / name for name in ("child.py", "cold_start.py"))


@dataclass(frozen=True)
class Contender:
    """A row: its name, its environment, and the arguments of its adapter in `child.py`."""

    name: str
    environment: Environment
    adapter: dict[str, Any]


@dataclass
class Row:
    """What was measured of a contender; `failure` says why the rest is missing."""

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
    failure: str = ""

    @property
    def fastest_start(self) -> float:
        """The smallest seconds of a cold start."""
        return min(seconds for seconds, _, _ in self.cold)

    def first_half(self) -> dict[str, Any]:
        """What doesn't depend on the machine's speed, for JSON."""
        return {
            "python": str(self.python) if self.python else None,
            "installed": self.installed,
            "failure": self.failure,
            "score": vars(self.score) if self.score else None,
        }

    def restore(self, known: dict[str, Any]) -> None:
        """Restore the first half."""
        self.python = Path(known["python"]) if known["python"] else None
        self.installed, self.failure = known["installed"], known["failure"]
        self.score = Score(**known["score"]) if known["score"] else None

    def ask(self, **request: object) -> dict[str, Any] | None:
        """Send one JSON line and return the reply; None where it fails, with `failure` set."""
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
        self.failure = reply["error"] or f"it ended with ({self.process.wait()})"
        self.process.stdin.close()
        self.process.wait()
        self.process = None
        return None


def adapter_json(row: Row, fp32: Path) -> str:
    """The adapter's arguments with `{fp32}` and `{ncnn}` filled in."""
    filled = {
        key: value.format(fp32=fp32, ncnn=ncnn_path(fp32)) if isinstance(value, str) else value
        for key, value in row.contender.adapter.items()
    }
    return json.dumps(filled)


def ncnn_path(fp32: Path) -> Path:
    """The checkpoint's ncnn model, beside its fp32 file."""
    return fp32.with_suffix(".ncnn.param")


@contextmanager
def started(rows: list[Row], fp32: Path, cache: Path, detector: str | None) -> Iterator[None]:
    """Run every contender's process on one core while the block runs."""
    core = {max(os.sched_getaffinity(0))}
    log = (cache / "contenders.log").open("w")
    for row in rows:
        if row.python is None or row.failure:
            continue
        what = json.loads(adapter_json(row, fp32))
        if what["adapter"] == "ours_whole":
            what["detector"] = detector
        row.process = subprocess.Popen(
            [row.python, "-P", CHILD, json.dumps(what)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=single_threaded(cache),
        )
        os.sched_setaffinity(row.process.pid, core)
        if ready := row.ask():
            row.labels, row.versions = ready["labels"], ready["versions"]
        print(f"{row.contender.name}: {row.failure or 'runs'}", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        for row in rows:
            if row.process is not None:
                row.process.communicate()
        log.close()


def accuracy(rows: list[Row], faces: Path, truth: list[str]) -> None:
    for row in rows:
        if reply := row.ask(do="predict", faces=str(faces)):
            row.score = score(truth, reply["labels"], row.labels)


def latency(rows: list[Row], faces: Path, count: int, rounds: int) -> None:
    """Measure latencies in turns in a random order, each round on another face."""
    order, turns = random.Random(0), []
    for _ in range(rounds):
        at, turn = order.randrange(count), {}
        for row in order.sample(rows, len(rows)):
            reply = row.ask(do="time", faces=str(faces), at=at, warm=WARM_UP, calls=CALLS)
            if reply:
                turn[row.contender.name] = median(reply["seconds"])
        turns.append(turn)
    found = compare(turns, rows[0].contender.name)
    for row in rows:
        row.latency = found.get(row.contender.name)


def photographs(rows: list[Row], paths: list[Path]) -> None:
    for path in paths:
        for row in rows:
            reply = row.ask(do="photograph", path=str(path), warm=1, calls=5)
            row.photographs.append(reply if reply and reply["labels"] is not None else None)


def cold_start(rows: list[Row], face: Path, fp32: Path, runs: int, cache: Path) -> None:
    commands = {
        row.contender.name: [
            str(row.python),
            "-P",
            str(CHILD),
            adapter_json(row, fp32),
            str(face),
        ]
        for row in rows
        if not row.failure
    }
    for command in commands.values():
        print("$", shlex.join(command), file=sys.stderr)
    request = json.dumps({"runs": runs, "commands": commands})
    done = subprocess.run(
        [sys.executable, COLD],
        input=request,
        capture_output=True,
        text=True,
        check=True,
        env=single_threaded(cache),
    )
    found = json.loads(done.stdout)
    for row in rows:
        cold = found.get(row.contender.name, [])
        if isinstance(cold, str):
            row.failure = f"alone, {cold}"
        else:
            row.cold = cold
