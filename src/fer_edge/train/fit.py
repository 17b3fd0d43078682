"""A training run from its settings to `model.safetensors`."""

from __future__ import annotations

import dataclasses
import logging
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning
import torch
import torchvision
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

import fer_edge
from fer_edge.atomic import write_text
from fer_edge.errors import ConfigError
from fer_edge.runtime.results import softmax
from fer_edge.spec import CropSpec, DataSpec, ModelSpec
from fer_edge.train import checkpoint as checkpoints
from fer_edge.train import plots
from fer_edge.train.checkpoint import Checkpoint
from fer_edge.train.config import TrainConfig
from fer_edge.train.datasets import read_data
from fer_edge.train.faces import FaceData
from fer_edge.train.initial import initial_model
from fer_edge.train.loop import Averaged, EpochLog, Trainee, class_weights, loader, read_log
from fer_edge.train.metrics import Report, fit_temperature
from fer_edge.train.model import FaceClassifier

INTENDED_USE = (
    "Reading the expression shown by a face, for research, interaction and art with the consent of "
    "those seen. An expression isn't a feeling. Not for hiring, policing, proctoring or any "
    "decision about a person; emotion inference at work and in education is banned in the EU "
    "(AI Act, Art. 5)."
)


def fit(config: TrainConfig, output: Path, *, resume: bool = False) -> Path:
    """Train as `config` says, in the run folder `output`.

    The folder gets `config.json`, `metrics.csv`, `tensorboard/`, `checkpoints/` (the best and the
    last epoch) and, at the end, `curves.png` and `model.safetensors`: the epoch with the best
    validation accuracy, its temperature fitted on validation, its spec in the header. The order of
    faces and every draw follow from the seed and the epoch's number, so a run that was killed and
    resumed ends as an unbroken one.

    Args:
        config: the settings.
        output: the run's folder; made where missing.
        resume: go on after the last finished epoch.

    Returns:
        The path of `model.safetensors`.

    Raises:
        ConfigError: the folder holds a run already and `resume` wasn't asked for.
        DataError: the data is wrong or has no val split.
    """
    last = output / "checkpoints" / "last.ckpt"
    if not resume and (output / "config.json").exists():
        raise ConfigError(
            f"{output}: holds a run already: --resume goes on with it, or name another"
        )
    data = read_data(Path(config.data), side=config.side, skip_bad=config.skip_bad)
    train, val = data.split("train"), data.split("val")
    model = initial_model(config, data.labels)
    write_text(output / "config.json", config.to_json())
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    batches = loader(train, config, train=True, rank=rank, world=world)
    weights = class_weights(train.labels, len(data.labels), config.class_balance)
    trainee = Trainee(model, config, weights, steps=len(batches) * config.epochs)
    trainee.to(memory_format=torch.channels_last)
    best = ModelCheckpoint(
        output / "checkpoints",
        filename="best",
        monitor="val_accuracy",
        mode="max",
        save_last=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    with _quiet():
        trainer = lightning.Trainer(
            max_epochs=config.epochs,
            precision=config.precision,
            logger=TensorBoardLogger(output, name="tensorboard", version=""),
            callbacks=[best, EpochLog(output / "metrics.csv", len(train)), *_optional(config)],
            enable_model_summary=False,
            enable_progress_bar=sys.stderr.isatty(),
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            log_every_n_steps=min(20, len(batches)),
        )
        trainer.fit(
            trainee,
            batches,
            loader(val, config, train=False, rank=rank, world=world),
            ckpt_path=str(last) if resume and last.exists() else None,
            weights_only=True,
        )
    path = output / "model.safetensors"
    if trainer.is_global_zero:
        state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
        trainee.load_state_dict(state["state_dict"])
        checkpoints.save(finish(trainee.model.cpu(), config, data), path)
        plots.save(plots.curves(read_log(output / "metrics.csv")), output / "curves.png")
    return path


def finish(model: FaceClassifier, config: TrainConfig, data: FaceData) -> Checkpoint:
    """Round the weights for storage, fit the temperature on validation, write the spec."""
    if config.storage == "fp16":
        checkpoints.round_to_half(model)
    spec = ModelSpec(
        name=f"fer-{config.architecture}",
        architecture=config.architecture,
        labels=data.labels,
        input=model.spec,
        crop=CropSpec(),
        temperature=1.0,
        data=DataSpec(data.name, data.licence, data.counts()),
        metrics=(),
        intended_use=INTENDED_USE,
        tools={
            "fer-edge": fer_edge.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "lightning": lightning.__version__,
        },
    )
    val = data.split("val")
    logits = Checkpoint(model, spec).predict(val.pixels)
    temperature = fit_temperature(logits, val.labels)
    report = Report(
        spec.name, "val", data.labels, val.labels, softmax(logits / temperature).astype("float32")
    )
    return Checkpoint(
        model,
        dataclasses.replace(spec, temperature=temperature, metrics=(report.metrics(),)),
    )


def _optional(config: TrainConfig) -> list[Callback]:
    callbacks: list[Callback] = []
    if config.ema:
        callbacks.append(Averaged(config.ema))
    if config.patience:
        callbacks.append(EarlyStopping("val_accuracy", mode="max", patience=config.patience))
    if sys.stderr.isatty():
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    return callbacks


@contextmanager
def _quiet() -> Iterator[None]:
    """Hush what a user can do nothing about: Lightning's advice, each by its own words."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for words in (
            ".*does not have many workers.*",  # the faces are in memory: workers only copy them
            ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # inside Lightning, of torch
            ".*Checkpoint directory .* exists and is not empty.*",  # a resumed run's
        ):
            warnings.filterwarnings("ignore", message=words)
        yield
