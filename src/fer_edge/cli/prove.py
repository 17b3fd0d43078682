"""`fer export`, `fer parity`, `fer evaluate`: what a file is worth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fer_edge.cli.console import needs, print_json, show
from fer_edge.cli.options import Backend, Data, Json, OptionalData, SkipBad, SplitName
from fer_edge.errors import ConfigError

if TYPE_CHECKING:
    from fer_edge.export.gate import Gate

GateFile = Annotated[
    Path | None, typer.Option("--gate", help="TOML file of bars: a table for each precision.")
]
MinAgreement = Annotated[
    float | None, typer.Option(help="Bar: share of faces with the same label, 0 to 1.")
]
MaxAccuracyLoss = Annotated[
    float | None, typer.Option(help="Bar: how far accuracy may fall, a share of 0 to 1.")
]
MaxLogitDiff = Annotated[float | None, typer.Option(help="Bar: largest difference of a logit.")]
MaxRecallLoss = Annotated[
    float | None, typer.Option(help="Bar: how far a class's recall may fall, a share of 0 to 1.")
]

WARNINGS = {
    False: "only golden samples were compared: --data compares a whole test split",
    True: "only golden samples were compared, with the twin's own answers: what int8 costs against "
    "the float network, only --data shows",
}
"""Of an export without data: of a float file, and of an int8 file."""


def export(
    checkpoint: Annotated[Path | None, typer.Argument(help="Bundled by default.")] = None,
    format: Annotated[Literal["onnx", "openvino"], typer.Option(help="Of the file.")] = "onnx",
    precision: Annotated[
        Literal["fp32", "fp16", "int8"], typer.Option(help="fp16: of weights alone.")
    ] = "fp32",
    data: OptionalData = None,
    split: SplitName = "test",
    output: Annotated[Path | None, typer.Option(help="File or folder; here by default.")] = None,
    int8_search: Annotated[
        bool,
        typer.Option("--int8-search", help="Find, on val, which layers must stay in float."),
    ] = False,
    int8_like: Annotated[
        Path | None, typer.Option(help="An int8 file whose search isn't to be done again.")
    ] = None,
    gate: GateFile = None,
    min_agreement: MinAgreement = None,
    max_accuracy_loss: MaxAccuracyLoss = None,
    max_logit_diff: MaxLogitDiff = None,
    max_recall_loss: MaxRecallLoss = None,
    no_gate: Annotated[
        bool, typer.Option("--no-gate", help="Keep the file even if it misses a bar.")
    ] = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Write a model file from a checkpoint, once it is proved to answer as PyTorch does."""
    bars = _gate(
        gate, min_agreement, max_accuracy_loss, max_logit_diff, max_recall_loss, off=no_gate
    )
    if (int8_search or int8_like) and precision != "int8":
        raise ConfigError("--int8-search and --int8-like go with --precision int8")
    if int8_search and (data is None or int8_like):
        raise ConfigError("--int8-search needs --data, and no --int8-like")
    if int8_search and split != "test":
        raise ConfigError(
            "--int8-search looks at val and train: the gate must look at --split test"
        )
    with needs("export"):
        from fer_edge.export.convert import FORMATS, export_file
        from fer_edge.export.quantize import recipe_of, search
        from fer_edge.render.reports import parity_text
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
    recipe = recipe_of(int8_like) if int8_like else None
    if int8_search and faces is not None:
        wanted = bars.bars("int8").agreement
        recipe = search(source, faces, lambda line: print(line, file=sys.stderr), wanted)
    done = export_file(
        source,
        path,
        faces,
        split=split,
        format=format,
        precision=precision,
        gate=bars,
        recipe=recipe,
    )
    if no_gate:
        missed = sum(len(parity.failures) for parity in done.parities)
        print(f"--no-gate: nothing was refused; bars missed: {missed}", file=sys.stderr)
    if as_json:
        print_json(done.to_dict())
        return
    for parity in done.parities:
        print(parity_text(parity))
    if done.worth:
        print(done.worth)
    print(f"wrote {done.path} ({done.size / 1e6:.1f} MB), {done.report} and {done.page}")
    if faces is None:
        print(WARNINGS[precision == "int8"], file=sys.stderr)


def parity(
    checkpoint: Annotated[Path, typer.Argument(help="The .safetensors file.")],
    model: Annotated[Path, typer.Argument(help="The exported file.")],
    data: OptionalData = None,
    split: SplitName = "test",
    backend: Backend = "auto",
    gate: GateFile = None,
    min_agreement: MinAgreement = None,
    max_accuracy_loss: MaxAccuracyLoss = None,
    max_logit_diff: MaxLogitDiff = None,
    max_recall_loss: MaxRecallLoss = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Compare an exported file with its checkpoint, face by face."""
    bars = _gate(gate, min_agreement, max_accuracy_loss, max_logit_diff, max_recall_loss)
    with needs("export"):
        from fer_edge.export.compare import compare_all, kind_of, sides
        from fer_edge.render.reports import parity_text
        from fer_edge.train import checkpoint as checkpoints
        from fer_edge.train.datasets import read_data
        from fer_edge.train.evaluate import CHECKPOINT, open_model

        if checkpoint.suffix != CHECKPOINT:
            raise ConfigError(f"{checkpoint}: the first file is the checkpoint, a {CHECKPOINT}")
        if model.suffix == CHECKPOINT:
            raise ConfigError(f"{model}: the second file is the exported one, no {CHECKPOINT}")
        theirs = open_model(model, backend=backend)
        ours, origin = sides(checkpoints.load(checkpoint), str(checkpoint), theirs.spec)
    side = ours.spec.input.side
    faces = None if data is None else read_data(data, side=side, skip_bad=skip_bad)
    judged = bars.bars(kind_of(theirs, origin))
    parities = compare_all(ours, theirs, faces, split, bars=judged, origin=origin)
    for one in parities:
        print_json(one.to_dict()) if as_json else print(parity_text(one))
    if not all(one.passed for one in parities):
        raise typer.Exit(1)


def _gate(
    file: Path | None,
    agreement: float | None,
    accuracy_loss: float | None,
    max_abs_logit_diff: float | None,
    recall_loss: float | None,
    *,
    off: bool = False,
) -> Gate:
    """The gate that the options ask for.

    Raises:
        ConfigError: a bar is out of range, the file is wrong, or the gate is off and has bars.
    """
    from fer_edge.export.gate import Gate, read_gate

    options = {
        "agreement": agreement,
        "accuracy_loss": accuracy_loss,
        "max_abs_logit_diff": max_abs_logit_diff,
        "recall_loss": recall_loss,
    }
    changes = {name: value for name, value in options.items() if value is not None}
    if off and (file or changes):
        raise ConfigError("--no-gate refuses nothing: leave --gate and the bars out, or leave it")
    try:
        return Gate({} if file is None else read_gate(file), changes, enforced=not off)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from None


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
        from fer_edge.render.reports import report_tables
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
    print_json(report.to_dict()) if as_json else show(report_tables(report))
    print("wrote " + ", ".join(map(str, files)), file=sys.stderr)
