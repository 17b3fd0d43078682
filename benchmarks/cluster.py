"""Images per second of `fer cluster` beside `fer infer`, and the same rows where a worker dies.

python -m benchmarks.cluster [--images 20000] [--folder FOLDER] [--rounds 3] [--keep]
python -m benchmarks.cluster --kill [--images 20000] [--folder FOLDER]

The images are training faces of FER2013 (the variable FER2013 names it) as PNG files, and copies
of a photograph as JPEG files. They stay in FOLDER if it is given. Each program has its turn in each
round, in random order. The time of a cluster begins when each worker has done a part, without the
start of Ray and of the workers. `fer infer` is kept on as many cores; of a cluster, Ray itself may
use the other one.

With --kill, a worker is killed with `kill -9` after a third of the faces; the tables must have
the rows that `fer infer --output` writes, each once and in the same order.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median

from PIL import Image

from benchmarks.lib.result_tables import save_result, to_markdown
from fer_edge.cluster import Totals, infer
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.runtime.inputs.images import hold_image
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.train.data.loading import read_data

PHOTOGRAPH = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
FOLDER_SIZE = 1000
PARTS = 80
"""Parts of the images, so that those at the beginning and the end count for little."""
COLUMNS = ["images", "program", "CPUs", "images/s", "per CPU, of one CPU's", "CPU hours a million"]
TIME_COLUMNS = ["images", "decode, ms", "find and crop, ms", "predict, ms"]
SUMMARY = re.compile(r"^([\d,]+) images? in ([\d.]+) s", re.MULTILINE)
Turn = Callable[[Path], float]


def make_faces(folder: Path, count: int) -> Path:
    """Write the first training faces of FER2013, a thousand in a folder."""
    pixels = read_data(Path(os.environ["FER2013"])).split("train").pixels
    for i in range(count):
        path = folder / f"{i // FOLDER_SIZE:03}" / f"{i:06}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[i % len(pixels)]).save(path)
    return folder


def make_photographs(folder: Path, count: int) -> Path:
    """Copy a photograph of 512 x 512 pixels, in which a face is looked for."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        if not (path := folder / f"{i:05}.jpg").exists():
            shutil.copy(PHOTOGRAPH, path)
    return folder


def run_infer(images: Path, output: Path, cores: str) -> float:
    """Images per second of `fer infer` on some cores, as it reports them."""
    command = ["taskset", "-c", cores, sys.executable, "-m", "fer_edge", "infer", str(images)]
    done = subprocess.run(
        [*command, "--threads", "1", "-o", str(output)], capture_output=True, text=True, check=False
    )
    if not (found := SUMMARY.search(done.stderr)):
        raise RuntimeError(f"fer infer: {done.stderr}")
    return int(found[1].replace(",", "")) / float(found[2])


def run_cluster(images: Path, output: Path, workers: int) -> float:
    """Images per second of a cluster in this machine, once each worker has done a part."""
    parts: list[Totals] = []
    size = sum(path.is_file() for path in images.rglob("*")) // PARTS
    infer([images], output, format="csv", workers=workers, part_size=size, on_part=parts.append)
    first, last = parts[workers - 1], parts[-1]
    return (last.images - first.images) / (last.seconds - first.seconds)


def first_cores(count: int) -> str:
    return ",".join(map(str, sorted(os.sched_getaffinity(0))[:count]))


def measure(images: Path, rounds: int) -> dict[tuple[str, int], float]:
    """The median rate by program and number of CPUs."""
    turns: dict[tuple[str, int], Turn] = {}
    for count in (1, 2):
        cores = first_cores(count)
        turns["fer infer", count] = lambda out, cores=cores: run_infer(
            images, out.with_suffix(".csv"), cores
        )
        turns["fer cluster", count] = lambda out, count=count: run_cluster(images, out, count)
    rates: dict[tuple[str, int], list[float]] = {key: [] for key in turns}
    for _ in range(rounds):
        for key in random.sample(list(turns), len(turns)):
            with tempfile.TemporaryDirectory() as scratch:
                rates[key].append(turns[key](Path(scratch, "out")))
                print(*key, f"{rates[key][-1]:.1f}", file=sys.stderr, flush=True)
    return {key: median(found) for key, found in rates.items()}


