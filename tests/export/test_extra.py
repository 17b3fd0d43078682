"""What the `export` extra promises: no trainer, no plots, no second engine."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes import run_without

NOT_ITS_OWN = ("lightning", "matplotlib", "tensorboard", "openvino", "cv2", "scipy", "nncf")


def test_export_needs_only_its_own_extra(source: Path, csv_file: Path, tmp_path: Path) -> None:
    for command in (
        ["export", source, "--data", csv_file, "--output", tmp_path / "m.onnx"],
        ["parity", source, tmp_path / "m.onnx", "--data", csv_file],
    ):
        done = run_without(NOT_ITS_OWN, *command)
        assert done.returncode == 0, done.stderr
        assert "passed  test: 14/14 same label" in done.stdout
