"""Does memory grow, or an answer change, in a long run? With base.

python -m benchmarks.endurance [--scale 0.01] [--only calls] [--keep]

Each run is a process of its own: 8 threads that call one recognizer 20,000 times each, 1,000 loads
of the model with one prediction, and a video of 100,000 frames. `--scale` shortens all of them.
Every result is compared with the first of its input. Memory is the resident set, sampled a few
hundred times; its slope is the least squares' over the samples after the first tenth.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.lib.result_tables import save_result
from benchmarks.lib.timing import print_table
from fer_edge import Recognizer, Result
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec

THREADS = 8
CALLS, LOADS, FRAMES = 20_000, 1_000, 100_000
"""Calls of each thread, loads, and frames of the video at `--scale 1`."""
PERIOD = 10
"""Frames of the video after which it repeats itself."""
SAMPLES = 400
WARM_UP = 0.1
"""Fraction of the samples before memory is compared."""
EXAMPLE = Path(__file__).parent.parent / "examples" / "astronaut.png"
COLUMNS = [
    "run", "number", "other results", "MB after a tenth", "MB at the end", "kB more per 1,000",
    "open files more", "per second",
]  # fmt: skip


@dataclass(frozen=True)
class Endured:
    """What a run came to.

    Attributes:
        number: of calls, loads or frames.
        different: results that weren't those of the same input before.
        memory: samples: the number done so far and the resident set, in MB (2^20 bytes).
        descriptors: open files at the end less those after the first sample.
        seconds: from start to end.
    """

    number: int
    different: int
    memory: list[tuple[int, float]]
    descriptors: int
    seconds: float

    def row(self, name: str) -> list[str | int | float]:
        """The run's row of the table."""
        settled = settled_samples(self.memory)
        return [
            name,
            f"{self.number:,}",
            self.different,
            f"{settled[0][1]:.1f}",
            f"{settled[-1][1]:.1f}",
            f"{measure_slope(settled) * 1024 * 1000:.2f}",
            self.descriptors,
            f"{self.number / self.seconds:,.0f}",
        ]


class Monitor:
    """Counts units, from any thread, and samples the memory.

    Args:
        number: of units in the whole run.
    """

    def __init__(self, number: int) -> None:
        self.memory: list[tuple[int, float]] = []
        self._every = max(1, number // SAMPLES)
        self._done = 0
        self._lock = threading.Lock()
        self._descriptors: int | None = None
        self._began = time.perf_counter()

    def step(self) -> None:
        """Count one unit."""
        with self._lock:
            self._done += 1
            if self._done % self._every == 0:
                self.memory.append((self._done, resident_mb()))
                if self._descriptors is None:
                    self._descriptors = count_descriptors()

    def finish(self, different: int) -> Endured:
        """The run's result; `different` is as in `Endured`."""
        seconds = time.perf_counter() - self._began
        more = count_descriptors() - (self._descriptors or 0)
        return Endured(self._done, different, self.memory, more, seconds)


def settled_samples(memory: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """The samples after the first tenth, in which caches and pools fill."""
    return memory[int(len(memory) * WARM_UP) :]


def thin_out(memory: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """About twenty of the samples, to be kept."""
    return memory[:: max(1, len(memory) // 20)]


def measure_slope(memory: Sequence[tuple[int, float]]) -> float:
    """Slope of the line through samples by least squares, in MB per unit."""
    if len(memory) < 2:
        return 0.0
    done, resident = np.array(memory, float).T
    return float(np.polyfit(done, resident, 1)[0])


def resident_mb() -> float:
    """Resident set of this process, in MB."""
    with Path("/proc/self/statm").open() as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def count_descriptors() -> int:
    """Number of open files of this process."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers, no paths


def make_images(number: int) -> list[Image.Image]:
    """The example in sizes of its own."""
    with Image.open(EXAMPLE) as image:
        example = image.convert("RGB")
    return [example.resize((96 + 16 * i, 96 + 8 * i)) for i in range(number)]


def _outcome(result: Result) -> object:
    return [(face.box, face.emotion, face.confidence) for face in result.faces]


def run_calls(scale: float) -> Endured:
    """Threads that share a recognizer, each with an image of its own."""
    recognizer = Recognizer.load(faces="whole", threads=1)
    calls = max(2, round(CALLS * scale))
    monitor = Monitor(THREADS * calls)

    def call(image: Image.Image) -> int:
        expected, different = _outcome(recognizer(image)), 0
        for _ in range(calls):
            different += _outcome(recognizer(image)) != expected
            monitor.step()
        return different

    with ThreadPoolExecutor(THREADS) as pool:
        return monitor.finish(sum(pool.map(call, make_images(THREADS))))


def run_loads(scale: float) -> Endured:
    """Loads of the model, each with one prediction."""
    (image,) = make_images(1)
    expected = _outcome(Recognizer.load(faces="whole")(image))
    loads, different = max(2, round(LOADS * scale)), 0
    monitor = Monitor(loads)
    for _ in range(loads):
        different += _outcome(Recognizer.load(faces="whole")(image)) != expected
        monitor.step()
    return monitor.finish(different)


def run_stream(scale: float) -> Endured:
    """A video of which every frame is read; the same few frames come again and again."""
    frames = max(SAMPLES, round(FRAMES * scale))
    recognizer = Recognizer.load(faces="whole", threads=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.mkv")
        write_video(path, frames)
        monitor = Monitor(frames)
        seen: dict[int, object] = {}
        different = 0
        for i, result in enumerate(recognizer.stream(path)):
            # the probabilities of the frame itself; a track's are smoothed over time
            found = [face.probabilities for face in result.faces]
            different += seen.setdefault(i % PERIOD, found) != found or result.frame != i
            monitor.step()
    ended = monitor.finish(different)
    return replace(ended, different=different + abs(frames - ended.number))


def write_video(path: Path, frames: int) -> None:
    """Write a video of 48 x 48 pixels, whose every frame is coded by itself, without loss."""
    import av

    images = [image.resize((48, 48)).convert("L") for image in make_images(PERIOD)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = 48
        stream.pix_fmt = "gray"
        coded = [av.VideoFrame.from_ndarray(np.asarray(image), "gray") for image in images]
        for i in range(frames):
            frame = coded[i % PERIOD]
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


RUNS: dict[str, tuple[str, Callable[[float], Endured]]] = {
    "calls": (f"calls from {THREADS} threads", run_calls),
    "loads": ("loads, with one prediction each", run_loads),
    "stream": ("frames of one video", run_stream),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", choices=RUNS)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results")
    parser.add_argument("--child", choices=RUNS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(asdict(RUNS[arguments.child][1](arguments.scale))))
        return
    rows, figures = [], {}
    for name in [arguments.only] if arguments.only else RUNS:
        command = [sys.executable, "-m", "benchmarks.endurance", "--child", name]
        done = subprocess.run(
            [*command, "--scale", str(arguments.scale)], stdout=subprocess.PIPE, check=True
        )
        figures[name] = json.loads(done.stdout)
        rows.append(Endured(**figures[name]).row(RUNS[name][0]))
        print(f"{name}: done", file=sys.stderr)
    print_table(COLUMNS, rows, 18)
    if arguments.keep:
        scale = "" if arguments.scale == 1 else f" --scale {arguments.scale}"
        save_result(
            "endurance",
            COLUMNS,
            rows,
            command=f"python -m benchmarks.endurance{scale} --keep",
            model=read_spec(bundled("model")).title,
            figures={name: thin_out(one["memory"]) for name, one in figures.items()},
        )
    sys.exit(any(one["different"] for one in figures.values()))


if __name__ == "__main__":
    main()
