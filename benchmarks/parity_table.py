"""Compare every file that a checkpoint exports to with PyTorch, on the whole test split.

FER2013=/path/to/fer2013.tar.gz python -m benchmarks.parity_table [CHECKPOINT] [--keep]

Without an argument the bundled checkpoint. Each file is made and compared by `fer export`, as a
user would do it, but with `--no-gate`, so that a file which misses a threshold is in the table too.
A speed is a ratio, taken in one process with the files in turns on one thread.
`--keep` writes benchmarks/results/parity.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lib.result_tables import save_result
from fer_edge.export.formats import FORMATS
from fer_edge.export.int8_savings import measure_latencies
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.train.evaluation.evaluate import open_model

COLUMNS = [
    "format",
    "precision",
    "size",
    "agreement",
    "largest Δlogit",
    "accuracy",
    "float",
    "macro F1",
    "speed",
    "thresholds",
]


@dataclass(frozen=True)
class Row:
    """One file."""

    format: str
    precision: str
    path: Path
    bytes: int
    parity: dict[str, object]


def fer(*arguments: object) -> str:
    command = [sys.executable, "-m", "fer_edge", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def rows(checkpoint: Path, folder: Path, data: str) -> list[Row]:
    found = []
    for format, kind in FORMATS.items():
        for precision in kind.precisions:
            path = folder / f"{precision}{kind.suffix}"
            options = ["--format", format, "--precision", precision, "--data", data, "--no-gate"]
            made = json.loads(fer("export", checkpoint, *options, "--output", path, "--json"))
            found.append(Row(format, precision, path, made["bytes"], made["parity"]))
            print(f"{path.name}: {made['bytes']:,} bytes", flush=True)
    return found


def table(found: list[Row]) -> list[list[str]]:
    times = {}
    for format in FORMATS:
        mine = [row for row in found if row.format == format]
        taken = measure_latencies([open_model(row.path, threads=1) for row in mine])
        times |= {row.path: taken[0] / one for row, one in zip(mine, taken, strict=True)}
    lines = []
    for row in found:
        p = row.parity
        same = round(p["agreement"] * p["n"])  # type: ignore[operator]
        before = p["accuracy_float"] or p["accuracy_reference"]
        lines.append(
            [
                row.format,
                row.precision,
                f"{row.bytes / 1e6:.2f} MB",
                f"{same:,} of {p['n']:,}",
                f"{p['max_abs_logit_diff']:.2g}",
                f"{100 * p['accuracy_exported']:.2f} %",  # type: ignore[operator]
                f"{100 * before:.2f} %",  # type: ignore[operator]
                f"{p['metrics']['macro_f1']:.3f}",  # type: ignore[index]
                f"{times[row.path]:.2f}",
                "met" if p["passed"] else "missed",
            ]
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", type=Path, default=bundled("checkpoint"))
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/parity.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = table(rows(options.checkpoint, Path(folder), os.environ["FER2013"]))
    for line in (COLUMNS, *lines):
        print("  ".join(line))
    if options.keep:
        save_result("parity", COLUMNS, lines, command="python -m benchmarks.parity_table --keep")


if __name__ == "__main__":
    main()
