"""The frame of a training run: its folder, Lightning's trainer, its log."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from fer_edge.atomic import check_writable, named
from fer_edge.errors import ConfigError
from fer_edge.train.run_checkpoints import FOLDER, WholeFileIO
from fer_edge.train.run_folder import is_run_folder, lock_run


@contextmanager
def hold_run(output: Path, *, resume: bool) -> Iterator[None]:
    """Hold a run's folder for this process inside a `with` block.

    Raises:
        ConfigError: the folder holds a run and `resume` is False, or another process trains in it.
        OSError: the folder can't be written to.
    """
    check_writable(output)
    with lock_run(output):
        if not resume and (is_run_folder(output) or (output / FOLDER).exists()):
            raise ConfigError(
                f"{output}: already holds a run: continue it with --resume, or choose another "
                "folder"
            )
        yield


@dataclass(frozen=True)
class RunTrainer:
    """Lightning's trainer of a run, and the run's TensorBoard logger."""

    trainer: lightning.Trainer
    logger: TensorBoardLogger


@contextmanager
def open_trainer(
    output: Path,
    settings: dict[str, Any],
    callbacks: Sequence[Callback],
    *,
    epochs: int,
    steps: int,
    **options: Any,
) -> Iterator[RunTrainer]:
    """Yield the trainer of the run in `output`; its log is closed at the end of the block.

    Args:
        output: the run's folder.
        settings: of the run, for its log.
        callbacks: of the trainer.
        epochs: of the run.
        steps: of an epoch.
        options: more of Lightning's Trainer.
    """
    with _quiet_lightning(), _open_tensorboard(output) as logger:
        logger.log_hyperparams(settings)
        trainer = lightning.Trainer(
            max_epochs=epochs,
            **options,
            logger=logger,
            callbacks=list(callbacks),
            plugins=[WholeFileIO()],
            enable_model_summary=False,
            enable_progress_bar=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            log_every_n_steps=min(20, max(1, steps)),
        )
        yield RunTrainer(trainer, logger)


@contextmanager
def _open_tensorboard(output: Path) -> Iterator[TensorBoardLogger]:
    """Yield the run's logger; close its files, also if the run fails or is interrupted.

    Its errors name its folder. They occur in a thread, which would print a traceback as well.
    """
    logger = TensorBoardLogger(output, "tensorboard", version="", default_hp_metric=False)
    status, hook = "failed", threading.excepthook
    threading.excepthook = lambda about: None if about.exc_type is OSError else hook(about)
    try:
        with named(output / "tensorboard"):
            try:
                yield logger
                status = "success"
            finally:
                logger.finalize(status)
    finally:
        threading.excepthook = hook


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's advice that a user can't act on; levels and filters are restored."""
    loggers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in (
                ".*does not have many workers.*",  # faces are in memory: workers only copy them
                ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # inside Lightning
                ".*Checkpoint directory .* exists and is not empty.*",  # a resumed run's
                ".*Grad strides do not match.*",  # 1 x 1 convolutions have both memory formats
            ):
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
