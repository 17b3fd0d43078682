"""What `fer infer face.pgm` costs as a whole process, and what each part of it costs.

python -m benchmarks.cold_start [--runs 7] [--model FILE]

Run it in an environment that has the base install alone. Each line is a process of its own,
`--runs` times in turn with the others; printed are the smallest and the median seconds from its
start to its end, and the largest memory that the system counted for it. The parts are nested: what
one line adds to the one before is its part's cost.
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


def run(command: list[str]) -> tuple[float, float]:
    """Seconds and megabytes of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        face = str(Path(scratch, "face.pgm"))
        # written by hand: what this process has in memory would count for its children too
        Path(face).write_bytes(b"P5 48 48 255\n" + random.Random(0).randbytes(48 * 48))
        commands = {
            name: [sys.executable, "-c", code.format(face=face)] for name, code in PARTS.items()
        }
        model = [] if arguments.model is None else ["--model", str(arguments.model)]
        commands["fer infer face.pgm"] = [sys.executable, "-m", "fer_edge", "infer", face, *model]
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(arguments.runs + 1):
            for name, command in commands.items():
                figure = run(command)
                if turn:  # the first one only warms the disk's cache
                    figures[name].append(figure)
    print(f"{arguments.runs} runs   smallest   median      peak")
    for name, rows in figures.items():
        seconds, megabytes = zip(*rows, strict=True)
        print(
            f"{name:<20} {min(seconds):5.3f} s  {statistics.median(seconds):5.3f} s  "
            f"{max(megabytes):5.1f} MB"
        )


if __name__ == "__main__":
    main()
