"""A child process: `python -m benchmarks.fuzz.child SEED SCRATCH FOUND KIND...`; a kind is JSON.

It imports what the kinds need, then forks a worker for each line `KIND FIRST END` on standard
input. The worker runs the cases FIRST to END - 1 and reports each, in JSON lines on standard
output: when it begins and how it ended. A worker that dies costs no import.
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzz import limits
from benchmarks.fuzz.found import keep_case
from benchmarks.fuzz.judge import (
    FAULTS,
    OK,
    CommandOutput,
    Verdict,
    collected_warnings,
    judge_command,
    judge_error,
)
from benchmarks.fuzz.kinds import Kind, Target

MAX_MB = 400
"""Peak memory of a case: of the whole process, or, with PyTorch, beyond what the worker had."""


class Reporter:
    """Writes JSON lines to the parent process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, *message: object) -> None:
        os.write(self._descriptor, json.dumps(message).encode() + b"\n")


class Worker:
    """Runs the cases of one kind.

    Args:
        kind: an entry of `KINDS`.
        seed: of all cases.
        scratch: a folder for inputs and temporary files.
    """

    def __init__(self, kind: Kind, seed: int, scratch: Path) -> None:
        self.kind, self.seed, self.scratch = kind, seed, scratch
        self.folder = scratch / "case"
        self.home, self.temporary, seeds = (scratch / n for n in ("home", "tmp", "seeds"))
        for one in (self.home, self.temporary, seeds):
            shutil.rmtree(one, ignore_errors=True)
            one.mkdir(parents=True)
        self.target: Target = kind.make_target(seeds)
        self._home_files = _list_files(self.home)  # of the seeds' own tools
        limits.limit_address_space()
        self._max_mb = MAX_MB + (limits.resident_mb() if kind.has_torch else 0)

    def run(self, number: int) -> Verdict:
        """Run one case."""
        case = self.write(number)
        before = _list_files(self.folder)
        limits.reset_peak()
        with collected_warnings() as warned:
            verdict = self._judge(case)
        peak = limits.peak_mb()
        del case
        if verdict.outcome in FAULTS:
            return verdict
        if peak > self._max_mb:
            return Verdict("memory", "peak", f"peak of {peak:.0f} MB, limit {self._max_mb:.0f} MB")
        if warned.messages:
            return Verdict("unexpected", warned.messages[0].split(": ")[0], warned.messages[0])
        if left := self._find_left_files(before):
            return Verdict("unexpected", f"left {left[0].suffix or 'a file'}", f"left: {left}")
        return verdict

    def write(self, number: int) -> Any:
        """Write the input of a case, the same every time, to an empty folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        return self.target.write(Random(f"{self.kind.name}:{self.seed}:{number}"), self.folder)

    def _judge(self, case: Any) -> Verdict:
        try:
            done = self.target.run(case)
        except Exception as error:
            return judge_error(error)
        return judge_command(done) if isinstance(done, CommandOutput) else OK

    def _find_left_files(self, before: set[str]) -> list[Path]:
        """Temporary files of the case; they are removed."""
        own = [self.folder / name for name in _list_files(self.folder) - before]
        left = [path for path in own if path.name.startswith(".fer-") or path.suffix == ".part"]
        left += [self.temporary / name for name in _list_files(self.temporary)]
        left += [self.home / name for name in _list_files(self.home) - self._home_files]
        for path in left:
            path.unlink(missing_ok=True)
        return left


def _list_files(folder: Path) -> set[str]:
    """Relative paths of all files under a folder."""
    root = str(folder)
    return {
        os.path.relpath(os.path.join(parent, name), root)  # noqa: PTH118 - many times a second
        for parent, _, names in os.walk(root)
        for name in names
    }


def serve(kinds: list[Kind], seed: int, scratch: Path, found: Path) -> None:
    """Fork a worker for each line of standard input."""
    report = Reporter(os.dup(1))
    log = os.open(scratch / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for descriptor in (1, 2):  # what libraries print
        os.dup2(log, descriptor)
    by_name = {kind.name: kind for kind in kinds}
    for kind in kinds:
        kind.import_module()
    report("ready")
    for line in os.fdopen(os.dup(0)):
        name, first, end = line.split()
        worker = os.fork()
        if worker == 0:
            numbers = range(int(first), int(end))
            _work(report, by_name[name], seed, scratch, found, numbers)
        report("worker", worker)
        _, status = os.waitpid(worker, 0)
        report("exit", os.waitstatus_to_exitcode(status))


def _work(
    report: Reporter, kind: Kind, seed: int, scratch: Path, found: Path, numbers: range
) -> None:
    """Run cases, and end this process."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        elsewhere = scratch / "elsewhere"  # so that a relative name is none of the clone's
        elsewhere.mkdir(exist_ok=True)
        os.chdir(elsewhere)
        stacks = Path(scratch, "stacks").open("w")  # noqa: SIM115 - until the process ends
        faulthandler.enable(stacks)
        worker = Worker(kind, seed, scratch)
        if limits.trap_sockets():
            faulthandler.register(signal.SIGSYS, stacks, chain=True)
        for number in numbers:
            report("begin", number)
            began = time.perf_counter()
            verdict = worker.run(number)
            seconds = time.perf_counter() - began
            if verdict.outcome in FAULTS:
                worker.write(number)  # again, since fer-edge may have changed it
                keep_case(found, worker.folder, kind.name, seed, number, verdict)
            report("end", number, verdict.outcome, verdict.key, seconds)
        code = 0
    except BaseException as error:  # the fork must not return to the caller's code
        report("broken", f"{type(error).__name__}: {error}", judge_error(error).message)
    finally:
        os._exit(code)


def main() -> None:
    seed, scratch, found, *kinds = sys.argv[1:]
    tempfile.tempdir = str(Path(scratch, "tmp"))
    serve([Kind(**json.loads(kind)) for kind in kinds], int(seed), Path(scratch), Path(found))


if __name__ == "__main__":
    main()
