"""Write docs/parity.md: every file that a checkpoint exports to, measured on the whole test split.

FER2013=/path/to/fer2013.tar.gz python -m benchmarks.parity_table [NAME=CHECKPOINT...]

Without an argument the bundled checkpoint alone. Each file is made and compared by `fer export`, as
a user would do it; a ratio is taken in one process, the two files in turns, one thread.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fer_edge.export.formats import FORMATS
from fer_edge.export.int8_savings import measure_latencies
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.evaluation.evaluate import open_model

PAGE = Path(__file__).parent.parent / "docs" / "parity.md"
HEAD = """# Parity: what each exported file answers

Written by `benchmarks/parity_table.py`. Every line is one file, made by `fer export --data` and
asked for all faces of FER2013's PrivateTest. *Agreement* and *Δlogit* compare with the checkpoint
in PyTorch: fp32 and fp16 with the float network, trained int8 with its twin, the same network with
the quantizers in (see [Architecture](architecture.md)). *Accuracy* stands beside that of the float
network. *Speed* is the fp32 file's median time for one face over this file's, each format under its
own engine, one thread, 200 calls in turns on {machine}: a shared machine, so it is a hint.

MobileNetV3-Small, where it stands below, comes from

    fer train --data fer2013.tar.gz --arch mobilenet_v3_small --weights imagenet \\
        --epochs 10 --label-smoothing 0 --storage fp32 --output v3
    fer train --data fer2013.tar.gz --qat --from v3 --epochs 3 --output v3-int8
    python -m benchmarks.parity_table "MobileNetV3-Small, freshly trained=v3-int8/model.safetensors"

with a local file of ImageNet weights. Its weights are float32, so fp16 rounds them; the bundled
checkpoint's were rounded at the end of its training.
"""
COLUMNS = (
    "| format | precision | size | agreement | largest Δlogit | accuracy | float | "
    "macro F1 | speed |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


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
            options = ["--format", format, "--precision", precision, "--data", data]
            made = json.loads(fer("export", checkpoint, *options, "--output", path, "--json"))
            found.append(Row(format, precision, path, made["bytes"], made["parity"]))
            print(f"{path.name}: {made['bytes']:,} bytes", flush=True)
    return found


def table(found: list[Row]) -> str:
    lines = [COLUMNS]
    times = {}
    for format in FORMATS:
        mine = [row for row in found if row.format == format]
        taken = measure_latencies([open_model(row.path, threads=1) for row in mine])
        times |= {row.path: taken[0] / one for row, one in zip(mine, taken, strict=True)}
    for row in found:
        p = row.parity
        same = round(p["agreement"] * p["n"])  # type: ignore[operator]
        before = p["accuracy_float"] or p["accuracy_reference"]
        lines.append(
            f"| {row.format} | {row.precision} | {row.bytes / 1e6:.2f} MB | {same:,} of {p['n']:,} "
            f"| {p['max_abs_logit_diff']:.2g} | {p['accuracy_exported']:.2%} | {before:.2%} "
            f"| {p['metrics']['macro_f1']:.3f} | {times[row.path]:.2f} |"  # type: ignore[index]
        )
    return "\n".join(lines).replace("%", " %")


def section(name: str, checkpoint: Path, data: str) -> str:
    spec = read_spec(checkpoint)
    how = f"{spec.architecture}, {spec.input.network_side} px inside"
    if spec.quantization.int8:
        how += f"; its int8: {spec.quantization.method}, {spec.quantization.calibration}"
    with tempfile.TemporaryDirectory() as folder:
        return f"## {name}\n\n{how}.\n\n{table(rows(checkpoint, Path(folder), data))}\n"


def machine() -> str:
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}"


if __name__ == "__main__":
    asked = [one.partition("=") for one in sys.argv[1:]]
    if not all(path for _, _, path in asked) or "FER2013" not in os.environ:
        raise SystemExit(__doc__)
    checkpoints = {name: Path(path) for name, _, path in asked}
    data = os.environ["FER2013"]
    sections = [
        section(name, path, data)
        for name, path in {"The bundled model": bundled("checkpoint"), **checkpoints}.items()
    ]
    PAGE.write_text("\n".join([HEAD.format(machine=machine()), *sections]), "utf-8")
    print(f"wrote {PAGE}")
