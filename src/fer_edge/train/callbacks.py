"""What a run keeps while it goes on: averaged weights, checkpoints, a line for each epoch."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging

from fer_edge.atomic import whole_file

COLUMNS = ("epoch", "lr", "train_loss", "val_loss", "val_accuracy", "seconds", "images_per_second")


class Averaged(WeightAveraging):
    """Exponential moving average of weights and batch-norm figures, validated and kept.

    The decay grows as (1 + n) / (10 + n) up to its setting, so that a short run isn't held back by
    its first weights (as in TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: Any, current: Any, count: Any) -> None:
            kept = min(decay, (1 + float(count)) / (10 + float(count)))
            for old, new in zip(averaged, current, strict=True):
                if old.is_floating_point():
                    old.lerp_(new, 1 - kept)
                else:
                    old.copy_(new)

        super().__init__(use_buffers=True, multi_avg_fn=average)


class Kept(ModelCheckpoint):
    """One checkpoint file, also when the run's folder was moved before it was resumed.

    Lightning's own `save_last` writes only after an epoch that was the best: the best and the last
    epoch need a callback each.
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
        """Take over what was kept, under the folder's present name."""
        path = str(self.path.resolve())
        scores = {path: state_dict["kth_value"]} if state_dict["best_k_models"] else {}
        here = {"dirpath": self.dirpath, "best_model_path": path, "kth_best_model_path": path}
        super().load_state_dict({**state_dict, **here, "best_k_models": scores})


class EpochLog(Callback):
    """`metrics.csv` and a line an epoch on standard error; a resumed run goes on in its file."""

    def __init__(self, path: Path, faces: int) -> None:
        self.path = path
        self.faces = faces

    def on_train_epoch_start(self, *_: Any) -> None:
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: Any) -> None:
        seconds = time.monotonic() - self.started
        # asking brings the processes' figures together: all must ask
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not trainer.is_global_zero:
            return
        row = {
            "epoch": trainer.current_epoch + 1,
            "lr": f"{trainer.optimizers[0].param_groups[-1]['lr']:.3g}",
            "train_loss": f"{figures['train_loss_epoch']:.4f}",
            "val_loss": f"{figures['val_loss']:.4f}",
            "val_accuracy": f"{figures['val_accuracy']:.4f}",
            "seconds": f"{seconds:.1f}",
            "images_per_second": f"{self.faces / seconds:.0f}",
        }
        rows = [old for old in read_log(self.path) if int(old["epoch"]) < trainer.current_epoch + 1]
        with whole_file(self.path) as beside, beside.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows([*rows, row])
        left = (trainer.max_epochs or 0) - trainer.current_epoch - 1
        print(
            f"epoch {row['epoch']}/{trainer.max_epochs}  loss {row['train_loss']}  "
            f"val loss {row['val_loss']}  val accuracy {figures['val_accuracy']:.2%}  "
            f"{row['images_per_second']} images/s  {left * seconds / 60:.0f} min left",
            file=sys.stderr,
        )


def read_log(path: Path) -> list[dict[str, str]]:
    """The rows of a `metrics.csv`; none where there is no file yet."""
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))
