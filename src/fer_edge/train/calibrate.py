"""Calibration: choose the scales of a quantized model from faces, for the least error."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fer_edge.spec import Int8Recipe
from fer_edge.train.calibration_faces import choose_calibration_faces
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.evaluation.evaluate import match_all_labels
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.classifier import FaceClassifier
from fer_edge.train.networks.fake_quant import (
    MAX_ACTIVATION,
    ActivationFakeQuant,
    FakeQuantMode,
    fake_quantize,
    round_to_short_scale,
)
from fer_edge.train.networks.pixel_model import PixelModel
from fer_edge.train.networks.quantized import (
    activation_quantizers,
    fake_quant_mode,
    output_quantizers,
    quantize_model,
    quantized_layers,
    remove_redundant_activations,
    shared_scale_groups,
)
from fer_edge.train.progress import ProgressCallback, ignore_progress
from fer_edge.train.scale_search import (
    MIDDLE,
    get_ranges,
    multiply_scale,
    search_scales,
    set_ranges,
)

_LOG = logging.getLogger(__name__)
_BATCH_SIZE = 64
_SAMPLES = 8192
"""Values drawn from each tensor and batch, which suffice to compare scales."""
_MAX_BIAS = 2**18
"""Half of the largest integer that float32 can multiply by a 5-bit scale exactly; the sums of
weights have the other half."""
_MIN_SCALE_RATIO = 2**-12
"""Smallest scale of a weight, relative to an output scale that has a zero point: OpenVINO adds the
zero point before it rounds, and float32 has 16 bits for fractions of values from 128 to 256."""
_HALVINGS = 3
_SEARCH_FACES = 128
"""Faces whose logits decide the search over scales."""


def add_quantized_model(
    source: Checkpoint,
    data: FaceData,
    recipe: Int8Recipe,
    method: str,
    on_progress: ProgressCallback = ignore_progress,
) -> Checkpoint:
    """Return the checkpoint with a quantized model that is calibrated on faces of train.

    Args:
        source: a checkpoint; a quantized model that it holds is replaced.
        data: faces whose labels the network knows.
        recipe: how to quantize.
        method: how the quantized model is made, for the spec.
        on_progress: called after each step of the calibration.

    Raises:
        DataError: train lacks a label of the network or has an unknown one, or has fewer than 50
            faces.
    """
    known = match_all_labels(data, source.spec, source.spec.name)
    pixels, description = choose_calibration_faces(known)
    _LOG.info("calibration on %s", description)
    model = quantize_model(source.model, recipe)
    calibrate(model, pixels, recipe, on_progress)
    return with_quantized_model(source, model, recipe, method, description)


def with_quantized_model(
    source: Checkpoint, model: FaceClassifier, recipe: Int8Recipe, method: str, calibration: str
) -> Checkpoint:
    """Return the checkpoint with a quantized model and a spec that describes it."""
    quantization = replace(
        source.spec.quantization,
        method=method,
        calibration=calibration,
        int8=recipe,
        temperature=None,  # the temperature of an earlier quantized model doesn't hold
    )
    return Checkpoint(source.model, replace(source.spec, quantization=quantization), model)


def calibrate(
    model: PixelModel,
    pixels: npt.NDArray[np.uint8],
    recipe: Int8Recipe,
    on_progress: ProgressCallback = ignore_progress,
) -> None:
    """Set the scales of a quantized model from the float model's values on some faces, in place.

    Args:
        model: a model that `quantize_model` built.
        pixels: uint8 `[N, S, S]`.
        recipe: `ranges` names the method: "minmax", "percentile", "mse" (least squared error of
            each tensor), or "answer" (as "mse", then least squared error of the logits).
        on_progress: called after each step.
    """
    on_progress("calibration", 0, 1)
    samples, logits = _observe(model, pixels)
    should_refine = recipe.ranges in ("mse", "answer")
    clipped = 0.0005 if recipe.ranges == "percentile" else 0.0
    ranges = {
        quantizer: np.quantile(values.numpy(), (clipped, 1 - clipped)).tolist()
        for quantizer, values in samples.items()
    }
    for quantizer, (low, high) in ranges.items():
        _cover_range(quantizer, min(low, 0.0), max(high, 0.0))
        if should_refine:
            _reduce_error([quantizer], samples)
    for group in shared_scale_groups(model):
        _cover_ranges(group, [ranges[quantizer] for quantizer in group])
        if should_refine:
            _reduce_error(group, samples)
    # a quantized first layer takes integer pixels, which are quantized already
    fixed = next(iter(samples)) if model.scale == 1.0 else None
    if fixed is not None:
        fixed.set_range(1.0, round(-model.shift))
    _set_weight_scales(model)
    remove_redundant_activations(model)
    if recipe.ranges == "answer":
        search_scales(model, pixels[:_SEARCH_FACES], logits[:_SEARCH_FACES], fixed, on_progress)
        _set_weight_scales(model)  # their lower limits depend on the activations' scales
    on_progress("calibration", 1, 1)


def _set_weight_scales(model: PixelModel) -> None:
    """Set the short scales with the least error that are large enough for exact float32 sums."""
    minima = {
        layer: _MIN_SCALE_RATIO * float(quantizer.scale / layer.input_quantizer.scale)
        for layer, quantizer in output_quantizers(model)
        if quantizer.zero_point
    }
    for layer in quantized_layers(model).values():
        # a channel whose weights are all 0 still has a bias
        weight, bias = layer.float_weights()
        minimum = bias.abs() / (layer.input_quantizer.scale * _MAX_BIAS)
        minimum = round_to_short_scale(minimum.clamp_min(minima.get(layer, 0.0)))
        layer.rescale(torch.maximum(_best_weight_scales(weight, layer.max_level), minimum))


def _observe(
    model: PixelModel, pixels: npt.NDArray[np.uint8]
) -> tuple[dict[ActivationFakeQuant, Tensor], Tensor]:
    """Return samples of each quantizer's input, with its extremes, and the float logits."""
    samples: dict[ActivationFakeQuant, list[Tensor]] = {
        quantizer: [] for quantizer in activation_quantizers(model).values()
    }
    random = torch.Generator().manual_seed(0)

    def observe(quantizer: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        assert isinstance(quantizer, ActivationFakeQuant)
        values = inputs[0].flatten()
        drawn = torch.randint(len(values), (_SAMPLES,), generator=random)
        samples[quantizer] += [values[drawn], values.min()[None], values.max()[None]]

    hooks = [quantizer.register_forward_hook(observe) for quantizer in samples]
    model.eval()
    with fake_quant_mode(model, FakeQuantMode.FLOAT), torch.inference_mode():
        batches = torch.split(torch.from_numpy(pixels.copy()), _BATCH_SIZE)
        logits = torch.cat([model(batch) for batch in batches])
    for hook in hooks:
        hook.remove()
    return {quantizer: torch.cat(values).clone() for quantizer, values in samples.items()}, logits


def _cover_range(quantizer: ActivationFakeQuant, low: float, high: float) -> None:
    """Set the smallest power-of-two scale whose 256 levels reach from `low` to `high`.

    The zero point is even: a half is then rounded to the same side before and after it is added.
    """
    scale = 2.0 ** math.ceil(math.log2(max(high - low, 1e-6) / (MAX_ACTIVATION - 1)))
    zero_point = 2 * math.ceil(-low / scale / 2)
    if zero_point + high / scale > MAX_ACTIVATION:  # the even zero point needed one more level
        scale *= 2
        zero_point = 2 * math.ceil(-low / scale / 2)
    quantizer.set_range(scale, zero_point)


def _cover_ranges(group: list[ActivationFakeQuant], ranges: Sequence[tuple[float, float]]) -> None:
    """Set one scale for a group and zero points of 0 or 128, so that sums need no rounding."""
    zero_points = [0 if low >= 0 else MIDDLE for low, _ in ranges]
    needed = max(
        max(-low / max(zero_point, 1), high / (MAX_ACTIVATION - zero_point))
        for zero_point, (low, high) in zip(zero_points, ranges, strict=True)
    )
    scale = 2.0 ** math.ceil(math.log2(max(needed, 1e-8)))
    set_ranges(group, [(scale, zero_point) for zero_point in zero_points])


def _reduce_error(
    group: list[ActivationFakeQuant], samples: dict[ActivationFakeQuant, Tensor]
) -> None:
    """Halve a group's scale while the squared error falls; outliers are clamped."""

    def error(ranges: list[tuple[float, int]]) -> float:
        total = 0.0
        for quantizer, (scale, zero_point) in zip(group, ranges, strict=True):
            values = samples[quantizer]
            difference = fake_quantize(values, scale, zero_point) - values
            total += float(difference.square().mean() / values.square().mean().clamp(1e-12))
        return total

    candidates = [get_ranges(group)]
    for _ in range(_HALVINGS):
        candidates.append([multiply_scale(0.5, *one) for one in candidates[-1]])
    set_ranges(group, min(candidates, key=error))


def _best_weight_scales(weights: Tensor, max_level: int) -> Tensor:
    """Return for each channel the short scale with the least squared error.

    Candidates are the short scales whose levels reach 60 to 110 % of the channel's largest weight.
    """
    weights = weights.flatten(1)
    largest = weights.abs().amax(1).clamp_min(1e-8)
    best, least_error = largest, torch.full_like(largest, torch.inf)
    scale = round_to_short_scale(largest * 0.6 / max_level)
    last = round_to_short_scale(largest * 1.1 / max_level)
    while (scale <= last).any():
        levels = (weights / scale[:, None]).round_().clamp_(-max_level, max_level)
        error = levels.mul_(scale[:, None]).sub_(weights).square_().sum(1)
        best = torch.where((error < least_error) & (scale <= last), scale, best)
        least_error = torch.minimum(error, least_error)
        scale = round_to_short_scale(scale * (1 + 1 / 16))
    return best
