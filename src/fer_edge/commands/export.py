"""`fer export` and `fer parity`: a file that answers as its checkpoint does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click

from fer_edge.commands.console import print_json
from fer_edge.commands.options import (
    PATH,
    Backend,
    Device,
    Split,
    backend_option,
    data_option,
    device_option,
    json_option,
    skip_bad_option,
    split_option,
)
from fer_edge.errors import ConfigError, requires_extra

if TYPE_CHECKING:
    from fer_edge.export.thresholds import Gate

Format = Literal["onnx", "openvino", "ncnn"]
Precision = Literal["fp32", "fp16", "int8"]

gate_option = click.option(
    "--gate", type=PATH, help="TOML file of thresholds: a table for each precision."
)
min_agreement_option = click.option(
    "--min-agreement", type=float, help="Bar: share of faces with the same label, 0 to 1."
)
max_accuracy_loss_option = click.option(
    "--max-accuracy-loss", type=float, help="Bar: how far accuracy may fall, a share of 0 to 1."
)
max_logit_diff_option = click.option(
    "--max-logit-diff", type=float, help="Bar: largest difference of a logit."
)
max_recall_loss_option = click.option(
    "--max-recall-loss",
    type=float,
    help="Bar: how far a class's recall may fall, a share of 0 to 1.",
)

WARNINGS = {
    False: "only golden samples were compared: --data compares a whole test split",
    True: "only golden samples were compared, with the twin's own answers: what int8 costs against "
    "the float network, only --data shows",
}
"""Of an export without data: of a float file, and of an int8 file."""


@click.command
@click.argument("checkpoint", type=PATH, required=False)
@click.option("--format", type=click.Choice(get_args(Format)), default="onnx", help="Of the file.")
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="fp32",
    help="fp16: of weights alone.",
)
@data_option
@split_option
@click.option("--output", type=PATH, help="File or folder; here by default.")
@click.option("--int8-search", is_flag=True, help="Find, on val, which layers must stay in float.")
@click.option("--int8-like", type=PATH, help="An int8 file whose search isn't to be done again.")
@gate_option
@min_agreement_option
@max_accuracy_loss_option
@max_logit_diff_option
@max_recall_loss_option
@click.option("--no-gate", is_flag=True, help="Keep the file even if it misses a bar.")
@skip_bad_option
@json_option
def export(
    checkpoint: Path | None,
    format: Format,
    precision: Precision,
    data: Path | None,
    split: Split,
    output: Path | None,
    int8_search: bool,
    int8_like: Path | None,
    gate: Path | None,
    min_agreement: float | None,
    max_accuracy_loss: float | None,
    max_logit_diff: float | None,
    max_recall_loss: float | None,
    no_gate: bool,
    skip_bad: bool,
    as_json: bool,
) -> None:
    """Write a model file from a checkpoint, once it is proved to answer as PyTorch does.

    CHECKPOINT: bundled by default.
    """
    thresholds = _gate(
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
    with requires_extra("export"):
        from fer_edge.export.exporter import export_checkpoint
        from fer_edge.export.int8_search import read_int8_recipe, search_int8_recipe
        from fer_edge.export.output import resolve_output
        from fer_edge.render.reports import parity_text
        from fer_edge.runtime.formats.model_files import bundled
        from fer_edge.runtime.formats.spec_reader import read_spec
        from fer_edge.train.data.loading import read_data
        from fer_edge.train.evaluation.evaluate import CHECKPOINT

    source = bundled("checkpoint") if checkpoint is None else checkpoint
    if source.suffix != CHECKPOINT:
        raise ConfigError(f"{source}: only a checkpoint is exported, a {CHECKPOINT}")
    path = resolve_output(source, format=format, precision=precision, output=output)
    side = read_spec(source).input.side
    faces = None if data is None else read_data(data, side=side, skip_bad=skip_bad)
    recipe = read_int8_recipe(int8_like) if int8_like else None
    if int8_search and faces is not None:
        wanted = thresholds.thresholds("int8").agreement
        recipe = search_int8_recipe(
            source, faces, lambda line: print(line, file=sys.stderr), wanted
        )
    done = export_checkpoint(
        source,
        path,
        faces,
        split=split,
        format=format,
        precision=precision,
        gate=thresholds,
        recipe=recipe,
    )
    if no_gate:
        missed = sum(len(parity.failures) for parity in done.parities)
        print(f"--no-gate: nothing was refused; thresholds missed: {missed}", file=sys.stderr)
    if as_json:
        print_json(done.to_dict())
        return
    for parity in done.parities:
        print(parity_text(parity))
    if done.savings:
        print(done.savings)
    print(f"wrote {done.path} ({done.size / 1e6:.1f} MB), {done.report} and {done.html_report}")
    if faces is None:
        print(WARNINGS[precision == "int8"], file=sys.stderr)


@click.command
@click.argument("checkpoint", type=PATH)
@click.argument("model", type=PATH)
@data_option
@split_option
@backend_option
@device_option
@gate_option
@min_agreement_option
@max_accuracy_loss_option
@max_logit_diff_option
@max_recall_loss_option
@skip_bad_option
@json_option
def parity(
    checkpoint: Path,
    model: Path,
    data: Path | None,
    split: Split,
    backend: Backend,
    device: Device,
    gate: Path | None,
    min_agreement: float | None,
    max_accuracy_loss: float | None,
    max_logit_diff: float | None,
    max_recall_loss: float | None,
    skip_bad: bool,
    as_json: bool,
) -> None:
    """Compare an exported file with its checkpoint, face by face.

    CHECKPOINT: the .safetensors file. MODEL: the exported file.
    """
    thresholds = _gate(gate, min_agreement, max_accuracy_loss, max_logit_diff, max_recall_loss)
    with requires_extra("export"):
        from fer_edge.export.judge import compare_all, reference_models, threshold_kind
        from fer_edge.render.reports import parity_text
        from fer_edge.train.data.loading import read_data
        from fer_edge.train.evaluation.evaluate import CHECKPOINT, open_model
        from fer_edge.train.networks import checkpoint as checkpoints

        if checkpoint.suffix != CHECKPOINT:
            raise ConfigError(f"{checkpoint}: the first file is the checkpoint, a {CHECKPOINT}")
        if model.suffix == CHECKPOINT:
            raise ConfigError(f"{model}: the second file is the exported one, no {CHECKPOINT}")
        theirs = open_model(model, backend=backend, device=device)
        ours, float_model = reference_models(
            checkpoints.load(checkpoint), str(checkpoint), theirs.spec
        )
    side = ours.spec.input.side
    faces = None if data is None else read_data(data, side=side, skip_bad=skip_bad)
    judged = thresholds.thresholds(threshold_kind(theirs, float_model))
    parities = compare_all(ours, theirs, faces, split, thresholds=judged, float_model=float_model)
    for one in parities:
        print_json(one.to_dict()) if as_json else print(parity_text(one))
    if not all(one.passed for one in parities):
        made_of, this = theirs.spec.source_sha256, checkpoints.sha256(checkpoint)
        if made_of and made_of != this:
            print(
                f"{model} says it was made from another checkpoint: sha256 {made_of[:16]}..., "
                f"that of {checkpoint} is {this[:16]}...",
                file=sys.stderr,
            )
        sys.exit(1)


def _gate(
    file: Path | None,
    agreement: float | None,
    accuracy_loss: float | None,
    max_abs_logit_diff: float | None,
    recall_loss: float | None,
    *,
    off: bool = False,
) -> Gate:
    """The gate that the options describe.

    Raises:
        ConfigError: a threshold is out of range, or the options contradict each other.
    """
    from fer_edge.export.thresholds import Gate, read_gate

    options = {
        "agreement": agreement,
        "accuracy_loss": accuracy_loss,
        "max_abs_logit_diff": max_abs_logit_diff,
        "recall_loss": recall_loss,
    }
    changes = {name: value for name, value in options.items() if value is not None}
    if off and (file or changes):
        raise ConfigError(
            "--no-gate refuses nothing: leave --gate and the thresholds out, or leave it"
        )
    try:
        return Gate({} if file is None else read_gate(file), changes, enforced=not off)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from None
