"""One training step, one epoch's log, one averaged copy of the weights: what Lightning runs."""

from __future__ import annotations

import csv
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from fer_edge.atomic import whole_file
from fer_edge.train.config import TrainConfig
from fer_edge.train.faces import Faces
from fer_edge.train.model import FaceClassifier, is_head
from fer_edge.train.processes import average_buffers, total

COLUMNS = ("epoch", "lr", "train_loss", "val_loss", "val_accuracy", "seconds", "images_per_second")


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Faces in memory, taken a batch at a time: `__getitems__` spares 64 calls and a collation."""

    def __init__(self, pixels: Tensor, answers: Tensor) -> None:
        self.pixels = pixels
        self.answers = answers

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitems__(self, places: list[int]) -> tuple[Tensor, Tensor]:
        index = torch.tensor(places)
        return self.pixels[index], self.answers[index]


def loader(
    faces: Faces,
    config: TrainConfig,
    *,
    targets: Tensor | None = None,
    among: tuple[int, int] = (0, 1),
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches in an order that the seed and the epoch's number alone decide.

    Several processes get parts of the same batches of `config.batch_size` faces that one would get,
    and a part each of the faces to validate, none of them twice.

    Args:
        faces: of one split.
        config: the run's settings.
        targets: float32 `[N, labels]`, to train on, in shuffled order; None: the labels as they
            are, int64 `[N]`, to validate.
        among: which process asks, of how many.
    """
    train = targets is not None
    answers = torch.from_numpy(faces.labels) if targets is None else targets
    dataset = Batches(torch.from_numpy(faces.pixels), answers)
    process, processes = among
    share = config.batch_size // processes
    order: DistributedSampler[tuple[Tensor, Tensor]] = DistributedSampler(
        dataset, processes, process, seed=config.seed, drop_last=True
    )
    return DataLoader(
        dataset,
        batch_size=share if train else 512,
        sampler=order if train else range(process, len(dataset), processes),
        collate_fn=lambda batch: batch,
        # a last batch of one face has no variance for batch norm
        drop_last=train and len(order) > share,
    )


def class_weights(labels: np.ndarray[Any, Any], count: int, balance: float) -> Tensor:
    """(N / (count * n_label)) ** balance, float32 `[count]`; 0 for a label without a face."""
    counts = np.bincount(labels, minlength=count)
    weights = (len(labels) / (count * counts.clip(1))) ** balance
    return torch.tensor(weights * (counts > 0), dtype=torch.float32)


class Trainee(lightning.LightningModule):
    """A network, its loss, its optimiser and its schedule.

    With teachers, the distance to their mean logits is added to the loss: the squared difference of
    the logits and the Kullback-Leibler divergence of the probabilities (Hinton et al.,
    arXiv:1503.02531, at temperature 1).
    """

    def __init__(
        self,
        model: FaceClassifier,
        config: TrainConfig,
        weights: Tensor,
        steps: int,
        teachers: tuple[FaceClassifier, ...] = (),
    ) -> None:
        super().__init__()
        self.model = model
        # in a tuple: they are neither trained, nor averaged, nor kept in the run's checkpoints
        self.teachers = teachers
        self.config = config
        self.steps = steps
        self.loss = nn.CrossEntropyLoss(weights, label_smoothing=config.label_smoothing)

    def on_train_batch_start(self, *_: Any) -> None:
        # Every step's draws follow from its number, so a resumed run repeats an unbroken one. (Not
        # from the epoch's: the loader draws too, before or after an epoch starts.) Each process
        # has its own.
        step = self.config.seed * 10_000_000 + self.global_step
        torch.manual_seed(step + self.global_rank * 10**15)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        faces, targets = batch
        pixels = self.config.augmentation(faces)
        if self.config.mixup:
            pixels, targets = mix(pixels, targets, self.config.mixup)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        logits = self.model.from_pixels(pixels, self._side())
        loss: Tensor = self.loss(logits, targets)
        if self.teachers:
            mirror = self.config.mirror_teachers
            loss = loss + _distance(logits, self.teachers, pixels, mirror=mirror)
        self.log("train_loss_step", loss, prog_bar=True)
        # processes wait for each other once an epoch, not once a step
        self.log("train_loss_epoch", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def _side(self) -> int | None:
        config = self.config
        first = self.current_epoch < round(config.first_share * config.epochs)
        return config.first_side if first else None

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        faces, labels = batch
        logits = self.model(faces)
        loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
        right = (logits.argmax(1) == labels).sum()
        self.sums += torch.stack([loss, right, loss.new_tensor(len(labels))])

    def on_validation_epoch_start(self) -> None:
        average_buffers(self)  # of the averaged weights, where there are any
        self.sums = torch.zeros(3, device=self.device)

    def on_validation_epoch_end(self) -> None:
        # Lightning's own means over processes aren't exact where these have other numbers of faces
        loss, right, faces = total(self.sums)
        figures = {"val_loss": loss / faces, "val_accuracy": right / faces}
        self.log_dict(figures, prog_bar=True, sync_dist=True)

    def on_train_epoch_end(self) -> None:
        average_buffers(self)

    def configure_optimizers(self) -> Any:
        config = self.config
        frozen = min(config.freeze_epochs, config.epochs - 1) * self.steps // config.epochs
        groups, schedules = [], []
        for head, decays in itertools.product((False, True), (True, False)):
            chosen = [
                parameter
                for name, parameter in self.model.named_parameters()
                if is_head(name, config.architecture) == head and (parameter.ndim >= 2) == decays
            ]
            groups.append(
                {
                    "params": chosen,
                    "lr": config.lr if head else config.lr * config.backbone_lr,
                    "weight_decay": config.weight_decay if decays else 0.0,
                }
            )
            schedules.append(_schedule(config, 0 if head else frozen, self.steps))
        optimizer = torch.optim.AdamW(groups)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedules)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def mix(pixels: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Each face and its target with another's, both by one share: mixup (arXiv:1710.09412)."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(pixels))
    return pixels.lerp(pixels[other], share), targets.lerp(targets[other], share)


def _distance(
    logits: Tensor, teachers: tuple[FaceClassifier, ...], pixels: Tensor, *, mirror: bool
) -> Tensor:
    views = (pixels, pixels.flip(-1)) if mirror else (pixels,)
    with torch.no_grad():
        answers = [t.to(pixels.device).from_pixels(v) for t in teachers for v in views]
        wanted = torch.stack(answers).mean(0)
    divergence = nn.functional.kl_div(
        logits.log_softmax(1), wanted.log_softmax(1), reduction="batchmean", log_target=True
    )
    return divergence + nn.functional.mse_loss(logits, wanted)


def _schedule(config: TrainConfig, start: int, steps: int) -> Any:
    """The rate as a share of the highest: 0 before `start`, up, then down along a cosine to 0."""
    rise = 0.3 if config.schedule == "onecycle" else config.warmup
    top = start + max(1, round(rise * (steps - start)))

    def rate(step: int) -> float:
        if step < start:
            return 0.0
        if step < top:
            return max(0.04, (step - start) / (top - start))
        fall = min(1.0, (step - top) / max(1, steps - top))
        return 0.5 * (1 + float(np.cos(np.pi * fall)))

    return rate


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
