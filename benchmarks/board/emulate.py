"""The project's wheel on emulated Raspberry Pi boards; README.md says what is checked."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.board import budget
from benchmarks.board.checks import NOT_OFFERED, Check, Finding, checks
from benchmarks.board.machine import BOARDS, CACHE, HERE, Machine, build, qemu_version
from benchmarks.lib.result_tables import save_result
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.detection.detector import detect_faces
from fer_edge.runtime.detection.engines import open_network
from fer_edge.runtime.formats.model_files import COMPANIONS, bundled
from fer_edge.runtime.formats.ncnn_files import DIGESTS, format_document, read_spec

ROOT = HERE.parent.parent
PICTURE = ROOT / "examples" / "astronaut.png"
FACES, FACES_OF_NCNN = 64, 256
TIMEOUT = 3600.0
"""Seconds for a check; 256 faces under ncnn take some ten minutes on a busy machine."""
MAX_PARALLEL = 4
EXTRA = "--model"
"""A file that has no budget."""
COLUMNS = ["board", "file", "same label", "largest difference", "M instructions", "memory, MB"]
COLUMNS += ["ms, estimated"]


def faces(count: int) -> tuple[np.ndarray, str]:
    """uint8 `[count, 48, 48]`, and what they are."""
    if path := os.environ.get("FER2013"):
        from fer_edge.train.data.fer2013 import read_fer2013

        test = read_fer2013(Path(path)).splits["test"].pixels
        return test[:: len(test) // count][:count], "of FER2013's test faces"
    from tests.support.data import draw_face

    return np.stack([draw_face(i % 7, i) for i in range(count)]), "made-up faces"


def exported(cache: Path, format: str = "onnx", precision: str = "fp32") -> Path | None:
    """A file of the bundled checkpoint, kept until that or the exporter changes; None: there is no
    exporter here."""
    needed = ("torch", "onnxscript", *(["pnnx", "ncnn"] if format == "ncnn" else []))
    if not all(importlib.util.find_spec(package) for package in needed):
        return None
    checkpoint = bundled("checkpoint")
    code = ROOT / "src" / "fer_edge"
    sources = [checkpoint, *sorted(code.glob("export/*.py")), *sorted(code.glob("train/*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    suffix = ".ncnn.param" if format == "ncnn" else ".onnx"
    path = cache / f"{precision}-{digest.hexdigest()[:12]}{suffix}"
    if not path.is_file():
        command = [sys.executable, "-m", "fer_edge", "export", str(checkpoint)]
        command += ["--format", format, "--precision", precision, "--output", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{path.name} can't be made: {done.stderr.strip()}")
    return path


def ncnn_files(cache: Path, scratch: Path) -> dict[str, Path]:
    """By name: ncnn's files of the bundled checkpoint, and one that asks for arithmetic in half
    precision, as no export does."""
    made = {f"ncnn {one}": exported(cache, "ncnn", one) for one in ("fp32", "fp16")}
    found = {name: path for name, path in made.items() if path}
    if not found:
        raise SystemExit("--ncnn: pip install 'fer-edge[export,ncnn]' makes its files")
    for suffix in (".param", *COMPANIONS[".param"]):
        shutil.copy(found["ncnn fp32"].with_suffix(suffix), scratch / f"half.ncnn{suffix}")
    path = scratch / "half.ncnn.param"
    beside, spec = path.with_suffix(".json"), read_spec(path)
    assert spec.ncnn is not None
    spec = replace(spec, ncnn=replace(spec.ncnn, arithmetic="fp16"))
    beside.write_text(format_document(spec, json.loads(beside.read_text())[DIGESTS]))
    return {**found, NOT_OFFERED: path}


def ask_here(models: dict[str, Path], detector: Path | None, answers: Path, count: int) -> str:
    """Write this machine's answers to an .npz: of each file, PyTorch's for ncnn's; what faces they
    are of."""
    shown, what = faces(count)
    pixels = np.asarray(Image.open(PICTURE).convert("RGB").resize((320, 240)))
    arrays = {"faces": shown, "pixels": pixels}
    for name, path in models.items():
        if path.suffix == ".param":
            from fer_edge.train.networks.checkpoint import load

            some = shown[:FACES] if name == NOT_OFFERED else shown  # it is emulated slowly
            arrays[name] = load(bundled("checkpoint")).predict(some)
        else:
            arrays[name] = open_backend(path, backend="onnxruntime", threads=1, verify=False)(
                shown[:FACES]
            )
    if detector:
        arrays["detector"] = detect_faces(open_network(detector, threads=1), pixels)
    np.savez(answers, **arrays)
    return what


def ask(machine: Machine, board: str, check: Check) -> tuple[Finding, dict[str, str]]:
    """What a board says, and the versions that said it; a crash is a finding."""
    more = {"BOARD_PYTHON": str(machine.python(board))} if check.children else {}
    try:
        done = machine.start(board, [str(HERE / "on_board.py"), *check.job], more, TIMEOUT)
    except subprocess.TimeoutExpired:
        return Finding(False, f"no answer within {TIMEOUT:g} seconds"), {}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        crash = signal.strsignal(-done.returncode) if done.returncode < 0 else None
        return Finding(False, f"{crash or f'exit code {done.returncode}'}: {lines[-1]}"), {}
    answer = json.loads(done.stdout.splitlines()[-1])
    return check.judge(board, answer), answer["versions"]


def judge(
    pairs: list[tuple[str, Check]],
    found: Iterable[tuple[Finding, dict[str, str]]],
    chosen: argparse.Namespace,
    what: str,
) -> int:
    """Show each finding as it comes, then the table; how many checks failed."""
    allowed = budget.load()
    rows, failed = [], 0
    counts: budget.Counts = {}
    versions: dict[str, str] = {}
    for (board, check), (finding, by) in zip(pairs, found, strict=True):
        right, said = finding.right, finding.said
        versions |= by
        if finding.count is not None:
            rows.append(finding.row)
            if right and check.name != EXTRA:
                counts.setdefault(board, {})[check.name] = finding.count
                if not (chosen.write_budget or chosen.onnxruntime):
                    most = allowed["counts"].get(board, {}).get(check.name)
                    right, more = budget.verdict(finding.count, most)
                    said += f"; {more}"
        failed += not right
        print(f"{'ok    ' if right else 'FAILED'} {board} {check.name}: {said}", flush=True)
    if rows:
        report(rows, chosen.boards)
    if failed and versions != allowed["versions"]:
        print(f"versions: {versions}; the budget's: {allowed['versions']}")
    if chosen.write_budget:
        budget.write(counts, versions)
    if chosen.keep and not failed:
        keep(rows, versions, what)
    return failed


def report(rows: list[tuple[str, ...]], boards: list[str]) -> None:
    """A table on standard output, and what its last column assumes."""
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in [tuple(COLUMNS), *rows]:
        print("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)))
    for board in map(BOARDS.__getitem__, boards):
        least, most = board.per_cycle
        print(f"{board.name}: ms at {board.ghz} GHz, if {least} to {most} instructions end a cycle")


def keep(rows: list[tuple[str, ...]], versions: dict[str, str], what: str) -> None:
    save_result(
        "boards",
        COLUMNS,
        sorted([list(row) for row in rows], key=lambda row: row[0]),
        command="benchmarks/board/run --ncnn --keep",
        machine=f"emulated by QEMU {qemu_version()}, one thread, predictions for {what}, "
        f"ONNX Runtime's for {FACES} of them",
        versions=versions,
    )


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/board/run", description=__doc__)
    parser.add_argument("boards", nargs="*", help=f"of {', '.join(BOARDS)}; without any, all")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of what is kept")
    parser.add_argument("--wheel", type=Path, help="of the project; else it is built")
    parser.add_argument("--model", type=Path, help="one more .onnx file to compare")
    parser.add_argument(
        "--onnxruntime", help="a version, in place of the wheel's own choice; holds no budget"
    )
    parser.add_argument(
        "--ncnn", action="store_true", help=f"its files too, with {FACES_OF_NCNN} faces"
    )
    parser.add_argument("--write-budget", action="store_true", help="allow what was counted")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/boards.json")
    chosen = parser.parse_args()
    if unknown := set(chosen.boards) - BOARDS.keys():
        parser.error(f"{min(unknown)}: no such board, only {', '.join(BOARDS)}")
    chosen.boards = list(dict.fromkeys(chosen.boards or BOARDS))
    if chosen.keep and (set(chosen.boards) != BOARDS.keys() or not chosen.ncnn):
        parser.error("--keep: the table is of all boards, with --ncnn")
    return chosen


def main() -> None:
    chosen = options()
    began = time.monotonic()
    # taken away: the tests' made-up faces, imported, would do it, and `fer infer` shall not find it
    named = os.environ.pop("FER_EDGE_DETECTOR", "")
    detector = Path(named) if named else None
    cache = chosen.cache.resolve()
    with tempfile.TemporaryDirectory(prefix="board-") as scratch:
        with ThreadPoolExecutor() as pool:
            made = pool.submit(exported, cache)
            machine = build(
                *(chosen.boards, cache, Path(scratch), chosen.wheel, chosen.onnxruntime),
                ncnn=chosen.ncnn,
            )
            fp32 = made.result()
        of_ncnn = ncnn_files(cache, Path(scratch)) if chosen.ncnn else {}
        models = {"shipped": bundled("model"), "fp32": fp32, **of_ncnn, EXTRA: chosen.model}
        models = {name: path.resolve() for name, path in models.items() if path}
        answers = Path(scratch) / "answers.npz"
        count = FACES_OF_NCNN if chosen.ncnn else FACES
        what = f"{count} {ask_here(models, detector, answers, count)}"
        command = [sys.executable, "-m", "fer_edge", "infer", "--json", "--faces", "whole"]
        here = subprocess.run([*command, str(PICTURE)], capture_output=True, check=True)
        asked = checks(PICTURE, json.loads(here.stdout), models, detector, answers)
        print(f"built in {time.monotonic() - began:.0f} s; {what}")
        if fp32 is None:
            print("skipped: fp32: pip install 'fer-edge[export]' makes its file")
        if detector is None:
            print("skipped: the detector: FER_EDGE_DETECTOR names none")
        pairs = [
            (board, check)
            for board, check in itertools.product(chosen.boards, asked)
            # the older cores compute nothing in half precision
            if check.name != NOT_OFFERED or "asimdhp" in BOARDS[board].features
        ]
        with ThreadPoolExecutor(min(MAX_PARALLEL, os.cpu_count() or 1)) as pool:
            found = pool.map(lambda pair: ask(machine, *pair), pairs)
            failed = judge(pairs, found, chosen, what)
    print(f"{failed} of {len(pairs)} checks failed; {time.monotonic() - began:.0f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
