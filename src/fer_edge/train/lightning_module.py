"""The training and validation steps, the optimizer and its schedule: what Lightning runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from fer_edge.errors import ConfigError
from fer_edge.train.augment import DRAWS, augment
from fer_edge.train.batches import Batch, mixup
from fer_edge.train.config import TrainConfig
from fer_edge.train.corrupt import corrupt
from fer_edge.train.distributed import average_buffers
from fer_edge.train.networks.classifier import FaceClassifier, is_head_parameter
from fer_edge.train.ranges import Augmentation
from fer_edge.train.run_module import QUANTIZED_LR_FACTOR, RunModule, make_optimizer, make_schedule
from fer_edge.train.teacher_views import View, Views
from fer_edge.train.teachers import Teacher, mean_logits


class LitClassifier(RunModule):
    """A network with its loss, optimizer and schedule.

    Teachers see each face before it is corrupted, and their probabilities are a part of its target;
    label smoothing changes the other part alone.
    In quantization-aware training they see what the network sees, and the distance to their logits
    is added to the loss. Faces without labels, whose targets are 0, have the teachers'
    probabilities alone as their target.

    Args:
        model: the network to train, float or quantized.
        config: settings of the run.
        weights: class weights, float32 `[labels]`.
        steps: number of training steps of the whole run.
        teachers: networks with the same labels.
        views: what teachers predict on fixed views of the faces, if the settings say so.

    Raises:
        ConfigError: `config.frozen` names an unknown submodule.
    """

    def __init__(
        self,
        model: FaceClassifier,
        config: TrainConfig,
        weights: Tensor,
        steps: int,
        teachers: tuple[Teacher, ...] = (),
        views: Views | None = None,
    ) -> None:
        super().__init__(model, config.seed)
        self.model: FaceClassifier = model
        # in a tuple, so that they are neither trained, nor averaged, nor saved with the run
        self.teachers = teachers
        self.views = views
        self.view: View | None = None
        self.config = config
        self.steps = steps
        self.loss = nn.CrossEntropyLoss(weights)
        self.frozen_modules = get_submodules(model, config.frozen)
        for module in self.frozen_modules:
            module.requires_grad_(False)

    def on_train_epoch_start(self) -> None:
        for module in self.frozen_modules:  # keeps their batch norm statistics as well
            module.eval()
        if self.views:
            get = partial(self.views.get, self.current_epoch, is_mild=self._is_mild())
            if self.global_rank == 0:  # computes it, and the others read it
                self.view = get()
            self.trainer.strategy.barrier()
            self.view = self.view or get()

    def on_train_epoch_end(self) -> None:
        self.view = None
        average_buffers(self)

    def _is_mild(self) -> bool:
        last = round(self.config.mild_fraction * self.config.epochs)
        return self.current_epoch >= self.config.epochs - last

    def _get_augmentation(self) -> Augmentation:
        own = self.config.augmentation
        return own.halve() if self._is_mild() else own

    def training_step(self, batch: Batch, _: int) -> Tensor:
        (faces, targets, index), config = batch, self.config
        targets = _smooth(targets, config.label_smoothing)
        draws = torch.rand(len(faces), DRAWS) if self.view is None else self.view.draws[index.cpu()]
        pixels = augment(faces, self._get_augmentation(), draws)
        if (self.teachers or self.view) and not config.qat_from:
            wanted = self._ask_teachers(pixels, index).softmax(1)
            is_labelled = targets.sum(1, keepdim=True) > 0
            targets = targets.lerp(wanted, torch.where(is_labelled, config.teacher_weight, 1.0))
        corruption = config.corruption.halve() if self._is_mild() else config.corruption
        pixels = corrupt(pixels, corruption)
        if config.mixup:
            pixels, targets = mixup(pixels, targets, config.mixup)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        logits = self.model.forward_pixels(pixels, self._get_side())
        if config.qat_from:
            wanted = mean_logits(self.teachers, pixels)
            if config.unlabelled:  # mixup gives faces that are partly labelled
                targets = targets + (1 - targets.sum(1, keepdim=True)) * wanted.softmax(1)
            loss: Tensor = self.loss(logits, targets) + _distance(logits, wanted)
        else:
            loss = self.loss(logits, targets)
        self.log("train_loss_step", loss)
        # ranks wait for each other once per epoch, not once per step
        self.log("train_loss_epoch", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def _ask_teachers(self, pixels: Tensor, index: Tensor) -> Tensor:
        """Return the teachers' logits of augmented faces, float32 `[N, labels]`."""
        if self.view is None:
            return mean_logits(self.teachers, pixels)
        return self.view.logits[index.cpu()].to(pixels.device)

    def _get_side(self) -> int | None:
        is_first = self.current_epoch < round(self.config.first_fraction * self.config.epochs)
        return self.config.first_side if is_first else None

    def validation_step(self, batch: Batch, _: int) -> None:
        faces, labels, _index = batch
        logits = self.model(faces)
        loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
        correct = (logits.argmax(1) == labels).sum()
        self.sums += torch.stack([loss, correct, loss.new_tensor(len(labels))])

    def on_validation_epoch_start(self) -> None:
        average_buffers(self)  # with EMA, those of the averaged weights
        self.sums = torch.zeros(3, device=self.device)

    def on_validation_epoch_end(self) -> None:
        # Lightning averages over ranks, which is inexact if they have different numbers of faces
        loss, correct, faces = self.trainer.strategy.reduce(self.sums, reduce_op="sum")
        if not torch.isfinite(loss):
            self.stop("in its validation")
        metrics = {"val_loss": loss / faces, "val_accuracy": correct / faces}
        self.log_dict(metrics, sync_dist=True)

    def configure_optimizers(self) -> Any:
        config = self.config
        frozen_steps = min(config.freeze_epochs, config.epochs - 1) * self.steps // config.epochs
        is_quantized = self.is_in_quantized_layer()
        rise = 0.3 if config.schedule == "onecycle" else config.warmup
        groups, schedules = [], []
        members = defaultdict(list)
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                in_head = is_head_parameter(name, config.architecture)
                is_float, is_vector = not is_quantized(parameter), parameter.ndim < 2
                members[is_float, in_head, is_vector].append(parameter)
        # sorted, so that the last group is the head's: the log shows its learning rate
        for (is_float, in_head, is_vector), chosen in sorted(members.items(), key=itemgetter(0)):
            factor = 1 if is_float else QUANTIZED_LR_FACTOR
            rate = config.lr if in_head else config.lr * config.backbone_lr
            decay = 0.0 if is_vector else config.weight_decay
            # AdamW multiplies rate and decay, so the factor leaves the relative decay unchanged
            groups.append({"params": chosen, "lr": factor * rate, "weight_decay": decay / factor})
            schedules.append(make_schedule(rise, 0 if in_head else frozen_steps, self.steps))
        return make_optimizer(groups, schedules)


def get_submodules(model: FaceClassifier, names: Sequence[str]) -> list[nn.Module]:
    """Return the network's submodules of these names.

    Raises:
        ConfigError: it has none of that name.
    """
    known = dict(model.network.named_modules())
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"frozen: the network has no submodule {unknown[0]!r}")
    return [known[name] for name in names]


def _smooth(targets: Tensor, smoothing: float) -> Tensor:
    """Spread a fraction of each target over all labels; targets of 0 stay 0."""
    return targets.lerp(targets.mean(1, keepdim=True).expand_as(targets), smoothing)


def _distance(logits: Tensor, wanted: Tensor) -> Tensor:
    """The squared difference of logits and the Kullback-Leibler divergence of probabilities.

    The second is Hinton et al., arXiv:1503.02531, at temperature 1.
    """
    divergence = nn.functional.kl_div(
        logits.log_softmax(1), wanted.log_softmax(1), reduction="batchmean", log_target=True
    )
    return divergence + nn.functional.mse_loss(logits, wanted)
