"""The C++ reader beside Python, under each engine: start, memory, size, and the same labels.

FER2013=/path/to/fer2013.tar.gz python -m benchmarks.cpp [--rounds N] [--keep]

Each program gets a raw face on standard input and prints its probabilities. ncnn runs base's
checkpoint in fp32, the others base in int8. All have a turn in each round, in random order. Then
each predicts the whole test split, and its labels are compared with PyTorch's.

The C++ reader is built with ncnn where FER_EDGE_NCNN_SOURCE names ncnn's source.
"""

from __future__ import annotations

import argparse
import os
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
import numpy.typing as npt

from benchmarks.board.emulate import export_cached
from benchmarks.board.machine import CACHE
from benchmarks.lib.cpp_reader import (
    IN_PYTHON,
    NCNN_SOURCE,
    build_reader,
    ncnn_options,
    openvino_folder,
)
from benchmarks.lib.result_tables import save_result, to_markdown
from fer_edge.runtime.backends import ENGINES
from fer_edge.runtime.formats.model_files import bundled, model_size
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.data.fer2013 import read_fer2013
from fer_edge.train.networks.checkpoint import load

NAMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "ncnn": "ncnn"}
COLUMNS = ["engine, model", "program", "start to the first face, s", "peak memory, MB"]
COLUMNS += ["program file, MB", "with its libraries, MB", "model file, MB"]
COLUMNS += ["same label as PyTorch"]


@dataclass(frozen=True)
class Program:
    """A program that reads raw faces from standard input.

    Attributes:
        engine: the engine's name as people write it.
        language: Python or C++.
        command: the command that starts it.
        model: the model that it reads.
        size: of the compiled program, in bytes; None: it isn't compiled.
    """

    engine: str
    language: str
    command: list[str]
    model: Path
    size: int | None = None

    def precision(self) -> str:
        """The precision of the model."""
        return read_spec(self.model).quantization.precision


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


def find_programs(folder: Path, cache: Path) -> list[Program]:
    """Build the C++ readers in a folder, and list every program that runs here."""
    programs = []
    for engine, name in NAMES.items():
        model = export_cached(cache, "ncnn") if engine == "ncnn" else bundled("model")
        if model is None:
            continue
        command = [sys.executable, "-c", IN_PYTHON, str(model), engine, "/dev/stdin"]
        programs.append(Program(name, "Python", command, model))
        if options := build_options(engine, model):
            built = build_reader(folder / engine, CMAKE_EXE_LINKER_FLAGS="-s", **options)
            command = [str(built), str(model), "-"]
            programs.append(Program(name, "C++", command, model, built.stat().st_size))
    return programs


def build_options(engine: str, model: Path) -> dict[str, object]:
    """CMake's variables for an engine; none where the reader isn't built with it."""
    if engine == "openvino":
        return {"OpenVINO_DIR": openvino_folder() / "cmake"}
    return ncnn_options(model) if engine == "ncnn" and NCNN_SOURCE else {}


def count_same(program: Program, faces: npt.NDArray[np.uint8], labels: list[str]) -> str:
    """For how many faces a program predicts PyTorch's label, of how many."""
    done = subprocess.run(
        program.command, input=faces.tobytes(), stdout=subprocess.PIPE, check=True
    )
    found = [line.split()[1] for line in done.stdout.decode().splitlines()]
    same = sum(one == other for one, other in zip(found, labels, strict=True))
    return f"{same:,} of {len(faces):,}"


def make_row(program: Program, turns: list[Turn], same: str) -> list[str | int | float]:
    """The table's row of a program."""
    return [
        f"{program.engine}, {read_spec(program.model).title} in {program.precision()}",
        program.language,
        f"{median(turn.seconds for turn in turns):.2f}",
        f"{max(turn.peak for turn in turns):.0f}",
        "–" if program.size is None else f"{program.size / 1e6:.2f}",
        f"{turns[0].files:.0f}",
        f"{model_size(program.model) / 1e6:.2f}",
        same,
    ]


def predict_in_pytorch(faces: npt.NDArray[np.uint8]) -> dict[str, list[str]]:
    """PyTorch's labels by precision, of base's checkpoint and of its quantized model."""
    checkpoint = load(bundled("checkpoint"))
    models = {"fp32": checkpoint, "int8": checkpoint.int8()}
    labels = np.array(checkpoint.spec.labels)
    return {name: list(labels[one.predict(faces).argmax(1)]) for name, one in models.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cache", type=Path, default=CACHE, help="cache folder of the export")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/cpp.json")
    chosen = parser.parse_args()
    if chosen.keep and NCNN_SOURCE is None:
        parser.error("--keep: FER_EDGE_NCNN_SOURCE isn't set: the table has the reader with ncnn")
    faces = read_fer2013(Path(os.environ["FER2013"])).splits["test"].pixels
    labels = predict_in_pytorch(faces)
    with tempfile.TemporaryDirectory() as folder:
        programs = find_programs(Path(folder), chosen.cache.resolve())
        turns: dict[int, list[Turn]] = {i: [] for i in range(len(programs))}
        for number in range(chosen.rounds + 1):
            for i in random.sample(range(len(programs)), len(programs)):
                turn = run(programs[i].command, faces[0].tobytes())
                if number:  # the first round only fills the disk cache
                    turns[i].append(turn)
        rows = [
            make_row(one, turns[i], count_same(one, faces, labels[one.precision()]))
            for i, one in enumerate(programs)
        ]
    print(to_markdown(COLUMNS, rows))
    if chosen.keep:
        save_result(
            "cpp",
            COLUMNS,
            rows,
            command="python -m benchmarks.cpp --keep",
            model=read_spec(bundled("model")).title,
            versions={one: version(one) for one in ("fer-edge", *ENGINES)},
        )


if __name__ == "__main__":
    main()
