"""Compare every file that a checkpoint exports to with PyTorch, on the whole test split.

FER2013=/path/to/fer2013.tar.gz python -m benchmarks.parity_table [CHECKPOINT...] [--keep]

CHECKPOINT is a file or the name of a model in the package, by default each of these. A file is made
and compared by `fer export`, as a user would do it, but with `--no-gate`, so that one which misses
a threshold is in the table too. `--keep` writes benchmarks/results/parity.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lib.result_tables import format_models, save_result
from fer_edge.export.formats import FORMATS
from fer_edge.runtime.formats.model_files import BUNDLED
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.run_folder import find_checkpoint

COLUMNS = [
    "model",
    "format",
    "precision",
    "size",
    "agreement",
    "largest Δlogit",
    "accuracy",
    "of the float network",
    "macro F1",
    "thresholds",
]


def export(checkpoint: Path, format: str, precision: str, path: Path) -> dict[str, Any]:
    """Run `fer export --json` and return its document."""
    command = [sys.executable, "-m", "fer_edge", "export", str(checkpoint), "--no-gate", "--json"]
    command += ["--format", format, "--precision", precision, "--output", str(path)]
    command += ["--data", os.environ["FER2013"]]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def row(title: str, exported: dict[str, Any]) -> list[str]:
    parity = exported["parity"]
    same = round(parity["agreement"] * parity["n"])
    accuracy_float = parity["accuracy_float"] or parity["accuracy_reference"]
    return [
        title,
        exported["format"],
        exported["precision"],
        f"{exported['bytes'] / 1e6:.2f} MB",
        f"{same:,} of {parity['n']:,}",
        f"{parity['max_abs_logit_diff']:.2g}",
        f"{100 * parity['accuracy_exported']:.2f} %",
        f"{100 * accuracy_float:.2f} %",
        f"{parity['metrics']['macro_f1']:.3f}",
        "met" if parity["passed"] else "missed",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="*", default=list(BUNDLED), metavar="CHECKPOINT")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/parity.json")
    options = parser.parse_args()
    rows, titles = [], []
    for checkpoint in map(find_checkpoint, options.checkpoints):
        titles.append(read_spec(checkpoint).title)
        for format, kind in FORMATS.items():
            for precision in kind.precisions:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / f"{precision}{kind.suffix}"
                    rows.append(row(titles[-1], export(checkpoint, format, precision, path)))
                print("  ".join(rows[-1]), flush=True)
    if options.keep:
        given = format_models(options.checkpoints, list(BUNDLED))
        command = f"python -m benchmarks.parity_table{given} --keep"
        save_result("parity", COLUMNS, rows, command=command, model=titles)


if __name__ == "__main__":
    main()
