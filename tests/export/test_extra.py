"""What the `export` extra promises: no trainer, no plots, no second engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.runtime.test_torch_free import SCRIPT


def test_export_needs_only_its_own_extra(source: Path, csv_file: Path, tmp_path: Path) -> None:
    names = '{"lightning", "matplotlib", "tensorboard", "openvino", "cv2", "scipy", "nncf"}'
    start, end = SCRIPT.index("names = {"), SCRIPT.index("}", SCRIPT.index("names = {")) + 1
    script = f"{SCRIPT[:start]}names = {names}{SCRIPT[end:]}"
    for command in (
        ["export", source, "--data", csv_file, "--output", tmp_path / "m.onnx"],
        ["parity", source, tmp_path / "m.onnx", "--data", csv_file],
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "passed  test: 14/14 same label" in done.stdout
