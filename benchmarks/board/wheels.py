"""Which systems have wheels of what the package needs: python -m benchmarks.board.wheels [--keep]

Asks pip, of the package index that it uses here, for each package's newest version that has a wheel
for a system. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.metadata import version

from benchmarks.board.machine import tags
from benchmarks.lib.result_tables import save_result

SYSTEMS = {
    "Raspberry Pi OS 12 (bookworm)": ("3.11", 36),
    "Raspberry Pi OS 13 (trixie)": ("3.13", 41),
    "Ubuntu 24.04": ("3.12", 39),
}
"""Python's version there, and glibc's minor version."""
ARCHITECTURES = {"64-bit": "aarch64", "32-bit": "armv7l"}
PACKAGES = {
    "base": ("numpy", "pillow", "onnxruntime"),
    "ncnn": ("ncnn",),
    "video": ("av",),
    "openvino": ("openvino",),
}
"""By extra; Click and Rich are pure Python."""


def newest(package: str, python: str, glibc: int, architecture: str) -> str:
    """The version that pip would install there; "none": it has no wheel."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report=-"]
    command += ["--ignore-installed", "--target=nowhere", "--no-deps", "--only-binary=:all:"]
    command += [*tags(python, glibc, architecture), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.returncode:
        return str(json.loads(done.stdout)["install"][0]["metadata"]["version"])
    if "No matching distribution" not in done.stderr:
        raise RuntimeError(done.stderr.strip())
    return "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/wheels.json")
    chosen = parser.parse_args()
    packages = [package for names in PACKAGES.values() for package in names]
    rows: list[list[str | int | float]] = []
    for bits, architecture in ARCHITECTURES.items():
        for system, (python, glibc) in SYSTEMS.items():
            found = [newest(package, python, glibc, architecture) for package in packages]
            rows.append([f"{system}, {bits}", python, *found])
            print(*rows[-1], sep="  ", flush=True)
    if chosen.keep:
        save_result(
            "wheels",
            ["system", "Python", *packages],
            rows,
            command="python -m benchmarks.board.wheels --keep",
            model="",
            machine="the package index that pip uses",
            versions={"pip": version("pip")},
        )


if __name__ == "__main__":
    main()
