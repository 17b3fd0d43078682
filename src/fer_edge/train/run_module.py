"""What the Lightning modules of all networks share: seeds, the check for NaN, AdamW's schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import lightning
import numpy as np
import torch
from torch import nn

from fer_edge.errors import ModelError
from fer_edge.train.networks.pixel_model import PixelModel, is_finite
from fer_edge.train.networks.quantized import quantized_layers

QUANTIZED_LR_FACTOR = 100
"""Factor of the learning rate of quantized layers, whose weights are in quantization levels: up to
63 or 127, where a float layer's are a few hundredths."""
_CHECK_EVERY = 20
"""Steps between two checks for NaN; on a GPU each waits for the step's end."""


class RunModule(lightning.LightningModule):
    """Base of a network's Lightning module.

    Args:
        model: the network to train, float or quantized.
        seed: of the run.
    """

    def __init__(self, model: PixelModel, seed: int) -> None:
        super().__init__()
        self.model = model
        self.seed = seed

    def on_train_batch_start(self, *_: Any) -> None:
        # The random numbers of a step depend on its number alone, so a resumed run repeats an
        # unbroken one. (An epoch's seed wouldn't do: the loader draws before or after it starts.)
        # Each rank has its own.
        step = self.seed * 10_000_000 + self.global_step
        torch.manual_seed(step + self.global_rank * 10**15)

    def on_train_batch_end(self, _: Any, __: Any, index: int) -> None:
        # The weights, not the loss: they are equal in all ranks, so that all stop at the same step,
        # and a gradient that mixed precision discards doesn't change them.
        steps = int(self.trainer.num_training_batches)
        if (index + 1 == steps or index % _CHECK_EVERY == 0) and not is_finite(self.model):
            self.stop(f"after step {index + 1} of {steps}")

    def stop(self, place: str) -> NoReturn:
        """End a training that diverged."""
        raise ModelError(
            f"the training diverged in epoch {self.current_epoch + 1}, {place} (its numbers are "
            "NaN or infinite): use a lower --lr, in another folder"
        )

    def is_in_quantized_layer(self) -> Callable[[nn.Parameter], bool]:
        """A function that says whether a parameter belongs to a quantized layer."""
        layers = quantized_layers(self.model).values()
        known = {id(one) for layer in layers for one in layer.layer.parameters()}
        return lambda parameter: id(parameter) in known


def make_optimizer(groups: list[dict[str, Any]], schedules: list[Callable[[int], float]]) -> Any:
    """AdamW over groups of parameters, with a schedule of each one's learning rate."""
    optimizer = torch.optim.AdamW(groups, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedules)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def make_schedule(rise: float, start: int, steps: int) -> Callable[[int], float]:
    """Make the learning rate's schedule, as a fraction of its maximum.

    It is 0 before step `start`, then rises for a fraction `rise` of the remaining steps, then falls
    along a cosine to 0 at step `steps`.
    """
    top = start + max(1, round(rise * (steps - start)))

    def rate(step: int) -> float:
        if step < start:
            return 0.0
        if step < top:
            return max(0.04, (step - start) / (top - start))
        fall = min(1.0, (step - top) / max(1, steps - top))
        return 0.5 * (1 + float(np.cos(np.pi * fall)))

    return rate
