"""The `export` extra is enough: no trainer, no plots, no second engine."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes import run_without

OTHER_EXTRAS = ("lightning", "matplotlib", "tensorboard", "openvino", "cv2", "scipy", "nncf")


def test_export_needs_no_other_extra(source: Path, csv_file: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    done = run_without(OTHER_EXTRAS, "export", source, "--data", csv_file, "--output", model)
    assert done.returncode == 0, done.stderr
    assert "passed  test: 14/14 same label" in done.stdout
