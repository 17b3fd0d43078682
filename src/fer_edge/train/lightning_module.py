"""One training step and one of validation, the optimiser and its schedule: what Lightning runs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from fer_edge.errors import ConfigError
from fer_edge.train.augment import augment
from fer_edge.train.batches import mix
from fer_edge.train.config import TrainConfig
from fer_edge.train.distributed import average_buffers, total
from fer_edge.train.networks.classifier import FaceClassifier, is_head_parameter
from fer_edge.train.networks.quantized import rounded

_CODES = 100
"""How much higher the rate of int8 layers is, whose weights are in units of their codes: up to 63
or 127, where a float layer's are a few hundredths."""


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
        self.still = parts(model, config.frozen)
        for part in self.still:
            part.requires_grad_(False)

    def on_train_epoch_start(self) -> None:
        for part in self.still:  # their batch norms keep their figures too
            part.eval()

    def on_train_batch_start(self, *_: Any) -> None:
        # Every step's draws follow from its number, so a resumed run repeats an unbroken one. (Not
        # from the epoch's: the loader draws too, before or after an epoch starts.) Each process
        # has its own.
        step = self.config.seed * 10_000_000 + self.global_step
        torch.manual_seed(step + self.global_rank * 10**15)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        faces, targets = batch
        pixels = augment(faces, self.config.augmentation)
        if self.config.mixup:
            pixels, targets = mix(pixels, targets, self.config.mixup)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        logits = self.model.forward_pixels(pixels, self._side())
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
        first = self.current_epoch < round(config.first_fraction * config.epochs)
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
        layers = rounded(self.model).values()
        in_codes = {id(one) for layer in layers for one in layer.layer.parameters()}
        groups, schedules = [], []
        for codes, head, decays in itertools.product((True, False), (False, True), (True, False)):
            chosen = [
                parameter
                for name, parameter in self.model.named_parameters()
                if parameter.requires_grad
                and (id(parameter) in in_codes) == codes
                and is_head_parameter(name, config.architecture) == head
                and (parameter.ndim >= 2) == decays
            ]
            if not chosen:
                continue
            unit = _CODES if codes else 1
            rate = config.lr if head else config.lr * config.backbone_lr
            decay = config.weight_decay if decays else 0.0
            # AdamW multiplies the two: a decay is a share of the weight, whatever its unit
            groups.append({"params": chosen, "lr": unit * rate, "weight_decay": decay / unit})
            schedules.append(_schedule(config, 0 if head else frozen, self.steps))
        optimizer = torch.optim.AdamW(groups, fused=True)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedules)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def parts(model: FaceClassifier, names: Sequence[str]) -> list[nn.Module]:
    """The network's parts of these names.

    Raises:
        ConfigError: it has none of that name.
    """
    known = dict(model.network.named_modules())
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"frozen: the network has no part {unknown[0]!r}")
    return [known[name] for name in names]


def _distance(
    logits: Tensor, teachers: tuple[FaceClassifier, ...], pixels: Tensor, *, mirror: bool
) -> Tensor:
    views = (pixels, pixels.flip(-1)) if mirror else (pixels,)
    with torch.no_grad():
        answers = [t.to(pixels.device).forward_pixels(v) for t in teachers for v in views]
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
