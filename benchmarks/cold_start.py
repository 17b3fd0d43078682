"""The cost of `fer infer face.pgm` as a whole process, and of each of its parts.

python -m benchmarks.cold_start [--runs 7] [--model FILE] [--baseline PYTHON]

Run it with the Python of an environment that has the base install alone. Every line is a separate
process, run `--runs` times in turn with the others. The table shows the minimum and the median of
the CPU seconds (user and system), the median of the seconds from start to end, and the maximum
memory (resident set). The parts are nested: the difference between a line and the one before is the
cost of that part.

With `--baseline`, the Python of another environment, such as one with an earlier version, only the
whole command is run, in turn in both environments. The last line is the median of the ratios of
their CPU seconds, pair by pair.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PARTS = {
    "Python": "pass",
    "+ numpy": "import numpy",
    "+ Pillow": "import numpy, PIL.Image",
    "+ onnxruntime": "import numpy, PIL.Image, onnxruntime",
    "+ recognizer": "import onnxruntime; from fer_edge import Recognizer",
    "+ model loaded": "from fer_edge import Recognizer; Recognizer.load(faces='whole')",
    "+ one face": "from fer_edge import Recognizer; Recognizer.load(faces='whole')({face!r})",
    "command line alone": "from fer_edge import cli",
}


@dataclass(frozen=True)
class Cost:
    """CPU seconds, seconds from start to end, and peak megabytes of one process."""

    cpu: float
    wall: float
    memory: float


def run(command: list[str]) -> Cost:
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--baseline", type=Path, help="Python of another environment")
    arguments = parser.parse_args()
    model = [] if arguments.model is None else ["--model", str(arguments.model)]
    with tempfile.TemporaryDirectory() as scratch:
        face = str(Path(scratch, "face.pgm"))
        # written by hand: a child's peak memory includes that of this process when it forks
        Path(face).write_bytes(b"P5 48 48 255\n" + random.Random(0).randbytes(48 * 48))
        infer = ["-m", "fer_edge", "infer", face, *model]
        if arguments.baseline is None:
            commands = {
                name: [sys.executable, "-c", code.format(face=face)] for name, code in PARTS.items()
            }
        else:
            commands = {"baseline": [str(arguments.baseline), *infer]}
        commands["fer infer face.pgm"] = [sys.executable, *infer]
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for turn in range(arguments.runs + 1):
            for name, command in commands.items():
                cost = run(command)
                if turn:  # the first turn only fills the disk cache
                    costs[name].append(cost)
    print(f"{arguments.runs} runs           CPU min   CPU median  wall median  memory")
    for name, rows in costs.items():
        cpu = [row.cpu for row in rows]
        print(
            f"{name:<20} {min(cpu):5.3f} s   {statistics.median(cpu):5.3f} s     "
            f"{statistics.median(row.wall for row in rows):5.3f} s  "
            f"{max(row.memory for row in rows):5.1f} MB"
        )
    if arguments.baseline is not None:
        before, after = costs.values()
        ratio = statistics.median(b.cpu / a.cpu for a, b in zip(before, after, strict=True))
        print(f"CPU seconds against the baseline: {ratio:.2f} times")


if __name__ == "__main__":
    main()
