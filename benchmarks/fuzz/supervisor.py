"""Run the cases of a kind in a child process that may die, hang or run out of memory."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.fuzz.found import keep_case
from benchmarks.fuzz.judge import Outcome, Verdict
from benchmarks.fuzz.kinds import Kind
from benchmarks.fuzz.processes import cpu_seconds, is_waiting_for_cpu

TIMEOUT = 30.0
"""Seconds of one case."""
START_TIMEOUT = 180.0
"""Seconds for imports and seeds."""
EXTENSIONS = 20
"""How often the time is extended of a case that gets too little of the CPU."""
KILL_TIMEOUT = 5.0
"""Seconds in which a worker ends after a signal."""
WORKER_CASES = 2000
"""Cases of one worker: what engines leak must not add up."""


class BrokenKindError(Exception):
    """The fuzzer itself failed: a kind can't make its seeds or its cases."""


@dataclass
class Counts:
    """What became of the cases of one kind.

    Attributes:
        outcomes: number of cases by outcome.
        keys: number of faults by outcome and key.
        seconds: spent in all cases.
        slowest: seconds of the slowest case.
        next_case: number of the first case that hasn't run.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0
    next_case: int = 0

    def add(self, outcome: Outcome, key: str, seconds: float) -> None:
        """Count one case."""
        self.outcomes[outcome] += 1
        self.seconds += seconds
        self.slowest = max(self.slowest, seconds)
        if key:
            self.keys[f"{outcome}: {key}"] += 1


@dataclass(frozen=True)
class Budget:
    """When to stop.

    Attributes:
        end: number of the first case that is not run; None: no such number.
        seconds: for all cases, with the imports; None: no limit.
    """

    end: int | None = None
    seconds: float | None = None


class Supervisor(AbstractContextManager["Supervisor"]):
    """Runs cases and counts their outcomes.

    Args:
        kinds: one child process imports what they need.
        seed: of all cases.
        scratch: a folder of this supervisor alone.
        found: folder for cases with a fault.
        timeout: seconds of one case.
    """

    def __init__(
        self,
        kinds: Sequence[Kind],
        seed: int,
        scratch: Path,
        found: Path,
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        self.kinds, self.seed, self.scratch, self.found = kinds, seed, scratch, found
        self._timeout = timeout
        scratch.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        """Start the child process and wait for its imports."""
        self._child = self._start_child()
        self._lines = _Lines(self._child)
        try:
            if self._next_message(START_TIMEOUT) is None:
                raise BrokenKindError("the imports of the child process don't end")
        except BrokenKindError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the child process."""
        self._child.kill()
        self._child.communicate()

    def run(self, kind: Kind, counts: Counts, budget: Budget) -> None:
        """Run cases from `counts.next_case` on and add their outcomes to `counts`.

        Raises:
            BrokenKindError: the fuzzer itself failed.
        """
        last = sys.maxsize if budget.end is None else budget.end
        deadline = time.monotonic() + (budget.seconds or float("inf"))
        while counts.next_case < last and time.monotonic() < deadline:
            end = min(last, counts.next_case + WORKER_CASES)
            self._run_worker(kind, counts, end, deadline)

    def _start_child(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "benchmarks.fuzz.child", str(self.seed)]
        described = [json.dumps(asdict(kind)) for kind in self.kinds]
        home = str(self.scratch / "home")
        kept = {
            name: value
            for name, value in os.environ.items()
            if name == "FER_EDGE_DETECTOR" or not name.startswith(("XDG_", "FER_EDGE_"))
        }
        return subprocess.Popen(
            [*command, str(self.scratch), str(self.found), *described],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **kept,
                "HOME": home,
                "TMPDIR": str(self.scratch / "tmp"),
                "FER_EDGE_CACHE": str(self.scratch / "cache"),
                "FER_EDGE_TRACEBACK": "1",
                "OMP_NUM_THREADS": "1",
            },
        )

    def _next_message(self, timeout: float) -> list[Any] | None:
        """The next report of the child process; None: there is none in time."""
        try:
            return self._lines.next(timeout)
        except EOFError:
            log = (self.scratch / "log").read_text(errors="replace")
            raise BrokenKindError(f"the child process ended:\n{log[-2000:]}") from None

    def _run_worker(self, kind: Kind, counts: Counts, end: int, deadline: float) -> None:
        assert self._child.stdin
        self._child.stdin.write(f"{kind.name} {counts.next_case} {end}\n".encode())
        self._child.stdin.flush()
        worker, current, timeout = 0, None, START_TIMEOUT
        is_stopped = is_hanging = False
        extensions, cpu_before = EXTENSIONS, 0.0
        signals = [signal.SIGABRT, signal.SIGKILL]  # at the first, it writes its stacks
        while True:
            message = self._next_message(timeout)
            if message is None:
                if current is None or not signals:
                    raise BrokenKindError(f"{kind.name}: no case begins, or none ends")
                extensions -= 1
                is_starved = cpu_seconds(worker) - cpu_before < self._timeout / 2
                if not is_hanging and extensions and is_starved and is_waiting_for_cpu(worker):
                    continue  # the machine is busy with something else
                is_hanging, timeout = True, KILL_TIMEOUT
                _send(worker, signals.pop(0))
                continue
            what, *values = message
            if what == "worker":
                (worker,) = values
            elif what == "begin":
                (current,) = values
                timeout, extensions, cpu_before = self._timeout, EXTENSIONS, cpu_seconds(worker)
            elif what == "end":
                number, outcome, key, seconds = values
                counts.add(outcome, key, seconds)
                counts.next_case, current, timeout = number + 1, None, START_TIMEOUT
                if time.monotonic() > deadline and not is_stopped:
                    is_stopped = True
                    _send(worker, signal.SIGKILL)
            elif what == "broken":
                raise BrokenKindError(f"{kind.name}: {values[0]}\n{values[1]}")
            elif what == "exit":
                if not is_stopped and values[0]:
                    # a thread of an engine may end the process after a case, which counts once more
                    number = counts.next_case - 1 if current is None else current
                    self._count_death(kind, counts, number, values[0], is_hanging=is_hanging)
                return

    def _count_death(
        self, kind: Kind, counts: Counts, number: int, code: int, *, is_hanging: bool
    ) -> None:
        stacks = (self.scratch / "stacks").read_text()
        place = _find_place(stacks)
        if is_hanging:
            verdict = Verdict("hang", f"hangs {place}", stacks)
        elif -code == signal.SIGSYS:
            verdict = Verdict("unexpected", f"opens a socket {place}", stacks)
        else:
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            verdict = Verdict("signal", f"{name} {place}", stacks)
        keep_case(self.found, self.scratch / "case", kind.name, self.seed, number, verdict)
        counts.add(verdict.outcome, verdict.key, self._timeout if is_hanging else 0.0)
        counts.next_case = number + 1


class _Lines:
    """JSON lines from a child's standard output."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout
        self._descriptor = child.stdout.fileno()
        self._waiting: list[bytes] = []
        self._rest = b""

    def next(self, timeout: float) -> list[Any] | None:
        """The next line; None: none came in time."""
        while not self._waiting:
            ready, _, _ = select.select([self._descriptor], [], [], timeout)
            if not ready:
                return None
            content = os.read(self._descriptor, 1 << 16)
            if not content:
                raise EOFError
            *self._waiting, self._rest = (self._rest + content).split(b"\n")
        message: list[Any] = json.loads(self._waiting.pop(0))
        return message


def _send(worker: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(worker, number)


def _find_place(stacks: str) -> str:
    """The innermost line of fer-edge in what `faulthandler` wrote."""
    for line in stacks.splitlines():
        if "/fer_edge/" in line:
            file = line.split('"')[1].rpartition("/")[2]
            return f"in {file}:{line.rpartition(' in ')[2]}"
    return "outside fer-edge"
