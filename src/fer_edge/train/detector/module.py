"""The training and validation steps of a detector, and its optimizer: what Lightning runs."""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fer_edge.runtime.detection.cells import select_faces
from fer_edge.train.corrupt import corrupt
from fer_edge.train.detector.batches import Batch
from fer_edge.train.detector.config import DetectorConfig
from fer_edge.train.detector.loss import compute_losses
from fer_edge.train.detector.metrics import Tally
from fer_edge.train.detector.network import FaceDetector, decode
from fer_edge.train.detector.whole import WholePhotographs
from fer_edge.train.run_module import (
    QUANTIZED_LR_FACTOR,
    RunModule,
    make_optimizer,
    make_schedule,
)

METRIC = "val_average_precision"
SCORE_THRESHOLD, NMS_THRESHOLD = 0.5, 0.3
"""Of the recall that is logged, and of every detector until its thresholds are chosen."""
LOWEST_SCORE = 0.05
"""Of the faces that average precision counts."""


class LitDetector(RunModule):
    """A detector with its loss, optimizer and schedule.

    Args:
        model: the detector to train, float or quantized.
        config: settings of the run.
        steps: number of training steps of the whole run.
        photographs: the photographs of validation, in the order of their loader.
    """

    model: FaceDetector

    def __init__(
        self,
        model: FaceDetector,
        config: DetectorConfig,
        steps: int,
        photographs: WholePhotographs,
    ) -> None:
        super().__init__(model, config.seed)
        self.config = config
        self.steps = steps
        self.photographs = photographs
        self.tally = Tally(SCORE_THRESHOLD)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        images, faces, ignored = batch
        pixels = corrupt(images.unsqueeze(1).float(), self.config.corruption)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        maps, config = self.model.compute_maps(pixels), self.config
        losses = compute_losses(maps, faces, ignored, config.piece_side, config.eye_weight)
        total = losses.total()
        parts = {"score": losses.score, "box": losses.box, "eyes": losses.eyes}
        self.log_dict({f"train_{name}_loss": value.detach() for name, value in parts.items()})
        self.log("train_loss_step", total)
        self.log("train_loss_epoch", total, on_step=False, on_epoch=True)
        return total

    def on_validation_epoch_start(self) -> None:
        self.tally = Tally(SCORE_THRESHOLD)
        self.sums = torch.zeros(2, device=self.device)

    def validation_step(self, batch: Batch, _: int) -> None:
        images, faces, ignored = batch
        maps = self.model.compute_maps(images.unsqueeze(1).float())
        side, weight = self.photographs.side, self.config.eye_weight
        total = compute_losses(maps, faces, ignored, side, weight).total()
        self.sums += torch.stack([total * len(images), total.new_tensor(len(images))])
        geometry, logits = decode(maps)
        outputs = torch.cat([geometry, logits.sigmoid()], 1).float().cpu().numpy()
        for output in outputs:
            index = self.tally.photographs
            scale = self.photographs.scales[index]
            found = select_faces(output, LOWEST_SCORE, NMS_THRESHOLD)
            found[:, :8] /= np.float32(scale)
            self.tally.add(found, self.photographs.photographs[index], scale)

    def on_validation_epoch_end(self) -> None:
        loss, images = self.sums
        if not torch.isfinite(loss):
            self.stop("in its validation")
        false_faces = self.tally.false_faces / max(1, self.tally.empty)
        metrics = {
            "val_loss": float(loss / images),
            METRIC: self.tally.average_precision,
            "val_recall": self.tally.recall,
            "val_false_faces": false_faces,
        }
        self.log_dict(metrics)

    def configure_optimizers(self) -> Any:
        config = self.config
        is_quantized = self.is_in_quantized_layer()
        members = defaultdict(list)
        for parameter in self.model.parameters():
            members[is_quantized(parameter), parameter.ndim < 2].append(parameter)
        groups = []
        # sorted, so that the last group's learning rate, which the log shows, is known
        for (is_integer, is_vector), chosen in sorted(
            members.items(), key=itemgetter(0), reverse=True
        ):
            factor = QUANTIZED_LR_FACTOR if is_integer else 1
            decay = 0.0 if is_vector else config.weight_decay
            # AdamW multiplies rate and decay, so the factor leaves the relative decay unchanged
            groups.append(
                {"params": chosen, "lr": factor * config.lr, "weight_decay": decay / factor}
            )
        schedule = make_schedule(config.warmup, 0, self.steps)
        return make_optimizer(groups, [schedule] * len(groups))
