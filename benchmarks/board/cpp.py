"""The C++ reader on an emulated Raspberry Pi, beside the same program in Python, both with ncnn.

Debian's cross compiler builds it from ncnn's source, which FER_EDGE_NCNN_SOURCE names. The golden
samples must pass its self-test, and every face must have the label that Python gives it here.
Instructions are counted from the start of a program to its end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.board.emulate import TIMEOUT, export_cached, faces
from benchmarks.board.machine import BOARDS, CACHE, Machine, build, qemu_version
from benchmarks.lib.cpp_reader import build_reader, ncnn_options
from benchmarks.lib.result_tables import save_result
from fer_edge.runtime.backends import open_backend

FACES = 256
CROSS_COMPILER = {
    "CMAKE_SYSTEM_NAME": "Linux",
    "CMAKE_SYSTEM_PROCESSOR": "aarch64",
    "CMAKE_C_COMPILER": "aarch64-linux-gnu-gcc",
    "CMAKE_CXX_COMPILER": "aarch64-linux-gnu-g++",
}
IN_PYTHON = """
import os, sys
from pathlib import Path

import numpy as np

from fer_edge.runtime.backends import open_backend

model, faces, counts = sys.argv[1:]
backend = open_backend(Path(model), backend="ncnn", threads=1)
side = backend.spec.input.side
for face in np.fromfile(faces, np.uint8).reshape(-1, 1, side, side):
    print("face", backend.spec.labels[backend(face)[0].argmax()])
os.getpgid(0)  # makes the plugin write the count
print(Path(counts).read_text().split()[-1])
"""
COLUMNS = ["board", "program", "same labels", "million instructions, start and first face"]
COLUMNS += ["million instructions/face", "ms/face, estimated"]


@dataclass(frozen=True)
class Run:
    """The lines that a program printed, and the instructions that it executed."""

    lines: list[str]
    instructions: int


def run_cpp(machine: Machine, board: str, *command: object, stdin: bytes = b"") -> Run:
    """Run a program on a board.

    Raises:
        SystemExit: it fails.
    """
    counts = machine.scratch / "counts"
    qemu = ["qemu-aarch64", "-L", str(machine.prefix(board))]
    done = subprocess.run(
        [*qemu, "-plugin", f"{machine.counter},out={counts}", *map(str, command)],
        input=stdin,
        env={"PATH": os.environ["PATH"], "QEMU_CPU": BOARDS[board].core},
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{board}, C++: {done.stderr.decode().strip()}")
    return Run(done.stdout.decode().splitlines(), int(counts.read_text().split()[-1]))


def run_python(machine: Machine, board: str, model: Path, stdin: bytes) -> Run:
    """Run the program in Python on a board.

    Raises:
        SystemExit: it fails.
    """
    path = machine.scratch / "faces"
    path.write_bytes(stdin)
    done = machine.start(board, ["-c", IN_PYTHON, str(model), str(path)], {}, TIMEOUT)
    if done.returncode:
        raise SystemExit(f"{board}, Python: {done.stderr.strip()}")
    *lines, count = done.stdout.splitlines()
    return Run(lines, int(count))


def check_board(machine: Machine, board: str, program: Path, model: Path) -> list[list[str]]:
    """The table's rows of a board.

    Raises:
        SystemExit: the self-test fails, or a label differs.
    """
    shown, what = faces(FACES)
    backend = open_backend(model, backend="ncnn")
    expected = np.array(backend.spec.labels)[backend(shown).argmax(1)]
    print(f"{board}: {run_cpp(machine, board, program, model, '--self-test').lines[0]}", flush=True)
    few = 8  # of Python's, which takes long
    size = f"C++, {program.stat().st_size / 1e6:.2f} MB"
    rows = []
    for name, number in ((size, FACES), ("Python", few)):
        found = []
        for count in (1, number):
            pixels = shown[:count].tobytes()
            if name == "Python":
                found.append(run_python(machine, board, model, pixels))
            else:
                found.append(run_cpp(machine, board, program, model, "-", stdin=pixels))
        one, every = found
        labels = np.array([line.split()[1] for line in every.lines])
        same = int((labels == expected[:number]).sum())
        face = (every.instructions - one.instructions) // (number - 1)
        counted = [f"{one.instructions / 1e6:.0f}", f"{face / 1e6:.2f}"]
        row = [BOARDS[board].name, name, f"{same} of {number} {what}", *counted]
        rows.append([*row, BOARDS[board].milliseconds(face)])
        print(*rows[-1], sep="  ", flush=True)
        if same < number:
            raise SystemExit(f"{board}: labels differ from Python's on this machine")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/board/run cpp", description=__doc__)
    parser.add_argument("boards", nargs="*", help=f"of {', '.join(BOARDS)}; a72 by default")
    parser.add_argument("--cache", type=Path, default=CACHE, help="cache folder")
    parser.add_argument("--wheel", type=Path, help="the project's wheel; built by default")
    parser.add_argument("--keep", action="store_true", help="write results/cpp_board.json")
    chosen = parser.parse_args()
    boards = chosen.boards or ["a72"]
    if unknown := set(boards) - BOARDS.keys():
        parser.error(f"{min(unknown)}: no such board, only {', '.join(BOARDS)}")
    cache = chosen.cache.resolve()
    model = export_cached(cache, "ncnn")
    if model is None:
        raise SystemExit("the extras export and ncnn are missing: pip install '.[export,ncnn]'")
    rows: list[list[str | int | float]] = []
    with tempfile.TemporaryDirectory(prefix="cpp-") as name:
        scratch = Path(name)
        options = {**CROSS_COMPILER, **ncnn_options(model), "CMAKE_EXE_LINKER_FLAGS": "-s"}
        program = build_reader(scratch / "build", **options)
        machine = build(boards, cache, scratch, chosen.wheel, None, ncnn=True)
        for board in boards:
            rows += check_board(machine, board, program, model)
    if chosen.keep:
        save_result(
            "cpp_board",
            COLUMNS,
            rows,
            command=f"benchmarks/board/run cpp {' '.join(boards)} --keep",
            model=f"{open_backend(model, backend='ncnn').spec.title}, fp32",
            machine=f"emulated by QEMU {qemu_version()}, one thread",
        )


if __name__ == "__main__":
    main()
