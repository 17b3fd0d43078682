"""`fer train` and `fer data inspect`: what a model is made from."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fer_edge.commands.console import print_json, show
from fer_edge.commands.options import PATH, data_option, json_option, skip_bad_option
from fer_edge.errors import ConfigError, DataError, requires_extra
from fer_edge.train.networks.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from fer_edge.spec import ModelSpec

NEXT = {
    False: "fer evaluate {0} --data {1} ; fer export {0} --data {1}",
    True: "fer export {0} --precision int8 --data {1}",
}
"""What to do with a checkpoint, and with one that has a twin."""
WORDS = ("bundled", "imagenet", "none")


@click.command
@data_option
@click.option("--output", type=PATH, default="run", help="The run's folder.")
@click.option(
    "--recipe", help="Settings in a TOML file, or by name: student, finer, their -int8, qat."
)
@click.option("--arch", "architecture", help=f"{', '.join(ARCHITECTURES)}.")
@click.option(
    "--weights", help="bundled (default), imagenet (torchvision downloads), none, or a file."
)
@click.option("--epochs", type=click.IntRange(min=1), help="30.")
@click.option("--batch-size", type=click.IntRange(min=2), help="Faces a step: 64.")
@click.option("--lr", type=float, help="AdamW's highest rate, of the head: 0.002.")
@click.option("--backbone-lr", type=float, help="The backbone's rate, times --lr: 0.5.")
@click.option(
    "--schedule", type=click.Choice(["onecycle", "cosine"]), help="Of the rate: onecycle."
)
@click.option(
    "--freeze-epochs", type=click.IntRange(min=0), help="At the start, of the head alone: 1."
)
@click.option("--label-smoothing", type=float, help="In [0, 1]: 0.1.")
@click.option("--ferplus", type=PATH, help="FER+ votes (fer2013new.csv), for --soft-targets.")
@click.option("--soft-targets", type=float, help="Share of the target by FER+'s votes: 0.")
@click.option(
    "--teacher", "teachers", type=PATH, multiple=True, help="Learn to answer as this checkpoint."
)
@click.option("--class-balance", type=float, help="0: faces weigh alike, 1: classes do. 0.")
@click.option("--ema", type=float, help="Decay of the averaged weights, 0 off: 0.998.")
@click.option("--patience", type=int, help="Stop after epochs without gain; 0 never.")
@click.option("--side", type=int, help="Pixels of a face, the graph's input: 48.")
@click.option(
    "--network-side", type=int, help="Pixels that the graph resizes a face to; by --arch."
)
@click.option("--mean", type=float, help="Of pixel / 255; by --weights.")
@click.option("--std", type=float, help="Of pixel / 255; by --weights.")
@click.option(
    "--storage", type=click.Choice(["fp16", "fp32"]), help="Of the checkpoint's weights: fp16."
)
@click.option(
    "--precision",
    type=click.Choice(["32-true", "bf16-mixed", "16-mixed"]),
    help="Of the arithmetic: 32-true.",
)
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    default=1,
    show_default=False,
    help="Processes here, a GPU each if there are any: 1.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of every draw: 0.")
@skip_bad_option
@click.option("--qat", is_flag=True, help="Train an int8 twin of the checkpoint --from.")
@click.option("--from", "source", type=PATH, help="With --qat: a run's folder, or a checkpoint.")
@click.option("--resume", is_flag=True, help="Go on after the last finished epoch.")
@json_option
def train(
    data: Path | None,
    output: Path,
    recipe: str | None,
    weights: str | None,
    ferplus: Path | None,
    teachers: tuple[Path, ...],
    skip_bad: bool,
    qat: bool,
    source: Path | None,
    resume: bool,
    devices: int,
    as_json: bool,
    **options: float | str | None,
) -> None:
    """Fine-tune a network; the run's folder gets model.safetensors."""
    if data is None and not resume:
        raise ConfigError("--data is missing: the faces to train on")
    if source is not None and not qat:
        raise ConfigError("--from names what --qat starts at: --weights is where fp32 starts")
    given: dict[str, object] = {k: v for k, v in options.items() if v is not None}
    if data is not None:
        given["data"] = str(data.resolve())
    if weights is not None:
        given["weights"] = weights if weights in WORDS else str(Path(weights).resolve())
    if ferplus is not None:
        given["ferplus"] = str(ferplus.resolve())
    if teachers:
        given["teachers"] = tuple(str(teacher.resolve()) for teacher in teachers)
    if skip_bad:
        given["skip_bad"] = True
    with requires_extra("train"):
        from fer_edge.runtime.formats.model_files import bundled
        from fer_edge.runtime.formats.spec_reader import read_spec
        from fer_edge.train.config import find_checkpoint, read_recipe, resolve_config
        from fer_edge.train.distributed import is_first
        from fer_edge.train.evaluation.evaluate import CHECKPOINT
        from fer_edge.train.fit import fit

    if source is not None or (qat and not resume):
        chosen = bundled("checkpoint") if source is None else find_checkpoint(source)
        if chosen.suffix != CHECKPOINT:
            raise ConfigError(f"--from {source}: a run's folder or a {CHECKPOINT} is needed")
        given["qat_from"] = str(chosen.resolve())
    begun_with = read_recipe(recipe) if recipe else None
    config = resolve_config(given, output, resume=resume, recipe=begun_with)
    if qat and not config.qat_from:
        raise ConfigError(f"{output}: isn't a run of --qat: leave --qat out to resume it")
    try:
        path = fit(config, output, resume=resume, devices=devices)
    except (KeyboardInterrupt, SystemExit):
        if is_first():
            print(f"interrupted: fer train --output {output} --resume goes on", file=sys.stderr)
        sys.exit(1)
    if not is_first():
        return
    _tell(read_spec(path), path, data or config.data, twin=bool(config.qat_from), as_json=as_json)


