"""Lightning callbacks: averaged weights, checkpoints of the run, its log and its progress."""

from __future__ import annotations

import csv
import logging
import time
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging

from fer_edge.atomic import whole_file
from fer_edge.train.progress import ProgressCallback

_LOG = logging.getLogger(__name__)


class EmaWeights(WeightAveraging):
    """Exponential moving average of weights and batch norm statistics, validated and saved.

    The decay grows as (1 + n) / (10 + n) up to its setting, so that a short run isn't held back by
    its first weights (as in TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: Any, current: Any, count: Any) -> None:
            step_decay = min(decay, (1 + float(count)) / (10 + float(count)))
            for old, new in zip(averaged, current, strict=True):
                if old.is_floating_point():
                    old.lerp_(new, 1 - step_decay)
                else:
                    old.copy_(new)

        super().__init__(use_buffers=True, multi_avg_fn=average)


class RunCheckpoint(ModelCheckpoint):
    """One checkpoint file, which is found again if the run's folder moved before it is resumed.

    Lightning's `save_last` writes only after an epoch that was the best, so the best and the last
    epoch have a callback each.
    """

    def __init__(self, folder: Path, name: str, monitor: str | None = None) -> None:
        super().__init__(
            folder,
            name,
            monitor=monitor,
            mode="max",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self.path = folder / f"{name}.ckpt"

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the callback's state with the folder's present path."""
        path = str(self.path.resolve())
        scores = {path: state_dict["kth_value"]} if state_dict["best_k_models"] else {}
        here = {"dirpath": self.dirpath, "best_model_path": path, "kth_best_model_path": path}
        super().load_state_dict({**state_dict, **here, "best_k_models": scores})


class EpochLog(Callback):
    """Writes a row of `metrics.csv` and logs a line per epoch; a resumed run continues the file."""

    def __init__(self, path: Path, faces: int) -> None:
        self.path = path
        self.faces = faces

    def on_train_epoch_start(self, *_: Any) -> None:
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: Any) -> None:
        seconds = time.monotonic() - self.started
        # reading the metrics reduces them over all ranks, so every rank must read them
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not trainer.is_global_zero:
            return
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        row = {
            "epoch": epoch,
            "lr": f"{trainer.optimizers[0].param_groups[-1]['lr']:.3g}",
            "train_loss": f"{metrics['train_loss_epoch']:.4f}",
            "val_loss": f"{metrics['val_loss']:.4f}",
            "val_accuracy": f"{metrics['val_accuracy']:.4f}",
            "seconds": f"{seconds:.1f}",
            "images_per_second": f"{self.faces / seconds:.0f}",
        }
        rows = [old for old in read_log(self.path) if int(old["epoch"]) < epoch]
        with whole_file(self.path) as beside, beside.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(row))
            writer.writeheader()
            writer.writerows([*rows, row])
        _LOG.info(
            "epoch %d/%d  loss %s  val loss %s  val accuracy %.2f%%  %s images/s  %.0f min left",
            *(epoch, epochs, row["train_loss"], row["val_loss"], 100 * metrics["val_accuracy"]),
            *(row["images_per_second"], (epochs - epoch) * seconds / 60),
        )


class StepProgress(Callback):
    """Reports each training step to a progress callback."""

    def __init__(self, on_progress: ProgressCallback) -> None:
        self.on_progress = on_progress

    def on_train_batch_end(
        self, trainer: lightning.Trainer, _: Any, __: Any, ___: Any, index: int
    ) -> None:
        stage = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.on_progress(stage, index + 1, int(trainer.num_training_batches))


def read_log(path: Path) -> list[dict[str, str]]:
    """Read the rows of a `metrics.csv`; none if there is no file yet."""
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))
