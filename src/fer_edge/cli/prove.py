"""`fer export`, `fer parity`, `fer evaluate`: what a file is worth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from fer_edge.cli.console import needs, print_json, show
from fer_edge.cli.options import Backend, Data, Json, OptionalData, SkipBad, SplitName
from fer_edge.errors import ConfigError


def export(
    checkpoint: Annotated[Path | None, typer.Argument(help="Bundled by default.")] = None,
    format: Annotated[Literal["onnx", "openvino"], typer.Option(help="Of the file.")] = "onnx",
    precision: Annotated[Literal["fp32", "fp16"], typer.Option(help="fp16: of weights.")] = "fp32",
    data: OptionalData = None,
    split: SplitName = "test",
    output: Annotated[Path | None, typer.Option(help="File or folder; here by default.")] = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Write a model file from a checkpoint, once it is proved to answer as PyTorch does."""
    with needs("export"):
        from fer_edge import render
        from fer_edge.export.convert import FORMATS, export_file
        from fer_edge.runtime.bundled import bundled
        from fer_edge.runtime.specfile import read_spec
        from fer_edge.train.datasets import read_data
        from fer_edge.train.evaluate import CHECKPOINT

    source = bundled("checkpoint") if checkpoint is None else checkpoint
    if source.suffix != CHECKPOINT:
        raise ConfigError(f"{source}: only a checkpoint is exported, a {CHECKPOINT}")
    spec, suffix = read_spec(source), FORMATS[format].suffix
    name = f"{spec.name}-{precision}{suffix}"
    path = Path(name) if output is None else output
    if path.is_dir():
        path /= name
    if path.suffix != suffix:
        raise ConfigError(f"{path}: an {format} file ends in {suffix}, and this isn't a folder")
    side = spec.input.side
    faces = None if data is None else read_data(data, side=side, skip_bad=skip_bad)
    done = export_file(source, path, faces, split=split, format=format, precision=precision)
    if as_json:
        print_json(done.to_dict())
        return
    for parity in done.parities:
        print(render.parity_text(parity))
    print(f"wrote {done.path} ({done.size / 1e6:.1f} MB) and {done.report}")
    if faces is None:
        print(
            "only golden samples were compared: --data compares a whole test split", file=sys.stderr
        )


def parity(
    checkpoint: Annotated[Path, typer.Argument(help="The .safetensors file.")],
    model: Annotated[Path, typer.Argument(help="The exported file.")],
    data: OptionalData = None,
    split: SplitName = "test",
    backend: Backend = "auto",
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Compare an exported file with its checkpoint, face by face."""
    with needs("export"):
        from fer_edge import render
        from fer_edge.export.parity import compare_all
        from fer_edge.train.datasets import read_data
        from fer_edge.train.evaluate import CHECKPOINT, open_model

        if checkpoint.suffix != CHECKPOINT:
            raise ConfigError(f"{checkpoint}: the first file is the checkpoint, a {CHECKPOINT}")
        ours, theirs = open_model(checkpoint), open_model(model, backend=backend)
    side = ours.spec.input.side
    faces = None if data is None else read_data(data, side=side, skip_bad=skip_bad)
    parities = compare_all(ours, theirs, faces, split)
    for one in parities:
        print_json(one.to_dict()) if as_json else print(render.parity_text(one))
    if not all(one.passed for one in parities):
        raise typer.Exit(1)


def evaluate(
    model: Annotated[Path, typer.Argument(help="Checkpoint or exported file.")],
    data: Data,
    split: SplitName = "test",
    output: Annotated[Path | None, typer.Option(help="Folder; MODEL-evaluation here.")] = None,
    backend: Backend = "auto",
    without_duplicates: Annotated[
        bool, typer.Option(help="Leave out faces that train holds a near copy of.")
    ] = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Accuracy, per-class figures, confusion and calibration, with pictures."""
    if without_duplicates and split == "train":
        raise ConfigError("--without-duplicates leaves out copies of train: --split val or test")
    with needs("train"):
        from fer_edge import render
        from fer_edge.train import duplicates, plots  # noqa: F401 - missing, it is said first
        from fer_edge.train.datasets import read_data
        from fer_edge.train.evaluate import evaluate, matched, open_model, write_report

        opened = open_model(model, backend=backend)
    read = read_data(data, side=opened.spec.input.side, skip_bad=skip_bad)
    faces = matched(read, read.split(split), opened.spec, opened.name)
    if without_duplicates:
        faces = faces.take(~duplicates.near(faces, read.split("train")))
    left_out = len(read.split(split)) - len(faces)
    report = evaluate(opened, faces, split, left_out)
    files = write_report(report, faces, output or Path(f"{model.name}-evaluation"))
    print_json(report.to_dict()) if as_json else show(render.report_tables(report))
    print("wrote " + ", ".join(map(str, files)), file=sys.stderr)
