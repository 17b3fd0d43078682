"""100,000 small pictures: rate, memory, `kill -9` and `--resume`.

python -m benchmarks.folder_at_scale [--pictures 100000] [--folder FOLDER]

The pictures are made up (48 x 48 PNG files, a thousand in a folder) and stay in FOLDER where one is
named.
The run is killed when two fifths are done and gone on with; then every picture must be in the file
once, with the answer that an unbroken run over the first thousand gives.
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

SIDE, IN_A_FOLDER, KINDS, KILLED_AT = 48, 1000, 64, 0.4
COMMAND = [sys.executable, "-m", "fer_edge", "infer"]


def make(folder: Path, count: int) -> None:
    random = np.random.default_rng(0)
    kinds = [
        Image.fromarray(random.integers(0, 256, (6, 6), np.uint8)).resize((SIDE, SIDE))
        for _ in range(KINDS)
    ]
    for i in range(count):
        path = folder / f"{i // IN_A_FOLDER:04}" / f"{i:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            kinds[i % KINDS].save(path)


def memory(pid: int) -> float:
    """Megabytes in use by a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = [line for line in lines if line.startswith("VmRSS:")]
    return int(found[0].split()[1]) / 1024 if found else 0.0


def rows(path: Path) -> int:
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0


def run(folder: Path, out: Path, *more: str, kill_at: int | None = None) -> None:
    command = [*COMMAND, str(folder), "--faces", "whole", "-o", str(out), *more]
    before = rows(out.with_name(out.name + ".part"))
    began = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    curve = []
    while process.poll() is None:
        time.sleep(1)
        done = rows(out.with_name(out.name + ".part"))
        if process.poll() is None:
            curve.append((done, memory(process.pid)))
        if kill_at is not None and done >= kill_at:
            process.kill()
            process.wait()
            break
    seconds = time.monotonic() - began
    assert process.stderr
    print(process.stderr.read().strip() or "killed with -9")
    done = rows(out) or rows(out.with_name(out.name + ".part"))
    print(f"  {done - before:,} pictures, {(done - before) / seconds:,.0f} a second with the start")
    for place in sorted({round(i * (len(curve) - 1) / 9) for i in range(10)} if curve else ()):
        print(f"  {curve[place][0]:>9,} done  {curve[place][1]:6.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch, "pictures")
        make(folder, arguments.pictures)
        out = Path(scratch, "out.csv")
        run(folder, out, kill_at=int(KILLED_AT * arguments.pictures))
        run(folder, out, "--resume")
        small = Path(scratch, "small.csv")
        run(folder / "0000", small)
        with out.open() as stream:
            found = list(csv.reader(stream))[1:]
        with small.open() as stream:
            first = list(csv.reader(stream))[1:]
    names = [row[0] for row in found]
    print(f"{len(names):,} rows, {len(set(names)):,} pictures of {arguments.pictures:,}")
    if len(names) != arguments.pictures or len(set(names)) != len(names):
        sys.exit("pictures were lost or doubled")
    if found[: len(first)] != first:
        sys.exit("the answers aren't those of the unbroken run")


if __name__ == "__main__":
    main()
