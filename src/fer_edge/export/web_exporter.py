"""Exports a checkpoint as a folder that any web server can serve: a page that reads expressions."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_edge.atomic import check_writable
from fer_edge.errors import ConfigError
from fer_edge.export.exporter import Exported, export_checkpoint
from fer_edge.export.formats import WEB
from fer_edge.export.node import Node, NodeModel, find_node
from fer_edge.export.thresholds import DEFAULT_GATE, Gate
from fer_edge.export.web_page import (
    DETECTOR_NAME,
    LIST_NAME,
    MODEL_NAME,
    find_engine,
    read_page,
    write_page,
)
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec, Precision
from fer_edge.train.data.dataset import FaceData, Split
from fer_edge.train.evaluation.evaluate import Predict
from fer_edge.train.progress import ProgressCallback, ignore_progress


@dataclass(frozen=True)
class WebExport:
    """A page's folder.

    Attributes:
        path: the folder.
        size: bytes of the page's files, without the reports.
        model: its model, and the comparisons with PyTorch.
        node: the Node that computed the comparisons; None: ONNX Runtime's own engine did, because
            Node isn't installed.
    """

    path: Path
    size: int
    model: Exported
    node: Node | None

    def to_dict(self) -> dict[str, Any]:
        """As `fer export --json` prints it."""
        own = {"path": str(self.path), "format": WEB, "bytes": self.size}
        return {**self.model.to_dict(), **own, "node": self.node.version if self.node else None}


def default_folder(source: Path, precision: Precision) -> Path:
    """Where a page is written by default: `NAME-PRECISION-web` in the current folder.

    Raises:
        ModelError, SpecError, OSError: the checkpoint can't be read.
    """
    return Path(f"{read_spec(source).name}-{precision}-{WEB}")


def check_folder(folder: Path, *, force: bool = False) -> None:
    """Check that a page can be written to a folder, which need not exist.

    Raises:
        ConfigError: it is a file, or has files and no page, and `force` is off.
        OSError: it can't be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: a file: --format {WEB} writes a folder")
    is_page = (folder / LIST_NAME).exists()
    if folder.is_dir() and any(folder.iterdir()) and not (is_page or force):
        raise ConfigError(
            f"{folder}: a folder with other files: choose a new --output, or pass --force to write "
            "the page among them"
        )
    check_writable(folder)


def export_web(
    source: Path,
    output: Path,
    data: FaceData | None = None,
    *,
    engine: Path | None = None,
    split: Split = "test",
    precision: Precision = "fp32",
    gate: Gate = DEFAULT_GATE,
    force: bool = False,
    on_progress: ProgressCallback = ignore_progress,
) -> WebExport:
    """Export a checkpoint to a folder with a page, its model, the face detector and the engine.

    Where Node is installed, it computes the model as browsers do for the comparison with PyTorch;
    else ONNX Runtime's own engine does. Nothing is written where the model misses a threshold.

    Args:
        source: a checkpoint.
        output: the folder, as `check_folder` accepts it.
        engine: folder of npm's package onnxruntime-web; None: as npm installs it here.
        data, split, precision, gate, force, on_progress: as of `export_checkpoint`.

    Raises:
        ConfigError: the engine isn't there, or as `check_folder`.
        ParityError, ModelError, SpecError, DataError, MissingExtraError, OSError: as
            `export_checkpoint`.
    """
    dist = find_engine(engine)
    check_folder(output, force=force)
    model = output / MODEL_NAME
    files = read_page(dist)
    node = find_node()
    is_new = not output.exists()
    try:
        with ExitStack() as stack:
            page = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for name, content in files.items():
                (page / name).parent.mkdir(exist_ok=True)
                (page / name).write_bytes(content)

            def open_in_node(path: Path, spec: ModelSpec) -> Predict:
                assert node
                detector = page / DETECTOR_NAME
                opened = NodeModel(node, page, path, detector, spec, name=str(model))
                return stack.enter_context(opened)

            exported = export_checkpoint(
                source,
                model,
                data,
                split=split,
                format="onnx",
                precision=precision,
                gate=gate,
                force=force,
                on_progress=on_progress,
                open_file=open_in_node if node else None,
            )
    except BaseException:
        if is_new and output.is_dir() and not any(output.iterdir()):
            output.rmdir()
        raise
    size = write_page(output, {**files, MODEL_NAME: model.read_bytes()})
    return WebExport(output, size, exported, node)
