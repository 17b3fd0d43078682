"""`fer detector train`: train a face detector, or resume a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fer_edge.commands.console import note, print_json
from fer_edge.commands.options import (
    INPUT,
    MODEL,
    OUTPUT,
    QUANTIZATION,
    TRAINING,
    Json,
    argument,
    is_typed,
    option,
)
from fer_edge.commands.training_output import show_training
from fer_edge.errors import ConfigError, requires_extra
from fer_edge.text import printable
from fer_edge.train.detector.config import DetectorConfig

FIELDS = DetectorConfig.__dataclass_fields__
DEFAULTS = DetectorConfig("-", "-")


def setting(panel: str, name: str, *flags: str, **more: Any) -> Any:
    """An option for a field of `DetectorConfig`, with the field's help text."""
    return option(panel, *flags, help=FIELDS[name].metadata["help"], **more)


LabelsOption = Annotated[Path, setting(INPUT, "labels", "--labels")]


def train(
    context: typer.Context,
    photographs: Annotated[
        Path | None, argument(FIELDS["photographs"].metadata["help"], metavar="[PHOTOS]")
    ] = None,
    labels: Annotated[Path | None, setting(INPUT, "labels", "--labels")] = None,
    epochs: Annotated[int, setting(TRAINING, "epochs", "--epochs")] = DEFAULTS.epochs,
    pieces: Annotated[int, setting(TRAINING, "pieces", "--pieces")] = DEFAULTS.pieces,
    piece_side: Annotated[
        int, setting(TRAINING, "piece_side", "--piece-side")
    ] = DEFAULTS.piece_side,
    batch_size: Annotated[
        int, setting(TRAINING, "batch_size", "--batch-size")
    ] = DEFAULTS.batch_size,
    lr: Annotated[float, setting(TRAINING, "lr", "--lr")] = DEFAULTS.lr,
    ema: Annotated[float, setting(TRAINING, "ema", "--ema")] = DEFAULTS.ema,
    min_face: Annotated[int, setting(TRAINING, "min_face", "--min-face")] = DEFAULTS.min_face,
    max_face: Annotated[int, setting(TRAINING, "max_face", "--max-face")] = DEFAULTS.max_face,
    background: Annotated[
        float, setting(TRAINING, "background", "--background")
    ] = DEFAULTS.background,
    rotated: Annotated[float, setting(TRAINING, "rotated", "--rotated")] = DEFAULTS.rotated,
    eye_weight: Annotated[
        float, setting(TRAINING, "eye_weight", "--eye-weight")
    ] = DEFAULTS.eye_weight,
    workers: Annotated[int, setting(TRAINING, "workers", "--workers")] = DEFAULTS.workers,
    seed: Annotated[int, setting(TRAINING, "seed", "--seed")] = DEFAULTS.seed,
    weights: Annotated[Path | None, setting(MODEL, "weights", "--weights")] = None,
    qat_from: Annotated[
        Path | None,
        option(
            QUANTIZATION,
            "--from",
            help="Run or checkpoint of a trained detector: train an int8 model from it (QAT).",
        ),
    ] = None,
    name: Annotated[str, setting(MODEL, "name", "--name")] = DEFAULTS.name,
    version: Annotated[str, setting(MODEL, "version", "--version")] = DEFAULTS.version,
    data_name: Annotated[str, setting(MODEL, "data_name", "--data-name")] = DEFAULTS.data_name,
    data_licence: Annotated[
        str, setting(MODEL, "data_licence", "--data-licence")
    ] = DEFAULTS.data_licence,
    output: Annotated[Path, option(OUTPUT, "--output", "-o", help="Folder of the run.")] = Path(
        "detector-run"
    ),
    resume: Annotated[
        bool,
        option(
            OUTPUT, "--resume", help="Continue the run in --output after its last finished epoch."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a face detector on labelled photographs and write the run's folder.

    Every figure of the training's log is of the photographs of val at 320 pixels.
    """
    given = {
        name: value
        for name, value in locals().items()
        if name in FIELDS and is_typed(context, name)
    }
    if not resume and (photographs is None or labels is None):
        raise ConfigError("PHOTOS and --labels are missing: what to train on")
    with requires_extra("train"):
        from fer_edge.train.detector.fit import fit_detector
        from fer_edge.train.detector.inputs import resolve_detector_config

    config = resolve_detector_config(given, output, resume=resume)
    try:
        with show_training("reading labels") as on_progress:
            done = fit_detector(config, output, resume=resume, on_progress=on_progress)
    except (KeyboardInterrupt, SystemExit):
        note(f"interrupted; to resume: fer detector train --output {output} --resume")
        raise typer.Exit(1) from None
    if as_json:
        print_json(done.checkpoint.spec.to_dict())
        return
    whose = "the float model on " if done.checkpoint.quantized_model else ""
    for metrics in done.checkpoint.spec.metrics:
        print(
            f"{whose}{metrics.split} at {metrics.side} px: recall {metrics.recall:.2%} of "
            f"{metrics.marked} marked faces, average precision {metrics.average_precision:.2%}, "
            f"{metrics.false_faces:.3f} false faces on each of {metrics.empty} photographs "
            "without people"
        )
    print(printable(str(done.path)))
