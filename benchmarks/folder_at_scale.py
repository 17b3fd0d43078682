"""How fast are 100,000 images, in how much memory, and is a killed run resumed without a loss?

python -m benchmarks.folder_at_scale [--images 100000] [--folder FOLDER]

The images are synthetic (48 x 48 PNG files, a thousand in a folder) and stay in FOLDER if it is
given. The run is killed with `kill -9` after two fifths and resumed; then the file must contain
every image once, with the result that an uninterrupted run over the first thousand gives.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, FOLDER_SIZE, KINDS, KILLED_AT = 48, 1000, 64, 0.4
COMMAND = [sys.executable, "-m", "fer_edge", "infer"]


def make_images(folder: Path, count: int) -> None:
    """Write `count` PNG files of `KINDS` different images."""
    random = np.random.default_rng(0)
    kinds = [
        Image.fromarray(random.integers(0, 256, (6, 6), np.uint8)).resize((SIDE, SIDE))
        for _ in range(KINDS)
    ]
    for i in range(count):
        path = folder / f"{i // FOLDER_SIZE:04}" / f"{i:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            kinds[i % KINDS].save(path)


def resident_memory(pid: int) -> float:
    """Resident memory of a process, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = [line for line in lines if line.startswith("VmRSS:")]
    return int(found[0].split()[1]) / 1024 if found else 0.0


def count_rows(path: Path) -> int:
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0


def run_infer(folder: Path, out: Path, *options: str, kill_at: int | None = None) -> None:
    command = [*COMMAND, str(folder), "--faces", "whole", "-o", str(out), *options]
    before = count_rows(out.with_name(out.name + ".part"))
    began = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    curve = []
    while process.poll() is None:
        time.sleep(1)
        done = count_rows(out.with_name(out.name + ".part"))
        if process.poll() is None:
            curve.append((done, resident_memory(process.pid)))
        if kill_at is not None and done >= kill_at:
            process.kill()
            process.wait()
            break
    seconds = time.monotonic() - began
    assert process.stderr
    print(process.stderr.read().strip() or "killed with -9")
    done = count_rows(out) or count_rows(out.with_name(out.name + ".part"))
    new = done - before
    print(f"  {new:,} images, {new / seconds:,.0f} images/s, including the start")
    for place in sorted({round(i * (len(curve) - 1) / 9) for i in range(10)} if curve else ()):
        print(f"  {curve[place][0]:>9,} done  {curve[place][1]:6.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch, "images")
        make_images(folder, arguments.images)
        out = Path(scratch, "out.csv")
        run_infer(folder, out, kill_at=int(KILLED_AT * arguments.images))
        run_infer(folder, out, "--resume")
        small = Path(scratch, "small.csv")
        run_infer(folder / "0000", small)
        with out.open() as stream:
            found = list(csv.reader(stream))[1:]
        with small.open() as stream:
            first = list(csv.reader(stream))[1:]
    names = [row[0] for row in found]
    print(f"{len(names):,} rows, {len(set(names)):,} images of {arguments.images:,}")
    if len(names) != arguments.images or len(set(names)) != len(names):
        sys.exit("images were lost or written twice")
    if found[: len(first)] != first:
        sys.exit("the results differ from those of the uninterrupted run")


if __name__ == "__main__":
    main()