def table_rows(kind: str, rates: dict[tuple[str, int], float]) -> list[list[str | int | float]]:
    return [
        [
            kind,
            program,
            count,
            f"{rate:.0f}",
            f"{rate / count / rates[program, 1]:.0%}",
            f"{1e6 * count / rate / 3600:.1f}",
        ]
        for (program, count), rate in sorted(rates.items(), reverse=True)
    ]


def time_row(kind: str, image: Path, count: int = 300) -> list[str | int | float]:
    """Milliseconds that the steps of one image take on one thread, each the median."""
    recognizer = Recognizer.load(threads=1)
    turns = []
    for _ in range(count):
        moments = [time.perf_counter()]
        with hold_image(image):
            moments.append(time.perf_counter())
        prepared = recognizer.prepare(image)  # decodes once more
        moments.append(time.perf_counter())
        recognizer.predict([prepared])
        moments.append(time.perf_counter())
        turns.append([after - before for before, after in pairwise(moments)])
    decode, prepare, predict = (1e3 * median(one) for one in zip(*turns, strict=True))
    return [kind, f"{decode:.2f}", f"{prepare - decode:.2f}", f"{predict:.2f}"]


def read_rows(paths: list[Path]) -> list[str]:
    """The lines of CSV files without their headers."""
    lines = [path.read_text("utf-8").split("\n") for path in paths]
    return [line for one in lines for line in one[1:] if line]


def check_killed(images: Path, count: int) -> None:
    """Kill a worker, and compare the rows with those of `fer infer`.

    Raises:
        SystemExit: they differ.
    """
    killed: list[int] = []

    def kill(totals: Totals) -> None:
        if not killed and totals.images > count / 3:
            killed.append(totals.worker)
            os.kill(totals.worker, signal.SIGKILL)

    with tempfile.TemporaryDirectory() as scratch:
        one = Path(scratch, "one.csv")
        print(f"fer infer: {run_infer(images, one, first_cores(2)):.1f} images/s", flush=True)
        output = Path(scratch, "out")
        totals = infer([images], output, format="csv", workers=2, on_part=kill)
        print(f"fer cluster: {totals.images / totals.seconds:.1f} images/s", flush=True)
        rows = read_rows(sorted((output / "results").iterdir()))
        expected = read_rows([one])
    print(f"worker {killed} killed; {len(rows):,} rows, {len(expected):,} of fer infer")
    if not killed or rows != expected or len(rows) != count:
        sys.exit("the rows differ, or no worker was killed")
    print("all rows are equal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000, help="faces; a tenth of photographs")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="write benchmarks/results/cluster.json and image_steps.json",
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (chosen.folder or Path(scratch)).absolute()
        faces = make_faces(folder / f"faces-{chosen.images}", chosen.images)
        if chosen.kill:
            check_killed(faces, chosen.images)
            return
        count = max(1, chosen.images // 10)
        photographs = make_photographs(folder / f"photographs-{count}", count)
        kinds = {"faces, 48 x 48, PNG": faces, "photographs, 512 x 512, JPEG": photographs}
        rates = {kind: measure(images, chosen.rounds) for kind, images in kinds.items()}
        times = [
            time_row(kind, next(path for path in images.rglob("*.*g") if path.is_file()))
            for kind, images in kinds.items()
        ]
    rows = [row for kind, found in rates.items() for row in table_rows(kind, found)]
    print(to_markdown(COLUMNS, rows))
    print(to_markdown(TIME_COLUMNS, times))
    if not chosen.keep:
        return
    for name, columns, table in (
        ("cluster", COLUMNS, rows),
        ("image_steps", TIME_COLUMNS, times),
    ):
        save_result(
            name,
            columns,
            table,
            command="python -m benchmarks.cluster --keep",
            model=read_spec(bundled("model")).title,
            versions={one: version(one) for one in ("fer-edge", "onnxruntime", "pillow", "ray")},
        )


if __name__ == "__main__":
    main()
