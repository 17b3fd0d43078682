"""The search for the scales of activations that bring the logits closest to the float logits."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx
from torch.nn import functional

from fer_edge.train.networks.fake_quant import ActivationFakeQuant
from fer_edge.train.networks.pixel_model import PixelModel
from fer_edge.train.networks.quantized import (
    activation_quantizers,
    get_graph,
    shared_scale_groups,
)
from fer_edge.train.progress import ProgressCallback

MIDDLE = 128
"""Zero point of a tensor with negative values in a group, and the largest of others."""
_MIN_IMPROVEMENT = 0.995
"""The search changes a scale if the error falls at least to this fraction."""


def search_scales(
    model: PixelModel,
    pixels: npt.NDArray[np.uint8],
    wanted: Tensor,
    fixed: ActivationFakeQuant | None,
    on_progress: ProgressCallback,
) -> None:
    """Halve or double each group's scale where the logits come closer to the float logits.

    The error of a tensor says little about the error that it causes in the logits. The search goes
    through the graph in order, so that each trial recomputes only the layers behind the change.

    Args:
        model: a quantized model, changed in place.
        pixels: uint8 `[N, S, S]`.
        wanted: the float model's logits of them, float32 `[N, labels]`.
        fixed: a quantizer whose scale stays.
        on_progress: called after each group.
    """
    order = list(activation_quantizers(model).values())
    groups = shared_scale_groups(model)
    known = {fixed, *chain(*groups)}
    groups += [[quantizer] for quantizer in order if quantizer not in known]
    groups.sort(key=lambda group: min(map(order.index, group)))
    trials = Trials(model, pixels)
    best = float(functional.mse_loss(trials.compute_logits(), wanted))
    for done, group in enumerate(groups):
        trials.advance_to(min(group, key=order.index))
        before = get_ranges(group)
        for factor in (0.5, 2.0):
            set_ranges(group, [multiply_scale(factor, *one) for one in before])
            error = float(functional.mse_loss(trials.compute_logits(), wanted))
            if error < _MIN_IMPROVEMENT * best:
                best = error
                break
            set_ranges(group, before)
        on_progress("calibration", done, len(groups))


class Trials:
    """Computes logits while the scales of later and later quantizers change.

    What the changing part of the graph takes as input is computed once and kept.
    """

    def __init__(self, model: PixelModel, pixels: npt.NDArray[np.uint8]) -> None:
        graph = get_graph(model.eval())
        self._interpreter = fx.Interpreter(graph)
        self._nodes = list(graph.graph.nodes)
        modules = dict(graph.named_modules())
        self._calls = [modules.get(str(node.target)) for node in self._nodes]
        self._position = 1  # behind the graph's input
        faces = torch.from_numpy(pixels.copy()).unsqueeze(1).float()
        self._kept: dict[fx.Node, Any] = {self._nodes[0]: model.normalize(faces)}

    def advance_to(self, quantizer: ActivationFakeQuant) -> None:
        """Compute the nodes before `quantizer`, which no longer change."""
        stop = self._calls.index(quantizer)
        if stop > self._position:
            self._compute(self._kept, self._position, stop)
            self._position = stop

    def compute_logits(self) -> Tensor:
        """Compute the logits, float32 `[N, labels]`, with the present scales."""
        values = dict(self._kept)
        self._compute(values, self._position, len(self._nodes))
        logits: Tensor = values[self._nodes[-1]]
        return logits

    @torch.inference_mode()
    def _compute(self, values: dict[fx.Node, Any], start: int, stop: int) -> None:
        self._interpreter.env = values
        for node in self._nodes[start:stop]:
            values[node] = self._interpreter.run_node(node)
            for unused in self._interpreter.user_to_last_uses.get(node, ()):
                del values[unused]


def multiply_scale(factor: float, scale: float, zero_point: int) -> tuple[float, int]:
    """Change a scale by a factor of 2; the zero point follows, stays even, and is at most 128."""
    if zero_point >= MIDDLE:
        return scale * factor, zero_point
    return scale * factor, min(2 * math.ceil(zero_point / factor / 2), MIDDLE)


def get_ranges(group: list[ActivationFakeQuant]) -> list[tuple[float, int]]:
    """Return each quantizer's scale and zero point."""
    return [(float(quantizer.scale), int(quantizer.zero_point)) for quantizer in group]


def set_ranges(group: list[ActivationFakeQuant], ranges: list[tuple[float, int]]) -> None:
    """Set each quantizer's scale and zero point."""
    for quantizer, (scale, zero_point) in zip(group, ranges, strict=True):
        quantizer.set_range(scale, zero_point)
