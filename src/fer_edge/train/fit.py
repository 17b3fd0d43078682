"""A training run from its settings to `model.safetensors`."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.fx.experimental.optimization import fuse

from fer_edge.atomic import write_text
from fer_edge.errors import ConfigError, ModelError
from fer_edge.train import distributed, provenance, qat
from fer_edge.train.batches import class_weights, loader
from fer_edge.train.callbacks import Averaged, EpochLog, Kept, read_log
from fer_edge.train.config import CONFIG_FILE, MODEL_FILE, TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation import plots
from fer_edge.train.evaluation.evaluate import match_all_labels
from fer_edge.train.finalize import finish, finish_twin
from fer_edge.train.init_weights import initial_model
from fer_edge.train.lightning_module import Trainee, parts
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.classifier import FaceClassifier
from fer_edge.train.targets import targets_of


def fit(config: TrainConfig, output: Path, *, resume: bool = False, devices: int = 1) -> Path:
    """Train as `config` says, in the run folder `output`.

    The folder gets `config.json`, `provenance.json` (the spec of the checkpoint it begins with,
    where it does with one), `metrics.csv`, `tensorboard/`, `checkpoints/` (the best and the last
    epoch) and, at the end, `curves.png` and `model.safetensors`: the epoch with the best validation
    accuracy, its temperature fitted on validation, its spec in the header. The order of
    faces and every draw follow from the seed and their number alone, so a run that was killed and
    resumed ends as an unbroken one.

    Args:
        config: the settings.
        output: the run's folder; made where missing.
        resume: go on after the last finished epoch.
        devices: processes on this machine, each on a GPU of its own where there are GPUs; 1 under
            torchrun, which has started them.

    Returns:
        The path of `model.safetensors`, which the first process (`distributed.is_first`) writes.

    Raises:
        ConfigError: the folder holds a run already and `resume` wasn't asked for.
        DataError: the data is wrong or has no val split.
    """
    options = distributed.trainer_options(devices, config.batch_size)
    last = output / "checkpoints" / "last.ckpt"
    chief = distributed.is_first()
    if chief and not resume and (output / CONFIG_FILE).exists():
        raise ConfigError(
            f"{output}: holds a run already: --resume goes on with it, or name another"
        )
    data = read_data(Path(config.data), side=config.side, skip_bad=config.skip_bad)
    begun = resume and last.exists()
    source, first = None, None if config.qat_from else provenance.origin(config, output)
    if config.qat_from:
        source = qat.begin(config, data)
        data = match_all_labels(data, source.spec, config.qat_from)
        model = source.twin
    else:
        # last.ckpt holds every weight: a resumed run needs none of the files that it began with
        model = initial_model(replace(config, weights="none") if begun else config, data.labels)
    assert model is not None
    train, val = data.split("train"), data.split("val")
    # whatever may be wrong is found before the folder holds a run
    teachers = _teachers(config, data) + ((_folded(source.model),) if source else ())
    targets = targets_of(config, data)
    parts(model, config.frozen)
    if begun:
        _check_readable(last)
    elif chief:
        write_text(output / CONFIG_FILE, _settled(config, model).to_json())
        if first:
            write_text(output / provenance.FILE, first.to_json())
        for line in provenance.words(data, first):
            print(line, file=sys.stderr)
    best, every = Kept(last.parent, "best", "val_accuracy"), Kept(last.parent, last.stem)
    with _quiet():
        trainer = lightning.Trainer(
            max_epochs=config.epochs,
            precision=config.precision,
            **options,
            logger=TensorBoardLogger(output, name="tensorboard", version=""),
            callbacks=[
                *_optional(config),
                EpochLog(output / "metrics.csv", len(train)),
                best,
                every,  # after the best, whose state it holds
            ],
            enable_model_summary=False,
            enable_progress_bar=sys.stderr.isatty(),
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            log_every_n_steps=min(20, max(1, len(train) // config.batch_size)),
        )
        among = (trainer.global_rank, trainer.world_size)
        batches = loader(train, config, targets=targets, among=among)
        weights = class_weights(train.labels, len(data.labels), config.class_balance)
        trainee = Trainee(model, config, weights, len(batches) * config.epochs, teachers)
        trainee.to(memory_format=torch.channels_last)
        trainer.fit(
            trainee,
            batches,
            loader(val, config, among=among),
            ckpt_path=str(last) if begun else None,
            weights_only=True,
        )
        distributed.leave()
    path = output / MODEL_FILE
    if chief:
        state = torch.load(best.path, map_location="cpu", weights_only=True)
        trainee.load_state_dict(state["state_dict"])
        trained = trainee.model.cpu()
        if source:
            done = finish_twin(source, config, data)
        else:
            seen = provenance.seen(first.data if first else None, data)
            done = finish(
                trained, data, seen, architecture=config.architecture, storage=config.storage
            )
        checkpoints.save(done, path)
        plots.save_figure(
            plots.plot_curves(read_log(output / "metrics.csv")), output / "curves.png"
        )
    return path


def _teachers(config: TrainConfig, data: FaceData) -> tuple[FaceClassifier, ...]:
    teachers = []
    for name in config.teachers:
        teacher = checkpoints.load(Path(name))
        if teacher.spec.labels != data.labels or teacher.spec.input.side != config.side:
            raise ConfigError(f"{name}: its labels or its side aren't those of this run")
        teachers.append(_folded(teacher.model))
    return tuple(teachers)


def _folded(model: FaceClassifier) -> FaceClassifier:
    """A copy that only answers: its batch norms are in its weights, a quarter of the time less."""
    folded = FaceClassifier(fuse(model.network.eval()), model.spec)
    return folded.to(memory_format=torch.channels_last)


def _settled(config: TrainConfig, model: FaceClassifier) -> TrainConfig:
    """The settings with nothing left to be looked up: what the run is resumed with."""
    spec = model.spec
    return replace(config, network_side=spec.network_side, mean=spec.mean, std=spec.std)


def _check_readable(path: Path) -> None:
    try:
        torch.load(path, map_location="meta", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        raise ModelError(
            f"{path}: damaged ({str(error).splitlines()[0]}): start the run anew"
        ) from None


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
    for part in ("pytorch", "fabric"):
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for words in (
            ".*does not have many workers.*",  # the faces are in memory: workers only copy them
            ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # inside Lightning, of torch
            ".*Checkpoint directory .* exists and is not empty.*",  # a resumed run's
            ".*Grad strides do not match.*",  # 1 x 1 convolutions are in both orders at once
        ):
            warnings.filterwarnings("ignore", message=words)
        yield
