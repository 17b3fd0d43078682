"""The C++ reader on an emulated Raspberry Pi, beside the same program in Python, both with ncnn.

Debian's cross compiler builds it from ncnn's source, which FER_EDGE_NCNN_SOURCE names. The golden
samples must pass its self-test, and every face must have the label that Python predicts here.
Instructions are counted up to each line that a program prints, one for each face.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.board.emulate import TIMEOUT, export_cached, faces
from benchmarks.board.machine import BOARDS, CACHE, Machine, build, qemu_version
from benchmarks.lib.cpp_reader import IN_PYTHON, build_reader, ncnn_options
from benchmarks.lib.result_tables import save_result
from fer_edge.runtime.backends import open_backend

FACES, IN_PYTHON_FACES = 256, 8
CROSS_COMPILER = {
    "CMAKE_SYSTEM_NAME": "Linux",
    "CMAKE_SYSTEM_PROCESSOR": "aarch64",
    "CMAKE_C_COMPILER": "aarch64-linux-gnu-gcc",
    "CMAKE_CXX_COMPILER": "aarch64-linux-gnu-g++",
}
COLUMNS = ["board", "program", "its file, MB", "same label", "M instructions to the first face"]
COLUMNS += ["M instructions/face", "ms/face, estimated"]


@dataclass(frozen=True)
class Run:
    """The lines that a program printed, and the instructions that it had executed before each."""

    lines: list[str]
    counts: list[int]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.lines):
            raise ValueError("each line must be written at once, and counted")

    def per_line(self) -> int:
        """Instructions from one line to the next."""
        return (self.counts[-1] - self.counts[0]) // (len(self.counts) - 1)


def run(machine: Machine, board: str, command: list[str], stdin: bytes = b"") -> Run:
    """Run a program on a board.

    Raises:
        SystemExit: it fails.
    """
    counts = machine.scratch / "counts"
    qemu, _ = machine.command(board)
    done = subprocess.run(
        [*qemu, "-plugin", f"{machine.counter},out={counts}", *command],
        input=stdin,
        env=machine.environment(board, machine.scratch),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{board}: {Path(command[0]).name}: {done.stderr.decode().strip()}")
    return Run(done.stdout.decode().splitlines(), [int(one) for one in counts.read_text().split()])


def check_board(
    machine: Machine,
    board: str,
    program: Path,
    model: Path,
    shown: npt.NDArray[np.uint8],
    labels: list[str],
) -> list[list[str]]:
    """Run both programs on a board; that in Python, which starts slowly there, with few faces.

    Args:
        machine: what the board is started with.
        board: a name of `BOARDS`.
        program: the C++ reader.
        model: a model of ncnn.
        shown: faces, `[N, S, S]`.
        labels: their labels.

    Returns:
        The table's rows.

    Raises:
        SystemExit: the self-test fails, or a label differs.
    """
    print(f"{board}: {run(machine, board, [str(program), str(model), '--self-test']).lines[0]}")
    _, python = machine.command(board)
    in_python = [*python, "-c", IN_PYTHON, str(model), "ncnn", "/dev/stdin"]
    rows = []
    for name, size, command, count in (
        ("C++", f"{program.stat().st_size / 1e6:.2f}", [str(program), str(model), "-"], len(shown)),
        ("Python", "–", in_python, IN_PYTHON_FACES),
    ):
        found = run(machine, board, command, shown[:count].tobytes())
        pairs = zip(found.lines, labels[:count], strict=True)
        same = sum(line.split()[1] == label for line, label in pairs)
        counted = [f"{found.counts[0] / 1e6:.0f}", f"{found.per_line() / 1e6:.2f}"]
        row = [BOARDS[board].name, name, size, f"{same} of {count}", *counted]
        rows.append([*row, BOARDS[board].milliseconds(found.per_line())])
        print(*rows[-1], sep="  ", flush=True)
        if same < count:
            raise SystemExit(f"{board}, {name}: a label differs from Python's on this machine")
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
    shown, what = faces(FACES)
    backend = open_backend(model, backend="ncnn")
    labels = [backend.spec.labels[i] for i in backend(shown).argmax(1)]
    rows: list[list[str | int | float]] = []
    with tempfile.TemporaryDirectory(prefix="cpp-") as name:
        scratch = Path(name)
        options = {**CROSS_COMPILER, **ncnn_options(model), "CMAKE_EXE_LINKER_FLAGS": "-s"}
        program = build_reader(scratch / "build", **options)
        machine = build(boards, cache, scratch, chosen.wheel, None, ncnn=True)
        for board in boards:
            rows += check_board(machine, board, program, model, shown, labels)
        versions = {
            one.name: one.version
            for one in distributions(path=[str(path) for path in machine.packages])
            if one.name in ("fer-edge", "ncnn", "numpy")
        }
    if chosen.keep:
        save_result(
            "cpp_board",
            COLUMNS,
            rows,
            command=f"benchmarks/board/run cpp {' '.join(boards)} --keep",
            model=backend.spec.title,
            machine=f"emulated by QEMU {qemu_version()}, one thread, fp32, {what}",
            versions=versions,
        )


if __name__ == "__main__":
    main()
