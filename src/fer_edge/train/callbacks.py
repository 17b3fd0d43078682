"""Lightning callbacks: averaged weights, early stopping, the run's log and its progress."""

from __future__ import annotations

import csv
import logging
import time
from math import isfinite
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping, WeightAveraging

from fer_edge.atomic import whole_file
from fer_edge.errors import DataError
from fer_edge.train.progress import ProgressCallback

_COLUMNS = ("epoch", "lr", "train_loss", "val_loss", "{}", "seconds", "images_per_second")
"""Columns of `metrics.csv`; the fifth is the metric of validation."""
ACCURACY = "val_accuracy"
"""The metric of a classifier."""
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


class Patience(EarlyStopping):
    """Stops after so many epochs without a better validation accuracy; also a resumed run."""

    def __init__(self, epochs: int) -> None:
        super().__init__(ACCURACY, mode="max", patience=epochs)

    def on_train_start(self, trainer: lightning.Trainer, _: Any) -> None:
        # Lightning forgets that the run had stopped when it was killed
        trainer.should_stop |= self.wait_count >= self.patience


class EpochLog(Callback):
    """Writes a row of `metrics.csv` and logs a line per epoch; a resumed run continues the file.

    Args:
        path: the file.
        images: number of images in an epoch.
        metric: name of the metric of validation, in [0, 1].
    """

    def __init__(self, path: Path, images: int, metric: str = ACCURACY) -> None:
        self.path = path
        self.images = images
        self.metric = metric

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
            self.metric: f"{metrics[self.metric]:.4f}",
            "seconds": f"{seconds:.1f}",
            "images_per_second": f"{self.images / seconds:.0f}",
        }
        rows = [old for old in read_log(self.path, self.metric) if int(old["epoch"]) < epoch]
        with (
            whole_file(self.path) as beside,
            beside.open("w", newline="", encoding="utf-8") as stream,
        ):
            writer = csv.DictWriter(stream, list(row))
            writer.writeheader()
            writer.writerows([*rows, row])
        _LOG.info(
            "epoch %d/%d  loss %s  val loss %s  %s %.2f%%  %s images/s  %.0f min left",
            *(epoch, epochs, row["train_loss"], row["val_loss"]),
            *(self.metric.replace("_", " "), 100 * metrics[self.metric]),
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


def read_log(path: Path, metric: str = ACCURACY) -> list[dict[str, str]]:
    """Read the rows of a `metrics.csv`; none if there is no file yet.

    Args:
        path: the file.
        metric: name of the metric of validation.

    Raises:
        DataError: it isn't such a file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows = list(reader)
        columns = ",".join(_COLUMNS).format(metric)
        if ",".join(reader.fieldnames or ()) != columns:
            raise ValueError(f"line 1 isn't {columns}")
        for number, row in enumerate(rows):
            line = number + 2
            if not all(isfinite(float(v)) for v in row.values()):
                raise ValueError(f"line {line} isn't seven numbers under their names")
            if number and int(row["epoch"]) <= int(rows[number - 1]["epoch"]):
                raise ValueError(f"the epoch of line {line} isn't after the one before")
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"{path}: damaged ({error}): remove it; the next epochs start another"
        ) from None
    return rows
