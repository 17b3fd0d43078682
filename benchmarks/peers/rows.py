"""The contenders of `benchmarks/peers/run.py` as processes, and what they are asked."""

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
from benchmarks.peers.environments import Environment, quiet
from benchmarks.peers.figures import Score, score

CHILD, COLD = (Path(__file__).parent / name for name in ("child.py", "cold_start.py"))


@dataclass(frozen=True)
class Contender:
    """A row: how it is called, where it runs, and what `child.py` is told."""

    name: str
    environment: Environment
    told: dict[str, Any]


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

    @property
    def coldest(self) -> float:
        """Smallest seconds of a start."""
        return min(seconds for seconds, _, _ in self.cold)

    def settled(self) -> dict[str, Any]:
        """What doesn't depend on the machine's speed, as JSON has it."""
        return {
            "python": str(self.python) if self.python else None,
            "installed": self.installed,
            "trouble": self.trouble,
            "score": vars(self.score) if self.score else None,
        }

    def settle(self, known: dict[str, Any]) -> None:
        """Take that over."""
        self.python = Path(known["python"]) if known["python"] else None
        self.installed, self.trouble = known["installed"], known["trouble"]
        self.score = Score(**known["score"]) if known["score"] else None

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


def told(row: Row, fp32: Path) -> str:
    """The contender as its process is told, with `{fp32}` and `{ncnn}` filled in."""
    filled = {
        key: value.format(fp32=fp32, ncnn=of_ncnn(fp32)) if isinstance(value, str) else value
        for key, value in row.contender.told.items()
    }
    return json.dumps(filled)


def of_ncnn(fp32: Path) -> Path:
    """The checkpoint's ncnn model, beside its fp32 file."""
    return fp32.with_suffix(".ncnn.param")


@contextmanager
def started(rows: list[Row], fp32: Path, cache: Path, detector: str | None) -> Iterator[None]:
    """Every contender's process, on one core; ended at the end."""
    core = {max(os.sched_getaffinity(0))}
    log = (cache / "contenders.log").open("w")
    for row in rows:
        if row.python is None or row.trouble:
            continue
        what = json.loads(told(row, fp32))
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
            told(row, fp32),
            str(face),
        ]
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
