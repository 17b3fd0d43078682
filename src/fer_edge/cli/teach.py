"""`fer train` and `fer data inspect`: what a model is made from."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fer_edge.cli.console import needs, print_json, show
from fer_edge.cli.options import DATA, Json, OptionalData, SkipBad
from fer_edge.errors import ConfigError

NEXT = {
    False: "fer evaluate {0} --data ... ; fer export {0} --data ...",
    True: "fer export {0} --precision int8 --data ...",
}
"""What to do with a checkpoint, and with one that has a twin."""
WORDS = ("bundled", "imagenet", "none")
ARCHITECTURES = (
    "mobilenet_v2 (default), mobilenet_v3_small, mobilenet_v3_large, resnet18 or vgg16_bn."
)


def train(
    data: OptionalData = None,
    output: Annotated[Path, typer.Option(help="The run's folder.")] = Path("run"),
    arch: Annotated[str | None, typer.Option(help=ARCHITECTURES)] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="bundled (default), imagenet (torchvision downloads), none, or a file."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="30.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Faces a step: 64.")] = None,
    lr: Annotated[
        float | None, typer.Option(help="AdamW's highest rate, of the head: 0.002.")
    ] = None,
    backbone_lr: Annotated[
        float | None, typer.Option(help="The backbone's rate, times --lr: 0.5.")
    ] = None,
    schedule: Annotated[
        Literal["onecycle", "cosine"] | None, typer.Option(help="Of the rate: onecycle.")
    ] = None,
    freeze_epochs: Annotated[
        int | None, typer.Option(min=0, help="At the start, of the head alone: 1.")
    ] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="In [0, 1]: 0.1.")] = None,
    class_balance: Annotated[
        float | None, typer.Option(help="0: faces weigh alike, 1: classes do. 0.")
    ] = None,
    ema: Annotated[
        float | None, typer.Option(help="Decay of the averaged weights, 0 off: 0.998.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after epochs without gain; 0 never.")
    ] = None,
    side: Annotated[
        int | None, typer.Option(help="Pixels of a face, the graph's input: 48.")
    ] = None,
    network_side: Annotated[
        int | None, typer.Option(help="Pixels that the graph resizes a face to; by --arch.")
    ] = None,
    mean: Annotated[float | None, typer.Option(help="Of pixel / 255; by --weights.")] = None,
    std: Annotated[float | None, typer.Option(help="Of pixel / 255; by --weights.")] = None,
    storage: Annotated[
        Literal["fp16", "fp32"] | None, typer.Option(help="Of the checkpoint's weights: fp16.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of every draw: 0.")] = None,
    skip_bad: Annotated[
        bool | None, typer.Option("--skip-bad", help="Leave wrong rows and pictures out.")
    ] = None,
    qat: Annotated[
        bool, typer.Option("--qat", help="Train an int8 twin of the checkpoint --from.")
    ] = False,
    source: Annotated[
        Path | None, typer.Option("--from", help="With --qat: a run's folder, or a checkpoint.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on after the last finished epoch.")] = False,
    as_json: Json = False,
) -> None:
    """Fine-tune a network; the run's folder gets model.safetensors."""
    if data is None and not resume:
        raise ConfigError("--data is missing: the faces to train on")
    if source is not None and not qat:
        raise ConfigError("--from names what --qat starts at: --weights is where fp32 starts")
    given: dict[str, Any] = {k: v for k, v in locals().items() if v is not None}
    for name in ("output", "qat", "source", "resume", "as_json"):
        given.pop(name, None)
    if "arch" in given:
        given["architecture"] = given.pop("arch")
    if data is not None:
        given["data"] = str(data.resolve())
    if given.get("weights", "none") not in WORDS:
        given["weights"] = str(Path(given["weights"]).resolve())
    with needs("train"):
        from fer_edge.render.contract import spec_table
        from fer_edge.runtime.bundled import bundled
        from fer_edge.runtime.specfile import read_spec
        from fer_edge.train.config import settings
        from fer_edge.train.evaluate import CHECKPOINT
        from fer_edge.train.fit import fit
        from fer_edge.train.qat import checkpoint_of

    if source is not None or (qat and not resume):
        chosen = bundled("checkpoint") if source is None else checkpoint_of(source)
        if chosen.suffix != CHECKPOINT:
            raise ConfigError(f"--from {source}: a run's folder or a {CHECKPOINT} is needed")
        given["qat_from"] = str(chosen.resolve())
    config = settings(given, output, resume=resume)
    if qat and not config.qat_from:
        raise ConfigError(f"{output}: isn't a run of --qat: leave --qat out to resume it")
    try:
        path = fit(config, output, resume=resume)
    except (KeyboardInterrupt, SystemExit):
        print(f"interrupted: fer train --output {output} --resume goes on", file=sys.stderr)
        raise typer.Exit(1) from None
    spec = read_spec(path)
    if as_json:
        print_json(json.loads(spec.to_json()))
    else:
        show([spec_table(spec, str(path))])
        print(f"next: {NEXT[bool(config.qat_from)].format(path)}", file=sys.stderr)


def inspect(
    path: Annotated[Path, typer.Argument(help=DATA)],
    ferplus: Annotated[Path | None, typer.Option(help="FER+ votes (fer2013new.csv).")] = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Splits, class counts, bad rows, duplicates across splits."""
    with needs("train"):
        from fer_edge.train.datasets import read_data
        from fer_edge.train.inspection import inspect, tables

    found = inspect(read_data(path, skip_bad=skip_bad), ferplus)
    print_json(found.to_dict()) if as_json else show(tables(found))
