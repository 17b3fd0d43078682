"""The C++ reader on an emulated Raspberry Pi: cross-built with ncnn, compared with Python's labels.

Debian's cross compiler builds it from ncnn's source, which FER_EDGE_NCNN_SOURCE names. The golden
samples must pass its self-test, and every face must have the label that Python gives it here.
Instructions are counted of the whole program: of one face, and of each further face.
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
from benchmarks.board.machine import (
    BOARDS,
    CACHE,
    Machine,
    counter,
    debian,
    once,
    qemu_version,
    release,
)
from benchmarks.lib.cpp_reader import build_reader, ncnn_options
from benchmarks.lib.result_tables import save_result
from fer_edge.runtime.backends import open_backend

FACES = 256
COMPILERS = {
    "CMAKE_SYSTEM_NAME": "Linux",
    "CMAKE_SYSTEM_PROCESSOR": "aarch64",
    "CMAKE_C_COMPILER": "aarch64-linux-gnu-gcc",
    "CMAKE_CXX_COMPILER": "aarch64-linux-gnu-g++",
}
COLUMNS = ["board", "same labels", "program", "million instructions, start and first face"]
COLUMNS += ["million instructions/face", "ms/face, estimated"]


@dataclass(frozen=True)
class Run:
    """What a program printed, and the instructions that it executed."""

    out: str
    instructions: int


def run_on_board(machine: Machine, board: str, *command: object, stdin: bytes = b"") -> Run:
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
        raise SystemExit(f"{board}: {done.stderr.decode().strip()}")
    return Run(done.stdout.decode(), int(counts.read_text().split()[-1]))


def check_board(machine: Machine, board: str, program: Path, model: Path) -> list[str]:
    """One row of the table.

    Raises:
        SystemExit: the self-test fails, or a label differs.
    """
    shown, what = faces(FACES)
    backend = open_backend(model, backend="ncnn")
    expected = [backend.spec.labels[one] for one in backend(shown).argmax(1)]
    print(f"{board}: {run_on_board(machine, board, program, model, '--self-test').out}", end="")
    one = run_on_board(machine, board, program, model, "-", stdin=shown[:1].tobytes())
    every = run_on_board(machine, board, program, model, "-", stdin=shown.tobytes())
    found = [line.split()[1] for line in every.out.splitlines()]
    same = int((np.array(found) == expected).sum()) if len(found) == FACES else 0
    print(f"{board}: {same} of {FACES} {what} have the same label")
    if same < FACES:
        raise SystemExit(1)
    face = (every.instructions - one.instructions) // (FACES - 1)
    size = f"{program.stat().st_size / 1e6:.2f} MB"
    counted = [f"{one.instructions / 1e6:.1f}", f"{face / 1e6:.2f}"]
    row = [f"{BOARDS[board].name}, {board}", f"{same} of {FACES}", size, *counted]
    return [*row, BOARDS[board].milliseconds(face)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/board/run cpp", description=__doc__)
    parser.add_argument("boards", nargs="*", help=f"of {', '.join(BOARDS)}; a72 by default")
    parser.add_argument("--cache", type=Path, default=CACHE, help="cache folder")
    parser.add_argument("--keep", action="store_true", help="write results/cpp_board.json")
    chosen = parser.parse_args()
    chosen.boards = chosen.boards or ["a72"]
    if unknown := set(chosen.boards) - BOARDS.keys():
        parser.error(f"{min(unknown)}: no such board, only {', '.join(BOARDS)}")
    cache = chosen.cache.resolve()
    model = export_cached(cache, "ncnn")
    if model is None:
        raise SystemExit("the extras export and ncnn are missing: pip install '.[export,ncnn]'")
    root = once(cache / f"root-{release()}", debian)
    with tempfile.TemporaryDirectory(prefix="cpp-") as name:
        scratch = Path(name)
        options = {**COMPILERS, **ncnn_options(model), "CMAKE_EXE_LINKER_FLAGS": "-s"}
        program = build_reader(scratch / "build", **options)
        machine = Machine(root, (), counter(scratch), scratch)
        rows = []
        for board in chosen.boards:
            machine.lay_out(board)
            rows.append(check_board(machine, board, program, model))
            print(*rows[-1], sep="  ", flush=True)
    if chosen.keep:
        title = open_backend(model, backend="ncnn").spec.title
        save_result(
            "cpp_board",
            COLUMNS,
            rows,
            command=f"benchmarks/board/run cpp {' '.join(chosen.boards)} --keep",
            model=f"{title}, fp32",
            machine=f"emulated by QEMU {qemu_version()}, one thread",
        )


if __name__ == "__main__":
    main()
