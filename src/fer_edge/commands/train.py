"""`fer train`: fine-tune a network, or resume a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_type_hints

import typer

from fer_edge.commands.console import note, show_checkpoint
from fer_edge.commands.data_options import DataOption, SkipBad
from fer_edge.commands.options import (
    MODEL,
    OUTPUT,
    QUANTIZATION,
    TARGETS,
    TRAINING,
    Json,
    command,
    is_typed,
    option,
    single,
)
from fer_edge.commands.training_output import show_training
from fer_edge.errors import ConfigError, requires_extra
from fer_edge.runtime.formats.model_files import BUNDLED, DEFAULT_MODEL
from fer_edge.train.config import TrainConfig
from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.recipe_files import list_recipes, read_recipe
from fer_edge.train.run_folder import find_checkpoint, resolve_config

FIELDS = TrainConfig.__dataclass_fields__
DEFAULTS = TrainConfig(data="-")
QAT = read_recipe("qat")

if TYPE_CHECKING:
    Architecture: TypeAlias = str
    Storage: TypeAlias = str
    Schedule: TypeAlias = str
    Arithmetic: TypeAlias = str
else:
    Architecture = Literal[*ARCHITECTURES]
    Storage, Schedule, Arithmetic = (
        get_type_hints(TrainConfig)[name] for name in ("storage", "schedule", "precision")
    )

app = single()


def setting(panel: str, name: str, *flags: str, note: str = "", **more: Any) -> Any:
    """An option for a field of `TrainConfig`, with the field's help text and a note."""
    text = " ".join(filter(None, (FIELDS[name].metadata["help"], note)))
    if name in QAT:
        text = f"{text} With --qat the default is {QAT[name]}."
    return option(panel, *flags, help=text, **more)


