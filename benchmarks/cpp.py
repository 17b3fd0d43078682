"""The C++ reader beside the same program in Python: start, memory and size.

python -m benchmarks.cpp [--rounds N] [--keep]

Each program gets a raw face on standard input and prints its probabilities. OpenVINO runs base;
ncnn, where FER_EDGE_NCNN_SOURCE names its source, runs base's checkpoint in fp32. All have a turn
in each round, in random order.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.board.emulate import export_cached
from benchmarks.board.machine import CACHE
from benchmarks.lib.cpp_reader import NCNN_SOURCE, build_reader, ncnn_options, openvino_folder
from benchmarks.lib.result_tables import save_result, to_markdown
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec

IN_PYTHON = """
import sys
from pathlib import Path

import numpy as np

from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.results import softmax

backend = open_backend(Path(sys.argv[1]), backend=sys.argv[2], threads=1)
side = backend.spec.input.side
while len(face := sys.stdin.buffer.read(side * side)) == side * side:
    logits = backend(np.frombuffer(face, np.uint8).reshape(1, side, side))
    print(*softmax(logits, backend.spec.temperature)[0], flush=True)
"""
COLUMNS = ["engine, model", "program", "start to the first face, s", "peak memory, MB"]
COLUMNS += ["program file, MB", "with its libraries, MB"]


@dataclass(frozen=True)
class Turn:
    """Seconds from the start to the first prediction; peak and mapped files in megabytes."""

    seconds: float
    peak: float
    files: float


def run(command: list[str], face: bytes) -> Turn:
    """Start a program, give it one face, and look at it while it waits for another.

    Raises:
        RuntimeError: it predicts nothing.
    """
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(face)
        process.stdin.flush()
        line = process.stdout.readline()
        seconds = time.perf_counter() - began
        folder = Path("/proc", str(process.pid))
        status = (folder / "status").read_text().splitlines() if line else []
        maps = (folder / "maps").read_text().splitlines() if line else []
        process.stdin.close()
    if not line:
        raise RuntimeError(f"{command[0]} predicts nothing")
    (peak,) = (int(one.split()[1]) for one in status if one.startswith("VmHWM:"))
    mapped = {Path(one.split(maxsplit=5)[5]) for one in maps if "/" in one}
    files = sum(path.stat().st_size for path in mapped if path.is_file())
    return Turn(seconds, peak / 1024, files / 1e6)


def candidates(folder: Path, cache: Path) -> dict[tuple[str, str], list[str]]:
    """Commands by engine with its model, and by language."""
    base, options = bundled("model"), {"OpenVINO_DIR": openvino_folder() / "cmake"}
    models = {f"OpenVINO, {read_spec(base).title} in int8": ("openvino", base, options)}
    if NCNN_SOURCE is not None and (path := export_cached(cache, "ncnn")):
        key = f"ncnn, {read_spec(path).title} in fp32"
        models[key] = ("ncnn", path, ncnn_options(path))
    found = {}
    for name, (engine, path, variables) in models.items():
        program = build_reader(folder / engine, CMAKE_EXE_LINKER_FLAGS="-s", **variables)
        found[name, "C++"] = [str(program), str(path), "-"]
        found[name, "Python"] = [sys.executable, "-c", IN_PYTHON, str(path), engine]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cache", type=Path, default=CACHE, help="cache folder of the export")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/cpp.json")
    chosen = parser.parse_args()
    face = np.random.default_rng(0).integers(0, 256, 48 * 48, np.uint8).tobytes()
    with tempfile.TemporaryDirectory() as folder:
        commands = candidates(Path(folder), chosen.cache.resolve())
        turns: dict[tuple[str, str], list[Turn]] = {key: [] for key in commands}
        for i in range(chosen.rounds + 1):
            for key, command in random.sample(list(commands.items()), len(commands)):
                turn = run(command, face)
                if i:  # the first round only fills the disk cache
                    turns[key].append(turn)
        sizes = {key: Path(command[0]).stat().st_size / 1e6 for key, command in commands.items()}
    rows: list[list[str | int | float]] = [
        [
            *key,
            f"{median(turn.seconds for turn in found):.2f}",
            f"{max(turn.peak for turn in found):.0f}",
            f"{sizes[key]:.2f}" if key[1] == "C++" else "–",
            f"{found[0].files:.0f}",
        ]
        for key, found in turns.items()
    ]
    print(to_markdown(COLUMNS, rows))
    if chosen.keep:
        packages = ("openvino", "ncnn") if NCNN_SOURCE else ("openvino",)
        save_result(
            "cpp",
            COLUMNS,
            rows,
            command="python -m benchmarks.cpp --keep",
            model=read_spec(bundled("model")).title,
            versions={"fer-edge": version("fer-edge")} | {one: version(one) for one in packages},
        )


if __name__ == "__main__":
    main()
