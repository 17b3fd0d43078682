"""A training run, from its settings to `model.safetensors`."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from fer_edge.atomic import write_text
from fer_edge.errors import DataError
from fer_edge.train import distributed, provenance
from fer_edge.train.batches import class_weights, make_loader
from fer_edge.train.callbacks import EmaWeights, EpochLog, Patience, StepProgress, read_log
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.loading import read_data
from fer_edge.train.data.unlabelled import join_faces, leave_out_copies, read_unlabelled
from fer_edge.train.evaluation import plots
from fer_edge.train.evaluation.evaluate import match_all_labels
from fer_edge.train.finalize import finalize_float, finalize_quantized
from fer_edge.train.init_weights import build_initial_model
from fer_edge.train.lightning_module import LitClassifier, get_submodules
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint, sha256
from fer_edge.train.progress import ProgressCallback, ignore_progress
from fer_edge.train.qat import prepare_qat
from fer_edge.train.run_checkpoints import FOLDER, RunCheckpoints, find_resume_point
from fer_edge.train.run_folder import CONFIG_FILE, MODEL_FILE, VIEWS_FOLDER
from fer_edge.train.run_inputs import describe_inputs
from fer_edge.train.targets import build_targets
from fer_edge.train.teacher_logits import load_logits
from fer_edge.train.teacher_views import TeacherViews, Views
from fer_edge.train.teachers import load_teachers, make_teacher
from fer_edge.train.trainer import hold_run, open_trainer

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitResult:
    """What a run trained.

    Attributes:
        path: path of `model.safetensors`.
        checkpoint: its content; None in processes other than rank 0, which writes it.
    """

    path: Path
    checkpoint: Checkpoint | None


def fit(
    config: TrainConfig,
    output: Path,
    *,
    resume: bool = False,
    devices: int = 1,
    on_progress: ProgressCallback = ignore_progress,
) -> FitResult:
    """Train a network with the settings of `config` in the run folder `output`.

    The folder gets `config.json`, the digests of the data and other files in `inputs.json` and, if
    the run starts from a fer-edge checkpoint, that one's spec in `start.json`; then `metrics.csv`,
    `tensorboard/` and `checkpoints/` (the best epoch and the last two); at the end `curves.png` and
    `model.safetensors`, the epoch with the best validation accuracy. The order of the faces and
    every random number depend on the seed and the step alone, so a run that was killed and resumed
    ends like an unbroken one.

    Args:
        config: the settings.
        output: the run's folder; created if missing.
        resume: continue after the last finished epoch, or the one before if that one's checkpoint
            is damaged. The data and the files may lie elsewhere by then, but must be the same.
        devices: processes on this machine, one GPU each if there are GPUs; 1 under torchrun, which
            has started them.
        on_progress: called in rank 0 after each step of the calibration and of the training.

    Raises:
        ConfigError: the folder holds a run and `resume` is False, or settings contradict the data
            or the checkpoints, or a file isn't the one that the run started with.
        DataError: the data is wrong, has no val split, or isn't the data that the run started with.
        ModelError: a checkpoint can't be read, or the training diverged.
    """
    options = distributed.trainer_options(devices, config.batch_size)
    if not distributed.is_rank_zero():
        return _fit_locked(config, output, options, resume, ignore_progress)
    with hold_run(output, resume=resume):
        return _fit_locked(config, output, options, resume, on_progress)


def _fit_locked(
    config: TrainConfig,
    output: Path,
    options: dict[str, Any],
    resume: bool,
    on_progress: ProgressCallback,
) -> FitResult:
    """See `fit`; the process of rank 0 holds the lock of the run's folder."""
    is_rank_zero = distributed.is_rank_zero()
    if resume and not Path(config.data).exists():
        raise DataError(f"{config.data}: the run's data isn't there: --data names its new place")
    data = read_data(Path(config.data), side=config.side, skip_bad=config.skip_bad)
    resumed = find_resume_point(output) if resume else None
    has_begun = resumed is not None
    read_log(output / "metrics.csv")  # a damaged one is found now, not after an epoch
    qat, initial_spec = None, None
    if config.qat_from:
        source = checkpoints.load(Path(config.qat_from))
        data = match_all_labels(data, source.spec, config.qat_from)
        qat = prepare_qat(source, config, data)
        model = qat.model
    else:
        initial_spec = provenance.read_initial_spec(config, output if resume else None)
        # the checkpoint holds every weight: a resumed run doesn't read its initial weights again
        unread = {"weights": "none", "weights_data": "", "weights_licence": ""}
        start = replace(config, **unread) if has_begun else config  # type: ignore[arg-type]
        model = build_initial_model(start, data.labels, data.split("train").pixels)
    train, val = data.split("train"), data.split("val")
    # every error in the settings is found before the folder holds a run
    teachers = load_teachers(config, data)
    taught = [one.data for one in teachers]
    if qat:
        digest = sha256(Path(config.qat_from))
        teachers += (make_teacher(qat.source, digest, mirror=config.mirror_teachers),)
    unlabelled = None
    if config.unlabelled:
        unlabelled = read_unlabelled(
            Path(config.unlabelled),
            side=config.side,
            skip_bad=config.skip_bad,
            name=config.unlabelled_data,
            licence=config.unlabelled_licence,
        )
        unlabelled = leave_out_copies(unlabelled, data)
    stored = None
    if config.teacher_logits:
        stored, unlabelled = load_logits(config, data, unlabelled)
    targets = build_targets(config, data, len(unlabelled or ()))
    get_submodules(model, config.frozen)
    # with what the initial checkpoint decided, since a resumed run doesn't read it
    chosen = {name: getattr(model.spec, name) for name in ("network_side", "mean", "std")}
    config = config if has_begun else replace(config, **chosen)
    inputs = describe_inputs(config, data, unlabelled, has_begun=has_begun)
    if resume:
        inputs.check_resumed(output, config, has_begun=has_begun)
    if resumed:
        resumed.check_network(model)
    if is_rank_zero and not has_begun:
        inputs.save(output)
        if initial_spec:
            write_text(output / provenance.INITIAL_SPEC_FILE, initial_spec.to_json())
        write_text(output / CONFIG_FILE, config.to_json())
        for line in provenance.describe_start(data, initial_spec, unlabelled):
            _LOG.info("%s", line)
    elif is_rank_zero and resumed:
        write_text(output / CONFIG_FILE, config.to_json())  # files may have moved
        _LOG.info("resuming after epoch %d, from %s", resumed.epochs, resumed.path)
    if qat and resumed:
        qat.restore(resumed.weights)
    elif qat:
        if is_rank_zero:
            _LOG.info("calibration on %s", qat.calibration)
        qat.calibrate(on_progress)
    parts = join_faces(data, unlabelled)
    views: Views | None = stored
    if config.views:
        folder = Path(config.views_folder) if config.views_folder else output / VIEWS_FOLDER
        faces = [torch.from_numpy(part) for part in parts]
        ranges, count = config.augmentation, config.views
        views = TeacherViews(teachers, faces, folder, ranges, count, config.seed, on_progress)
    saved = RunCheckpoints(output / FOLDER)
    callbacks: list[Callback] = [
        EpochLog(output / "metrics.csv", len(targets)),
        StepProgress(on_progress),
        saved,
    ]
    if config.patience:
        callbacks.insert(0, Patience(config.patience))
    if config.ema:
        callbacks.insert(0, EmaWeights(config.ema))
    with open_trainer(
        output,
        asdict(config),
        callbacks,
        epochs=config.epochs,
        steps=len(targets) // config.batch_size,
        precision=config.precision,
        **options,
    ) as run:
        trainer = run.trainer
        rank, world_size = trainer.global_rank, trainer.world_size
        load = partial(make_loader, config=config, rank=rank, world_size=world_size)
        batches = load(np.concatenate(parts), targets, is_training=True)
        weights = class_weights(train.labels, len(data.labels), config.class_balance)
        steps = len(batches) * config.epochs
        module = LitClassifier(model, config, weights, steps, teachers, views)
        module.to(memory_format=torch.channels_last)
        trainer.fit(
            module,
            batches,
            load(val.pixels, torch.from_numpy(val.labels), is_training=False),
            ckpt_path=resumed.path if resumed else None,
            weights_only=True,
        )
        run.logger.log_hyperparams(asdict(config), {"best_val_accuracy": saved.best})
    distributed.leave_process_group()
    path = output / MODEL_FILE
    if not is_rank_zero:
        return FitResult(path, None)
    module.load_state_dict(saved.load_best()["state_dict"])
    trained = module.model.cpu().to(memory_format=torch.contiguous_format)
    if qat:
        checkpoint = finalize_quantized(
            qat.finish(trained, config.epochs), config, data, unlabelled, taught
        )
    else:
        before = provenance.describe_initial_data(config, initial_spec)
        if stored:
            taught += stored.source.header.teachers
        checkpoint = finalize_float(
            trained,
            data,
            provenance.describe_training_data(before, data, taught, unlabelled),
            architecture=config.architecture,
            storage=config.storage,
            name=config.name,
            version=config.version,
        )
    checkpoints.save(checkpoint, path)
    if log := read_log(output / "metrics.csv"):
        plots.save_figure(plots.plot_curves(log), output / "curves.png")
    return FitResult(path, checkpoint)