@command(
    app,
    "fer train --data fer2013.tar.gz --arch mobilenet_v3_small --weights imagenet",
    "fer train --data my_faces --output runs/mine --epochs 20",
    "fer train --qat --from runs/mine --data my_faces --output runs/mine-int8",
    "fer train --output runs/mine --resume",
)
def train(
    context: typer.Context,
    data: DataOption = None,
    skip_bad: SkipBad = False,
    architecture: Annotated[
        Architecture,
        setting(
            MODEL,
            "architecture",
            "--arch",
            metavar="NAME",
            note=f"One of {', '.join(ARCHITECTURES)}.",
        ),
    ] = DEFAULTS.architecture,
    weights: Annotated[
        str, setting(MODEL, "weights", "--weights", metavar="NAME|FILE")
    ] = DEFAULTS.weights,
    side: Annotated[int, setting(MODEL, "side", "--side")] = DEFAULTS.side,
    network_side: Annotated[int | None, setting(MODEL, "network_side", "--network-side")] = None,
    mean: Annotated[float | None, setting(MODEL, "mean", "--mean")] = None,
    std: Annotated[float | None, setting(MODEL, "std", "--std")] = None,
    storage: Annotated[Storage, setting(MODEL, "storage", "--storage")] = DEFAULTS.storage,
    recipe: Annotated[
        str | None,
        option(
            TRAINING,
            "--recipe",
            metavar="NAME|FILE",
            help="Settings that replace the defaults: a TOML file, or one of the package's "
            f"recipes: {', '.join(list_recipes())}. Options that are typed override it.",
        ),
    ] = None,
    epochs: Annotated[int, setting(TRAINING, "epochs", "--epochs")] = DEFAULTS.epochs,
    batch_size: Annotated[
        int, setting(TRAINING, "batch_size", "--batch-size")
    ] = DEFAULTS.batch_size,
    lr: Annotated[float, setting(TRAINING, "lr", "--lr")] = DEFAULTS.lr,
    backbone_lr: Annotated[
        float, setting(TRAINING, "backbone_lr", "--backbone-lr")
    ] = DEFAULTS.backbone_lr,
    schedule: Annotated[Schedule, setting(TRAINING, "schedule", "--schedule")] = DEFAULTS.schedule,
    freeze_epochs: Annotated[
        int, setting(TRAINING, "freeze_epochs", "--freeze-epochs")
    ] = DEFAULTS.freeze_epochs,
    ema: Annotated[float, setting(TRAINING, "ema", "--ema")] = DEFAULTS.ema,
    patience: Annotated[int, setting(TRAINING, "patience", "--patience")] = DEFAULTS.patience,
    precision: Annotated[
        Arithmetic, setting(TRAINING, "precision", "--precision")
    ] = DEFAULTS.precision,
    devices: Annotated[
        int,
        option(
            TRAINING,
            "--devices",
            min=1,
            help="Number of processes on this machine, one GPU each where there are GPUs.",
        ),
    ] = 1,
    seed: Annotated[int, setting(TRAINING, "seed", "--seed")] = DEFAULTS.seed,
    label_smoothing: Annotated[
        float, setting(TARGETS, "label_smoothing", "--label-smoothing")
    ] = DEFAULTS.label_smoothing,
    ferplus: Annotated[Path | None, setting(TARGETS, "ferplus", "--ferplus")] = None,
    soft_targets: Annotated[
        float, setting(TARGETS, "soft_targets", "--soft-targets")
    ] = DEFAULTS.soft_targets,
    teachers: Annotated[
        list[str] | None, setting(TARGETS, "teachers", "--teacher", note="May be repeated.")
    ] = None,
    teacher_logits: Annotated[
        Path | None, setting(TARGETS, "teacher_logits", "--teacher-logits")
    ] = None,
    unlabelled: Annotated[Path | None, setting(TARGETS, "unlabelled", "--unlabelled")] = None,
    unlabelled_data: Annotated[
        str, setting(TARGETS, "unlabelled_data", "--unlabelled-data")
    ] = DEFAULTS.unlabelled_data,
    unlabelled_licence: Annotated[
        str, setting(TARGETS, "unlabelled_licence", "--unlabelled-licence")
    ] = DEFAULTS.unlabelled_licence,
    class_balance: Annotated[
        float, setting(TARGETS, "class_balance", "--class-balance")
    ] = DEFAULTS.class_balance,
    qat: Annotated[
        bool,
        option(
            QUANTIZATION,
            "--qat",
            help="Quantization-aware training: train an int8 model from a trained network.",
        ),
    ] = False,
    source: Annotated[
        str | None,
        option(
            QUANTIZATION,
            "--from",
            metavar="NAME|FILE",
            help="With --qat: the trained network, as a run's folder, a checkpoint or the name of "
            f"a model in the package ({', '.join(BUNDLED)}); by default {DEFAULT_MODEL}.",
        ),
    ] = None,
    name: Annotated[str, setting(OUTPUT, "name", "--name")] = DEFAULTS.name,
    version: Annotated[str, setting(OUTPUT, "version", "--version")] = DEFAULTS.version,
    output: Annotated[Path, option(OUTPUT, "--output", "-o", help="Folder of the run.")] = Path(
        "run"
    ),
    resume: Annotated[
        bool,
        option(
            OUTPUT, "--resume", help="Continue the run in --output after its last finished epoch."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Fine-tune a network on faces and write the run's folder, with its model.safetensors.

    The folder also gets the settings (config.json), the metrics of each epoch and TensorBoard logs.
    """
    given = {
        name: value
        for name, value in locals().items()
        if name in FIELDS and is_typed(context, name)
    }
    if data is None and not resume:
        raise ConfigError("--data is missing: the faces to train on")
    if source is not None and not qat:
        raise ConfigError("--from needs --qat; the initial weights of a float network: --weights")
    with requires_extra("train"):
        from fer_edge.train.distributed import is_rank_zero
        from fer_edge.train.evaluation.evaluate import CHECKPOINT
        from fer_edge.train.fit import fit

    if source is not None or (qat and not resume):
        chosen = find_checkpoint(source)
        if chosen.suffix.lower() != CHECKPOINT:
            raise ConfigError(f"--from {source}: neither a run's folder nor a {CHECKPOINT} file")
        given["qat_from"] = chosen
    base = read_recipe(recipe) if recipe else None
    config = resolve_config(given, output, resume=resume, recipe=base)
    if qat and not config.qat_from:
        raise ConfigError(f"{output}: not a run of --qat: resume it without --qat")
    try:
        with show_training() as on_progress:
            done = fit(config, output, resume=resume, devices=devices, on_progress=on_progress)
    except (KeyboardInterrupt, SystemExit):
        if is_rank_zero():
            note(f"interrupted; to resume: fer train --output {output} --resume")
        raise typer.Exit(1) from None
    if is_rank_zero():
        is_qat = bool(config.qat_from)
        show_checkpoint(done.path, data or config.data, is_qat=is_qat, as_json=as_json)
