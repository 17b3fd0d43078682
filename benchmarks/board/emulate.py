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
from benchmarks.board.checks import (
    DETECTOR,
    NOT_OFFERED,
    YUNET,
    Check,
    Finding,
    list_checks,
)
from benchmarks.board.machine import BOARDS, CACHE, HERE, Machine, build, qemu_version
from benchmarks.lib.result_tables import packaged_titles, save_result
from fer_edge.errors import ModelError
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.detection.detector import open_finder
from fer_edge.runtime.detection.engines import open_network
from fer_edge.runtime.detection.find_detector import BUILT_IN, find_detector
from fer_edge.runtime.detection.yunet import detect_faces
from fer_edge.runtime.formats.model_files import BUNDLED, COMPANIONS, bundled
from fer_edge.runtime.formats.ncnn_files import DIGESTS, format_document
from fer_edge.runtime.formats.spec_reader import read_any_spec

ROOT = HERE.parent.parent
IMAGE = ROOT / "examples" / "astronaut.png"
FACES = 64
TIMEOUT = 3600.0
"""Seconds for a check; one takes minutes on a busy machine."""
MAX_PARALLEL = 4
EXTRA = "--model"
"""The row of the file that has no budget."""
COLUMNS = ["board", "file", "same label", "largest difference", "M instructions", "memory, MB"]
COLUMNS += ["ms, estimated"]