def _tell(
    spec: ModelSpec, path: Path, data: Path | str, *, twin: bool = False, as_json: bool
) -> None:
    from fer_edge.render.spec import spec_table

    if as_json:
        print_json(json.loads(spec.to_json()))
        return
    show([spec_table(spec, str(path))])
    names = (shlex.quote(str(one)) for one in (path, data))
    print(f"next: {NEXT[twin].format(*names)}", file=sys.stderr)


@click.command
@click.argument("runs", nargs=-1, required=True, type=PATH)
@data_option
@click.option("--output", type=PATH, default="average", help="The folder of what comes of it.")
@skip_bad_option
@json_option
def average(
    runs: tuple[Path, ...], data: Path | None, output: Path, skip_bad: bool, as_json: bool
) -> None:
    """The mean of several networks' weights, in OUTPUT/model.safetensors.

    RUNS: two or more folders of runs that began with the same weights, or their checkpoints.
    """
    if data is None:
        raise ConfigError("--data is missing: the faces whose val split the mean is measured on")
    with requires_extra("train"):
        from fer_edge.runtime.formats.spec_reader import read_spec
        from fer_edge.train.average import average
        from fer_edge.train.config import MODEL_FILE, find_checkpoint
        from fer_edge.train.data.loading import read_data
        from fer_edge.train.networks import checkpoint

    path = output / MODEL_FILE
    if path.exists():
        raise ConfigError(f"{path}: is there already: name another --output")
    paths = [find_checkpoint(run) for run in runs]
    side = read_spec(paths[0]).input.side
    done = average(paths, read_data(data, side=side, skip_bad=skip_bad))
    checkpoint.save(done, path)
    for one, spec in [*((each, read_spec(each)) for each in paths), (path, done.spec)]:
        for known in spec.metrics:
            print(f"{one}: {known.accuracy:.2%} of {known.split}", file=sys.stderr)
    _tell(done.spec, path, data, as_json=as_json)


@click.command
@click.argument("path", type=PATH)
@click.option("--ferplus", type=PATH, help="FER+ votes (fer2013new.csv).")
@skip_bad_option
@json_option
def inspect(path: Path, ferplus: Path | None, skip_bad: bool, as_json: bool) -> None:
    """Show splits, class counts, unreadable rows or images, and duplicates across splits.

    PATH: FER2013 file (.csv, .csv.gz, .tar.gz, .zip) or a folder of class folders.
    """
    with requires_extra("train"):
        from fer_edge.render.reports import inspection_tables
        from fer_edge.train.data.inspection import inspect_data
        from fer_edge.train.data.loading import read_data

    found = inspect_data(read_data(path, skip_bad=True), ferplus)
    print_json(found.to_dict()) if as_json else show(inspection_tables(found))
    if found.bad and not skip_bad:
        raise DataError(
            f"{path}: {len(found.bad)} rows or images can't be read: repair or remove them, or "
            "leave them out with --skip-bad"
        )