def faces(count: int) -> tuple[np.ndarray, str]:
    """Faces, uint8 `[count, 48, 48]`, and a description of them."""
    if path := os.environ.get("FER2013"):
        from fer_edge.train.data.fer2013 import read_fer2013

        test = read_fer2013(Path(path)).splits["test"].pixels
        return test[:: len(test) // count][:count], "of FER2013's test faces"
    from tests.support.data import draw_face

    return np.stack([draw_face(i % 7, i) for i in range(count)]), "synthetic faces"


def export_cached(cache: Path, format: str = "onnx", precision: str = "fp32") -> Path | None:
    """Export base's checkpoint, unless the cache has the file of this checkpoint and exporter.

    None: the extra `export` isn't installed.
    """
    needed = ("torch", "onnxscript", *(["pnnx", "ncnn"] if format == "ncnn" else []))
    if not all(importlib.util.find_spec(package) for package in needed):
        return None
    checkpoint = bundled("checkpoint")
    code = ROOT / "src" / "fer_edge"
    sources = [checkpoint, *sorted(code.glob("export/*.py")), *sorted(code.glob("train/**/*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    suffix = ".ncnn.param" if format == "ncnn" else ".onnx"
    path = cache / f"{precision}-{digest.hexdigest()[:12]}{suffix}"
    if not path.is_file():
        command = [sys.executable, "-m", "fer_edge", "export", str(checkpoint)]
        command += ["--format", format, "--precision", precision, "--output", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{path.name} can't be exported: {done.stderr.strip()}")
    return path


def ncnn_files(cache: Path, scratch: Path) -> dict[str, Path]:
    """By name: ncnn's files of base's checkpoint, and one for arithmetic in half precision."""
    made = {f"ncnn {one}": export_cached(cache, "ncnn", one) for one in ("fp32", "fp16")}
    found = {name: path for name, path in made.items() if path}
    if not found:
        raise SystemExit("--ncnn needs the extras export and ncnn: pip install '.[export,ncnn]'")
    return {**found, NOT_OFFERED: halve(found["ncnn fp32"], scratch)}


def halve(source: Path, scratch: Path) -> Path:
    """Copy ncnn's files and have them computed in half precision."""
    path = scratch / f"half-{source.name}"
    for suffix in (".param", *COMPANIONS[".param"]):
        shutil.copy(source.with_suffix(suffix), path.with_suffix(suffix))
    beside, spec = path.with_suffix(".json"), read_any_spec(path)
    assert spec.ncnn is not None
    spec = replace(spec, ncnn=replace(spec.ncnn, arithmetic="fp16"))
    beside.write_text(format_document(spec, json.loads(beside.read_text())[DIGESTS]))
    return path


def find_detectors(yunet: str) -> dict[str, Path]:
    """By name: the package's detector, and YuNet where its file is named."""
    found = {}
    try:
        found[DETECTOR] = find_detector(BUILT_IN)
    except ModelError as error:
        print(f"skipped: {error}")
    if yunet:
        found[YUNET] = Path(yunet)
    else:
        print("skipped: YuNet: FER_EDGE_DETECTOR names no file")
    return {name: path.resolve() for name, path in found.items()}


def predict_here(models: dict[str, Path], detectors: dict[str, Path], host_outputs: Path) -> str:
    """Write this machine's outputs, for ncnn PyTorch's, to an .npz and describe the faces."""
    shown, what = faces(FACES)
    pixels = np.asarray(Image.open(IMAGE).convert("RGB").resize((320, 240)))
    arrays = {"faces": shown, "pixels": pixels}
    for name, path in models.items():
        if path.suffix == ".param":
            from fer_edge.train.networks.checkpoint import load

            arrays[name] = load(bundled("checkpoint")).predict(shown)
        else:
            backend = open_backend(path, backend="onnxruntime", threads=1, verify=False)
            arrays[name] = backend(shown)
    for name, path in detectors.items():
        if name == YUNET:
            arrays["detector"] = detect_faces(open_network(path, threads=1), pixels)
        else:
            detector = open_finder(path, threads=1, engine="onnxruntime")
            arrays[name] = detector.find(Image.fromarray(pixels))
    np.savez(host_outputs, **arrays)
    return what


def run_check(machine: Machine, board: str, check: Check) -> tuple[Finding, dict[str, str]]:
    """Run a check on a board: the outcome and the package versions there; a crash is an outcome."""
    more = {"BOARD_PYTHON": str(machine.python(board))} if check.children else {}
    try:
        done = machine.start(board, [str(HERE / "on_board.py"), *check.job], more, TIMEOUT)
    except subprocess.TimeoutExpired:
        return Finding(False, f"no report within {TIMEOUT:g} seconds"), {}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        crash = signal.strsignal(-done.returncode) if done.returncode < 0 else None
        return Finding(False, f"{crash or f'exit code {done.returncode}'}: {lines[-1]}"), {}
    report = json.loads(done.stdout.splitlines()[-1])
    return check.judge(board, report), report["versions"]


def judge(
    pairs: list[tuple[str, Check]],
    found: Iterable[tuple[Finding, dict[str, str]]],
    chosen: argparse.Namespace,
    what: str,
) -> int:
    """Show each outcome as it comes, then the table; return the number of failed checks."""
    allowed = budget.load()
    rows, failed = [], 0
    counts: budget.Counts = {}
    versions: dict[str, str] = {}
    for (board, check), (finding, by) in zip(pairs, found, strict=True):
        passed, message = finding.passed, finding.message
        versions |= by
        if finding.count is not None:
            rows.append(finding.row)
            if passed and check.name != EXTRA:
                counts.setdefault(board, {})[check.name] = finding.count
                if not (chosen.write_budget or chosen.onnxruntime):
                    limit = allowed["counts"].get(board, {}).get(check.name)
                    passed, more = budget.check_budget(finding.count, limit)
                    message += f"; {more}"
        failed += not passed
        print(f"{'ok    ' if passed else 'FAILED'} {board} {check.name}: {message}", flush=True)
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
    """Print the table, and the assumption behind its last column."""
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in [tuple(COLUMNS), *rows]:
        print("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)))
    for board in map(BOARDS.__getitem__, boards):
        low, high = board.per_cycle
        print(f"{board.name}: ms at {board.ghz} GHz, at {low} to {high} instructions per cycle")


def keep(rows: list[tuple[str, ...]], versions: dict[str, str], what: str) -> None:
    save_result(
        "boards",
        COLUMNS,
        sorted([list(row) for row in rows], key=lambda row: row[0]),
        command="benchmarks/board/run --ncnn --keep",
        model=packaged_titles(),
        machine=f"emulated by QEMU {qemu_version()}, one thread, predictions for {what}",
        versions=versions,
    )


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/board/run", description=__doc__)
    parser.add_argument("boards", nargs="*", help=f"of {', '.join(BOARDS)}; all by default")
    parser.add_argument("--cache", type=Path, default=CACHE, help="cache folder")
    parser.add_argument("--wheel", type=Path, help="the project's wheel; built by default")
    parser.add_argument("--model", type=Path, help="one more .onnx file to compare")
    parser.add_argument(
        "--onnxruntime", help="its version; counts are not compared with the budget"
    )
    parser.add_argument("--ncnn", action="store_true", help="ncnn's files too")
    parser.add_argument(
        "--write-budget", action="store_true", help="save the counts as the allowed ones"
    )
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
    cache = chosen.cache.resolve()
    with tempfile.TemporaryDirectory(prefix="board-") as scratch:
        with ThreadPoolExecutor() as pool:
            made = pool.submit(export_cached, cache)
            machine = build(
                *(chosen.boards, cache, Path(scratch), chosen.wheel, chosen.onnxruntime),
                ncnn=chosen.ncnn,
            )
            fp32 = made.result()
        of_ncnn = ncnn_files(cache, Path(scratch)) if chosen.ncnn else {}
        shipped = {name: bundled("model", name) for name in BUNDLED}
        others = {"fp32": fp32, **of_ncnn, EXTRA: chosen.model}
        models = {name: path.resolve() for name, path in {**shipped, **others}.items() if path}
        host_outputs = Path(scratch) / "outputs.npz"
        detectors = find_detectors(named)
        what = f"{FACES} {predict_here(models, detectors, host_outputs)}"
        command = [sys.executable, "-m", "fer_edge", "infer", "--json", "--faces", "whole"]
        here = subprocess.run([*command, str(IMAGE)], capture_output=True, check=True)
        checks = list_checks(IMAGE, json.loads(here.stdout), models, detectors, host_outputs)
        print(f"built in {time.monotonic() - began:.0f} s; {what}")
        if fp32 is None:
            print("skipped: fp32: pip install 'fer-edge[export]' makes its file")
        pairs = [
            (board, check)
            for board, check in itertools.product(chosen.boards, checks)
            # the older cores compute nothing in half precision
            if check.name != NOT_OFFERED or "asimdhp" in BOARDS[board].features
        ]
        with ThreadPoolExecutor(min(MAX_PARALLEL, os.cpu_count() or 1)) as pool:
            found = pool.map(lambda pair: run_check(machine, *pair), pairs)
            failed = judge(pairs, found, chosen, what)
    print(f"{failed} of {len(pairs)} checks failed; {time.monotonic() - began:.0f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
